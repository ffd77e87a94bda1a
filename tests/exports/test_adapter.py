"""The PEFT folder: its card's own five lines load it, it tells no row, and a strength is in its tensors."""

import re
import shutil
import subprocess
import sys

import yaml
from safetensors.torch import load_file

from core.choices import Choices
from core.config import Sampling
from core.exports.modelfile import modelfile
from core.task import Field, Task
from tests.exports.conftest import CHECKPOINT, run
from tui.commands.card import adapter_card, escaped, fenced
from tui.session.session import Session


def test_the_five_lines_of_the_card_write_what_the_checkpoint_writes(exported):
    folder = exported("adapter")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]
    card = (folder / "README.md").read_text()
    code = re.search(r"```python\n(.+?)\n```", card, re.DOTALL)[1]
    imports, lines = code.split("\n\n")
    assert lines.count("\n") == 4
    greedy = lines.replace("do_sample=True", "do_sample=False")  # the rows are known by heart
    done = subprocess.run(
        [sys.executable, "-c", f"{imports}\n{greedy}"], capture_output=True, text=True, cwd=folder, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"## Description\n\nA stew and a spoon\.", done.stdout), done.stdout


def test_the_card_tells_what_was_done_and_no_row(exported, baked):
    card = (exported("adapter") / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["library_name"] == "peft" and "license" not in front
    for words in ("16, 24", "| 40 (this one) |", "Verdict: ", "\nMood: ...\nCook: ...\n", "The bare base: "):
        assert words in card, words
    assert re.search(r"\| imported \| (\d) \| ([12]) \|", card)
    with Session(baked, read_only=True) as session:
        texts = [example.text for example in session.store.examples.values()]
        values = [example.fields["Cook"] for example in session.store.examples.values()]
        shown = adapter_card(session, CHECKPOINT, ["mine"], 0.5, "cc-by-4.0", "me/tavern")
    assert not [text for text in [*texts, *values] if text in card]
    assert yaml.safe_load(shown.split("---\n")[1])["license"] == "cc-by-4.0"
    assert str(baked.parent) not in shown and '"me/tavern"' in shown and "multiplied by 0.5" in shown


def test_a_strength_scales_the_effect_and_1_changes_no_byte(exported, baked):
    source = baked / "runs/0001/checkpoints/epoch-40/adapter_model.safetensors"
    whole, half = exported("adapter"), exported("adapter", "--strength", 0.5)
    assert (whole / "adapter_model.safetensors").read_bytes() == source.read_bytes()
    before, after = load_file(source), load_file(half / "adapter_model.safetensors")
    for name, tensor in before.items():
        assert after[name].equal(tensor * 0.5 if ".lora_B." in name else tensor), name
    choices = Choices(baked)
    choices.set_strength(CHECKPOINT, 0.5)  # what was chosen for it goes along unasked
    try:
        assert (exported("adapter") / "adapter_model.safetensors").read_bytes() == (half / "adapter_model.safetensors").read_bytes()
    finally:
        choices.set_strength(CHECKPOINT, 1.0)


def test_the_strength_that_was_chosen_for_a_checkpoint_is_exported(exported, baked):
    with Session(baked) as session:
        session.choices.set_strength(CHECKPOINT, 0.5)
    try:
        chosen, given = exported("adapter"), exported("adapter", "--strength", 0.5)
    finally:
        with Session(baked) as session:
            session.choices.set_strength(CHECKPOINT, 1.0)
    assert (chosen / "adapter_model.safetensors").read_bytes() == (given / "adapter_model.safetensors").read_bytes()
    assert "multiplied by 0.5" in (chosen / "README.md").read_text()


def test_what_cannot_be_exported_is_one_line(baked, tmp_path):
    (tmp_path / "there").write_text("mine")
    for said, words in [
        ("is there already", ("adapter", tmp_path / "there")),
        ("no strength of an adapter", ("merged", tmp_path / "x", "--strength", 3)),
        ("The base is active", ("gguf-adapter", tmp_path / "x", "--checkpoint", "base")),
        ("There is no checkpoint", ("gguf", tmp_path / "x", "--checkpoint", "0009/epoch-01")),
    ]:
        done = run("export", baked, *words, check=False)
        assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1, (words, done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["there"] and (tmp_path / "there").read_text() == "mine"


def test_a_damaged_checkpoint_is_not_exported(baked, tmp_path):
    shutil.copytree(baked, tmp_path / "copy")
    path = tmp_path / "copy/runs/0001/checkpoints/epoch-40/adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    done = run("export", tmp_path / "copy", "gguf-adapter", tmp_path / "x.gguf", check=False)
    assert done.returncode == 1 and "is damaged" in done.stderr
    assert not (tmp_path / "x.gguf").exists()


def test_nothing_in_a_text_ends_its_fence_or_its_line():
    assert fenced("a ```` b").splitlines() == ["`````", "a ```` b", "`````"]
    assert escaped("<b>|x|\n# y") == r"\<b\>\|x\| \# y"


def test_a_modelfile_keeps_the_words_of_the_task():
    task = Task('A {{ .Prompt }} """ heading', fields=(Field("Mood"),))
    text = modelfile(task, Sampling())
    template = text.split('TEMPLATE """')[1].split('"""')[0]
    assert template.startswith(
        '# A {{ "{{" }} .Prompt }} {{ "\\"\\"\\"" }} heading\n\n{{ if .Prompt }}## Attributes\n\n{{ .Prompt }}\n\n## '
    )
    assert 'PARAMETER stop """\n#"""' in text
