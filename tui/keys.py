"""Every key of every screen, in one table: what the bindings, the footer, the help and `[keys]` in flavor.toml are made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from textual.binding import Binding, BindingType
from textual.keys import Keys, _character_to_key

from core.errors import FlavorError


class Key(NamedTuple):
    """An action of a screen: its default key, its label, a sentence, and whether the footer shows it."""

    name: str
    key: str
    label: str
    tip: str
    shown: bool = False

    @property
    def while_typing(self) -> bool:
        """Whether it holds where something is typed too, before the box that would take it."""
        return self.key.startswith(("ctrl+", "f")) and len(self.key) > 1


KEYS: dict[str, tuple[Key, ...]] = {
    "app": (
        Key("write", "f2", "write", "Go to Write: type an example"),
        Key("curate", "f3", "curate", "Go to Curate: decide candidates"),
        Key("library", "f4", "library", "Go to Library: all examples and decided candidates"),
        Key("runs", "f5", "runs", "Go to Runs: runs and checkpoints"),
        Key("report", "f6", "report", "Go to Report: the evening, and what to do next"),
        Key("theme", "ctrl+t", "light or dark", "Change between light and dark; it is remembered"),
        Key("help", "question_mark,f1", "help", "Show all keys of this screen", True),
        Key("restart_worker", "R", "restart worker", "Start the worker again after it stopped"),
        Key("rescue", "ctrl+r", "rescue", "After a disk error: write again, or save a copy elsewhere"),
        Key("download", "D", "download the base", "Bring the base model from the hub"),
        Key("models", "M", "models", "The models on this machine, what fits it, and good ones to begin with"),
        Key("weaker", "left_square_bracket", "weaker", "Sample with less of the active adapter: what may save an overbaked one"),
        Key("stronger", "right_square_bracket", "stronger", "Sample with more of the active adapter"),
        Key("cancel", "c,escape", "cancel", "Stop the retraining or the sampling that is going on"),
        Key("quit", "ctrl+q", "quit", "Leave; everything is saved already"),
    ),
    "write": (
        Key("save_example", "ctrl+s", "save, next", "Save the example and start the next one", True),
        Key("continue_text", "ctrl+g", "continue", "Let the model continue the text", True),
        Key("undo_write", "ctrl+u", "undo save", "With nothing typed: take the last saved example back into the boxes, to mend it", True),
        Key("leave", "escape", "curate", "Go to Curate; the draft is kept", True),
    ),
    "curate": (
        Key("accept", "a", "accept", "Accept the candidate as an example", True),
        Key("reject", "x", "reject", "Reject the candidate", True),
        Key("edit", "e", "edit", "Edit the text or its attributes, then accept it", True),
        Key("skip", "space", "skip", "Decide nothing about this candidate", True),
        Key(
            "undo", "u", "undo", "Take the last decision back, as often as you like; what was done elsewhere only when pressed again", True
        ),
        Key("retrain", "t", "retrain", "Retrain: afresh while the examples are few, else on from the active checkpoint", True),
        Key("retrain_fresh", "T", "retrain afresh", "Retrain from the base"),
        Key("taste", "P", "taste", "Learn from what was edited, accepted and rejected, after training"),
        Key("more", "g", "more", "Sample more candidates now", True),
        Key("attributes", "f", "attributes", "Fix attribute values for the next candidates"),
        Key("scroll_down", "down,j", "down", "Scroll the text down"),
        Key("scroll_up", "up,k", "up", "Scroll the text up"),
    ),
    "library": (
        Key("open", "enter", "open", "Open the row", True),
        Key("search", "slash", "search", "Search in texts and attributes, of all rows", True),
        Key("filter", "o", "filter", "Show rejected, skipped and passed too, then one origin at a time", True),
        Key("delete", "d", "delete", "Delete the example (undoable)", True),
        Key("bring_in", "i", "import", "Import examples from files, folders, the hub or the clipboard", True),
        Key("export_library", "e", "export", "Write the examples that the table shows into a file: .csv, .txt, .jsonl, .md", True),
        Key("undo_library", "u", "undo", "Take the last change back; what was done elsewhere only when pressed again", True),
        Key("measure", "l", "loss", "Measure the loss of every example with the active checkpoint"),
    ),
    "runs": (
        Key("use", "enter", "use", "Make this checkpoint active", True),
        Key("evidence", "v", "evidence", "Show the gauges of this checkpoint, each with its evidence"),
        Key("mark", "space", "mark", "Draw the losses of this run together with those of the other marked ones", True),
        Key("compare", "c", "compare", "Contact sheet: the same prompts and seeds at every checkpoint, side by side", True),
        Key("blind", "b", "blind A/B", "Two texts of one prompt, whose is hidden: vote, and see at the end what you prefer", True),
        Key("back", "z", "go back", "Go to any moment, dataset and checkpoint together; nothing is deleted", True),
        Key("undo_runs", "u", "undo", "Take the last going back or vote back; what was done elsewhere only when pressed again"),
        Key("note", "n", "note", "Keep a line of your own about this checkpoint or run"),
        Key("retrain_runs", "t", "retrain", "Retrain: afresh while the examples are few, else on from the active checkpoint"),
        Key("again", "A", "again", "Carry this run out once more, from its own rows and seed: what to do when one was interrupted"),
        Key("retrain_fresh_runs", "T", "afresh", "Retrain from the base"),
        Key("curve", "l", "curve", "How many examples are enough: the learning curve, as far as it is measured"),
        Key("taste_runs", "P", "taste", "Learn from what was edited, accepted and rejected, after training"),
    ),
    "report": (
        Key("retrain_report", "t", "retrain", "Retrain: afresh while the examples are few, else on from the active checkpoint"),
        Key("retrain_fresh_report", "T", "retrain afresh", "Retrain from the base"),
        Key("export_report", "e", "export", "Write the report into the workspace, as a page and as Markdown", True),
        Key("measure_report", "m", "measure rows", "Measure the loss of every example with the active checkpoint", True),
        Key("curve_report", "l", "curve", "How many examples are enough: the learning curve, as far as it is measured", True),
        Key("sweep_report", "s", "sweep", "Train other ranks, rates and epochs beside the present ones, on the same folds", True),
    ),
}


def bindings(screen: str) -> list[BindingType]:
    """The bindings of a screen, each with its id, so that `[keys]` can move it."""
    return [
        Binding(
            key.key,
            key.name,
            key.label,
            tooltip=key.tip,
            show=key.shown,
            id=key.name,
            priority=key.while_typing,
        )
        for key in KEYS[screen]
    ]


CHARACTERS = frozenset(_character_to_key(chr(code)) for code in range(32, 127))
"""Those that every keyboard has, as Textual names them."""


def named(key: str) -> str:
    """A key by the one name that Textual has for it: `/` is `slash`."""
    return _character_to_key(key) if len(key) == 1 else key


def types(key: str) -> bool:
    """Whether a box takes it for what is typed."""
    return len(key) == 1 or key in CHARACTERS or key in ("enter", "tab", "backspace")


def usable(key: str) -> bool:
    """Whether a terminal can send a key of that name: `a`, `T`, `f7`, `ctrl+r`, `space`, `slash`."""
    *modifiers, name = key.split("+")
    known = {char for each in Keys for char in each.value.split("+")} | CHARACTERS
    letter = len(name) == 1 and name.isprintable() and not name.isspace()
    return set(modifiers) <= {"ctrl", "shift", "alt", "super"} and (letter or name in known or name in ("enter", "tab", "backspace"))


def check(own: Mapping[str, str]) -> dict[str, str]:
    """The person's `[keys]`. Raises FlavorError on an unknown action, a key that does two things on one screen, or one that could not be typed
    any more."""
    known = {key.name: key for table in KEYS.values() for key in table}
    for name in own:
        if name not in known:
            raise FlavorError(f"flavor.toml: [keys] has an unknown action {name!r}.", f"Known: {', '.join(sorted(known))}.", "config")
    for name, keys in own.items():
        for single in keys.split(","):
            if not usable(single):
                hint = "For instance a, T, f7, ctrl+r, space, slash; several with a comma and no blank between."
                raise FlavorError(f"flavor.toml: [keys] gives {name} the key {single!r}, which there is not.", hint, "config")
            if known[name].while_typing and types(single):
                said = f"flavor.toml: [keys] gives {name} the key {single!r}, which could not be typed any more: {name} holds while you type too."
                raise FlavorError(said, "Give it one such as f7 or ctrl+e.", "config")
    for screen, table in KEYS.items():
        used: dict[str, str] = {}
        for key in (*table, *(KEYS["app"] if screen != "app" else ())):
            for single in own.get(key.name, key.key).split(","):
                other = used.setdefault(named(single), key.name)
                if other != key.name and (key.name in own or other in own):
                    raise FlavorError(f"flavor.toml: [keys] gives {single!r} to both {other} and {key.name}.", "Choose another.", "config")
    return dict(own)
