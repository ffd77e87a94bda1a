"""Hostile texts in every place that shows a text, in a real terminal: nothing is obeyed, nothing is lost, nothing crashes."""

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys

import msgspec

from core import runfiles
from core.config import Lora, Training
from core.files import new_uid, now
from core.runfiles import Result, RunSpec
from core.text import clean, clean_line, has_controls
from dataset.rows import Batch, Candidate, Example, Tables
from runs.registry import Registry
from tests.safety.hostile import text
from tests.safety.program import ROOT, WITH_FAKE, make_workspace
from tests.safety.sizes import report, rng, size
from tests.safety.terminal import Terminal
from tui.session.session import Session

NAME = "work\x1b]0;owned\x07 [/b] [@click=app.quit]\u202e here"
"""A folder's name may hold anything but a slash."""
OBEYED = """
import core.text
core.text.clean = lambda text: text
import tui.widgets.plain as p
p.ControlFilter.apply = lambda self, segments, background: segments
"""
"""A planted fault: nothing is made visible, and the last filter lets everything through."""
MARKED_UP = """
import tui.widgets.plain as p
from textual.content import Content
p.plain = lambda text, style="": Content.from_markup(text.replace("[/", "["))
"""
"""A planted fault: texts are taken for markup, as Textual does of itself."""


OTHER = re.compile(r"Candidate \d+ has a lamp")
NONE = "No candidate waits"


def squeezed(text):
    return "".join(text.split())


def fill(workspace, texts):
    """Store hostile texts as they are, as a workspace from elsewhere may hold them: as candidates, examples and values, in a run."""
    with Session(workspace) as session:
        batch = Batch(new_uid(), "base", [[("# x\n\n", 0.0)]] * len(texts), list(range(len(texts))), {}, now())
        candidates = {}
        for number, raw in enumerate(texts):
            uid = new_uid()
            values = {"Height": "3", "Keeper": texts[-1 - number][:40]}
            candidates[uid] = Candidate(uid, raw, values, "base", batch.uid, number, number, "stop", 9, [raw[:30]], now())
        session.commit("sample", Tables(candidates=candidates, batches={batch.uid: batch}))
        examples = {uid: Example(uid, raw, {"Keeper": raw[:40]}, "written", now()) for raw in texts[:9] if (uid := new_uid())}
        session.commit("import", Tables(examples=examples), texts[0])
        empty = hashlib.sha256(b"").hexdigest()
        spec = RunSpec("0001", texts[1], texts[2], "f", "nf4", Lora(), Training(), 1, 1, 1e-3, None, 0, 0, empty, {texts[3]: texts[4]})
        folder = session.registry.create(msgspec.structs.replace(spec, base=texts[2]), [])
        runfiles.write(folder / "result.json", Result("failed", reason=texts[5]))


def storable(raw):
    """`raw` as JSON can hold it: a lone surrogate cannot be written."""
    return raw.encode("utf-8", "replace").decode()


class Reader:
    """Looks for texts on the screen, and keeps what was not as it should be. A planted fault is waited out: shortly, since its card is there."""

    def __init__(self, terminal, patience=120, glance=120):
        self.terminal, self.patience, self.glance = terminal, patience, glance
        self.wrong = []

    def until(self, condition, fault, patience=None):
        """Wait for a condition, as long as it takes a busy machine; whether it came."""
        with contextlib.suppress(AssertionError):
            self.terminal.wait(lambda: condition() or self.terminal.ended(), patience or self.patience)
        if not condition():
            self.wrong.append(fault)
            return False
        return True

    def see(self, raw, where):
        """All of the text is on the screen, whatever the line breaks."""
        wanted = squeezed(clean(raw))
        return self.until(lambda: wanted in squeezed(self.terminal.screen.text()), f"{where}: not seen: {raw!r}", self.glance)

    def come(self, word, where):
        """Wait for a word; whether it came."""
        return self.until(lambda: word in self.terminal.screen.text(), f"{where}: {word} never came")

    def odd(self):
        found = [f"obeyed: {sequence!r}" for sequence in self.terminal.screen.odd]
        self.terminal.screen.odd.clear()
        return found


def names_on(screen):
    """The names of texts on the screen, from its top to its bottom."""
    return re.findall(r"id\d{5}z", screen.text())


