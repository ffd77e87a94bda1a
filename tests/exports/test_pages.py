"""The pages of use: what Python they show runs as it stands, on exports of a real checkpoint."""

import re
import subprocess
import sys
from pathlib import Path

from core.exports import gguf_model, model_folder
from core.exports.order import GGUF_FILE
from tests.exports.conftest import LLAMA
from tests.exports.test_merged import filled

PAGES = Path(__file__).parents[2] / "docs/use"


def code(page):
    return re.search(r"```python\n(.+?)\n```", (PAGES / page).read_text(), re.DOTALL)[1]


def ran(python, words, folder):
    done = subprocess.run([python, "-c", words], capture_output=True, text=True, cwd=folder, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_on_python(ours, tmp_path):
    filled(model_folder, ours.order(tmp_path / "merged", "merged"))
    assert ran(sys.executable, code("python.md"), tmp_path).startswith("# Tiny Tavern Menu\n\n")


def test_the_page_on_llama_cpp(ours, llama, tmp_path):
    (filled(gguf_model, ours.order(tmp_path / "out", "gguf", name="x")) / GGUF_FILE).rename(tmp_path / "model.gguf")
    assert ran(LLAMA, code("llama-cpp.md"), tmp_path).strip()


def test_every_page_is_in_the_index_and_names_an_export_that_there_is():
    index = (PAGES / "README.md").read_text()
    for path in PAGES.glob("[a-z]*.md"):
        assert f"({path.name})" in index
        for form in re.findall(r"flavor-tui export \S+ (\S+)", path.read_text()):
            assert form in ("adapter", "merged", "gguf", "gguf-adapter", "ollama"), (path, form)
