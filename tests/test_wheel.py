"""The built wheel, installed where nothing of this folder is: it has all it needs, and none of the tests."""

import json
import os
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel, and the command in a fresh environment that takes only the packages it needs from this one."""
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env/bin/python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True, capture_output=True)
    (packages,) = (folder / "env/lib").glob("python*/site-packages")
    (packages / "needed.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return wheel, folder / "env/bin"


def run(*words, cwd, **own):
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=cwd, env={**kept, **own}, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


def test_the_wheel_holds_the_program_and_nothing_else(built):
    names = zipfile.ZipFile(built[0]).namelist()
    assert {name.split("/")[0] for name in names} == {
        "core",
        "dataset",
        "runs",
        "tui",
        next(n.split("/")[0] for n in names if ".dist-info" in n),
    }
    assert {"tui/app.tcss", "core/templates/alien-empires.toml", "dataset/demo/alien-empires.jsonl"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names) and not any("test" in name for name in names)


def test_it_works_where_it_is_installed(built, tmp_path):
    _, binaries = built
    where = run(binaries / "python", "-c", "import tui, dataset; print(tui.__file__)", cwd=tmp_path)
    assert str(binaries.parent) in where
    flavor = lambda *words: run(binaries / "flavor-tui", *words, cwd=tmp_path, FLAVOR_TUI_STATE=str(tmp_path / "state"))  # noqa: E731
    assert "A first evening" in run(binaries / "python", "-m", "tui", "--help", cwd=tmp_path)
    flavor("new", "empires", "--template", "alien-empires")
    (tmp_path / "rows.csv").write_text("text,Danger Level\nThey queue.,2\nThey count.,5\n")
    assert json.loads(flavor("import", "empires", "rows.csv", "--json"))["imported"] == 2
    flavor("export", "empires", "dataset", "out.parquet")  # by a process of its own
    flavor("new", "again", "--template", "alien-empires")
    assert json.loads(flavor("import", "again", "out.parquet", "--json"))["imported"] == 2
    made = run(binaries / "python", "-c", "from tui.commands.making import make_demo; print(make_demo(None).rows)", cwd=tmp_path)
    assert made.strip() == "38"


def test_every_licence_is_named_and_none_is_strong_copyleft():
    done = subprocess.run([sys.executable, "-m", "docs.licences"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert not done.returncode, done.stderr
    assert "torch" in done.stdout and "textual" in done.stdout