def card(screen, texts):
    """The text on the card: its name stands below that of the text in its attribute, which is another one's; None while it is drawn."""
    found = names_on(screen)
    number = int(found[1][2:-1]) if len(found) > 1 else len(texts)
    return texts[number] if number < len(texts) and found[0] == texts[-1 - number][:8] else None


def rows_on(screen):
    """The same of a table's texts: in each line the last one, since those before it are of its attributes."""
    return [found[-1] for line in screen.text().splitlines() if (found := re.findall(r"id\d{5}z", line))]


def leaf(reader, names):
    """Through a table, down and up again, until all its texts were shown; those that were not. The newest stand on top."""
    terminal = reader.terminal
    top, bottom = rows_on(terminal.screen)[:2], [names[1], names[0]]
    missing = set(names) - {*rows_on(terminal.screen)}
    for key in ("\x1b[6~", "\x1b[5~") * 3:
        page = ends = None
        while missing and page != rows_on(terminal.screen) and not ends:
            page = rows_on(terminal.screen)
            terminal.press(key)
            with contextlib.suppress(AssertionError):
                terminal.wait(lambda page=page: rows_on(terminal.screen) != page, 20)
            terminal.drain()
            missing -= {*rows_on(terminal.screen)}
            ends = rows_on(terminal.screen)[-2:] == bottom if key == "\x1b[6~" else rows_on(terminal.screen)[:2] == top
    return missing


def walk(reader, texts):
    """Through all screens by keys."""
    terminal = reader.terminal
    waiting = list(texts)
    screen = terminal.screen
    while True:  # the ranking says in which order they come
        if not reader.until(
            lambda: card(screen, texts) in waiting or OTHER.search(screen.text()) or NONE in screen.text(),
            f"{len(waiting)} cards never came",
        ):
            return
        if NONE in screen.text():
            break
        if other := OTHER.search(screen.text()):  # the stand-in wrote some before its error
            terminal.press("x")
            reader.until(lambda other=other[0]: other not in screen.text(), f"{other[0]} never went")
            continue
        raw = card(screen, texts)
        if not reader.see(raw, "card"):
            return
        waiting.remove(raw)
        terminal.press("x")
    reader.wrong += [f"card: never shown: {raw!r}" for raw in waiting]
    terminal.press("\x1bOS")  # F4
    if not reader.come("o shows", "library"):
        return
    terminal.press("o")
    if not reader.come("of them rejected", "library"):
        return
    reader.wrong += [f"library: {name} was never shown" for name in leaf(reader, [raw[:8] for raw in texts])]
    for _ in range(3):
        terminal.press("\r")
        if not reader.come("leave, unchanged", "dialog"):
            return
        terminal.press("\x1b")
        if not reader.until(lambda: not terminal.shows("leave, unchanged"), "dialog: it did not close"):
            return
        terminal.press("\x1b[A")
    for key, word in (("\x1b[15~", "This is the base"), ("\x1b[A", "Run 0001"), ("\x1bOR", NONE), ("\x1bOQ", "about 0 tokens")):
        terminal.press(key)
        if not reader.come(word, "screens"):
            return
    terminal.press("\x1b[200~" + texts[0].replace("\x1b", "") + "\x1b[201~")
    reader.come(texts[0][:8], "paste")
    terminal.press("\x13")
    reader.come("Saved", "saving what was pasted")


def play(folder, texts, state, planted=""):
    """A whole walk in a terminal of its own; what was wrong with it."""
    workspace = make_workspace(folder / NAME, ready=0)
    fill(workspace, texts)
    environment = {"PYTHONPATH": str(ROOT), "FLAVOR_TUI_STATE": str(state), "FLAVOR_TUI_CACHE": str(state / "cache")}
    with Terminal(workspace, code=WITH_FAKE + planted, columns=100, rows=45, FAKE_FAULT="failed:sample", **environment) as terminal:
        reader = Reader(terminal, 20, 4) if planted else Reader(terminal)
        terminal.wait(lambda: terminal.shows("id0") or terminal.ended())
        if reader.come("ready: fake", "worker"):
            terminal.press("g")  # the stand-in answers with a hostile error
            reader.come("]52;c;aGk=", "notification")
            walk(reader, texts)
        if terminal.ended():
            return [*reader.wrong, "the program ended"]
        terminal.press("\x11")
        terminal.wait_end()
        return reader.wrong + reader.odd()


def test_hostile_texts_are_shown_and_not_obeyed(tmp_path):
    random = rng("hostile texts")
    count = size("hostile texts")
    texts = [storable(text(random, number)) for number in range(count)]
    wrong = play(tmp_path / "a", texts, tmp_path / "state")
    obeyed = play(tmp_path / "b", texts[:6], tmp_path / "state", OBEYED)
    marked = play(tmp_path / "c", texts[:6], tmp_path / "state", MARKED_UP)
    planted = {"obeyed": any("obeyed" in fault for fault in obeyed), "taken for markup": any("not seen" in fault for fault in marked)}
    report(
        "hostile texts",
        f"{count} on all screens: {len(wrong)} obeyed, lost or crashed",
        ", ".join(f"{name}: {'caught' if found else 'MISSED'}" for name, found in planted.items()),
    )
    assert not wrong, wrong[:5]
    assert all(planted.values())


def cli(*words, pipe=False, **environment):
    """A command's output: as a terminal draws it, or its bytes through a pipe."""
    own = {"PYTHONPATH": str(ROOT), **environment}
    if pipe:
        program = f"{WITH_FAKE}\nfrom tui.launcher import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, words)], capture_output=True, check=False, env={**os.environ, **own}
        )
        return done.stdout.decode(), done.stderr.decode()
    with Terminal(*words, code=WITH_FAKE, columns=250, rows=60, **own) as terminal:
        terminal.wait_end()
        assert not terminal.screen.odd, terminal.screen.odd
        return terminal.screen.text(), ""


def test_the_command_line_shows_and_does_not_obey(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAVOR_TUI_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path / "cache"))
    random = rng("hostile texts of commands")
    texts = [storable(text(random, number)) for number in range(9)]
    workspace = make_workspace(tmp_path / NAME, ready=0)
    fill(workspace, texts)
    listed, _ = cli("runs", workspace)
    assert texts[5][:8] in listed
    (tmp_path / "texts").write_text(json.dumps(texts))
    made, _ = cli("generate", workspace, "-n", 9, "--seed", 0, FAKE_TEXTS=str(tmp_path / "texts"))
    assert all(squeezed(clean(raw)) in squeezed(made) for raw in texts[:3])
    bad = tmp_path / "rows\x1b[2J\u202e[b].jsonl"
    bad.write_text('{"text": ""}')
    for words in (
        ("import", workspace, bad),
        ("import", workspace, tmp_path / "no\x9b\udcff.csv"),
        ("use", workspace, texts[0]),
        ("nothing", NAME),
    ):
        said, _ = cli(*words)
        assert "flavor-tui" in said
        for out in cli(*words, "--json", pipe=True):
            assert not any(map(has_controls, out.split("\n"))), out
    out, _ = cli("generate", workspace, "-n", 9, "--seed", 0, "--json", pipe=True, FAKE_TEXTS=str(tmp_path / "texts"))
    assert not any(map(has_controls, out.split("\n"))), out
    assert [json.loads(line)["text"] for line in out.split("\n")[:9]] == list(map(clean, texts))
    out, _ = cli("runs", workspace, "--json", pipe=True)
    assert json.loads(out.split("\n")[0])["reason"] == texts[5]  # what is escaped is not lost
    assert Registry(workspace).run("0001").result.reason == texts[5] != clean_line(texts[5])


def test_what_is_hidden_is_not_trained_on(tmp_path):
    workspace = make_workspace(tmp_path / "w", ready=0)
    with Session(workspace) as session:
        raw = "plain words\u200b and more"
        uid = new_uid()
        session.commit("import", Tables(examples={uid: Example(uid, raw, {}, "imported", now())}), "from elsewhere")
        plan = session.plan(fresh=True)
        assert plan.left_out == 1 and raw not in [row.text for row in plan.rows] and "hidden" in plan.line()
        session.change_example(uid, raw, {})  # opened and saved: it was seen
        assert session.plan(fresh=True).left_out == 0
        assert "plain words<U+200B> and more" in [row.text for row in session.plan(fresh=True).rows]
