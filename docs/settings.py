"""Writes docs/settings.md from what the program itself knows: the sections of `core/config.py` with their docstrings, and the actions of
`tui/keys.py`: `python -m docs.settings`. A test holds the page to it."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from core import config
from core.task import Task
from tui.keys import KEYS

PAGE = Path(__file__).parent / "settings.md"
WORDS = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "less than {}"}
SECTIONS: dict[str, tuple[type[msgspec.Struct], str]] = {
    "model": (config.Model, "The base that everything is trained on."),
    "lora": (config.Lora, "The adapter. Half the rank needs half the `alpha` for the same strength."),
    "training": (config.Training, "What `t` and `T` do, and `P`."),
    "sampling": (config.Sampling, "How candidates are drawn; [sampling.md](sampling.md) tells more."),
    "metrics": (config.Metrics, "Where the figures of a run go besides its own `metrics.jsonl`. All stay on this machine."),
    "look": (config.Look, "The screen."),
}
HEAD = """\
# Settings, keys and files

`flavor.toml` in the workspace holds the task and the settings. It is yours: every setting that is not in use stands in it as a comment with its default, and the program
changes no line of it but that of the base (`M`). It is read at every start; what is wrong in it is said with its line. This page is made from the program
(`python -m docs.settings`).

## `[task]`

| setting | default | |
|---|---|---|
| `heading` | | what the texts are: it stands above each of them, and is the trigger of every prompt |
"""
TASK = {
    "attributes_heading": "the heading above the attributes; only where there are fields",
    "text_heading": "the heading above the text; only where there are fields",
}
FIELDS = """\

An attribute is a section `[[task.fields]]` of its own, with `name`, `kind`, and for a choice `values`:

| kind | what it takes | on the command line |
|---|---|---|
| `text` | anything on one line | `--field Subject` |
| `choice` | one of its values | `--field "Mood=choice:Calm,Grim"` |
| `scale` | 1 to 5 | `--field Menace=scale` |

Attributes may be added, renamed or taken out at any time: rows keep what they have, and show what the task has now. A value that a choice lost
is still trained on in the rows that have it; the plan and Report name it. Where heading or attributes changed since the active checkpoint was trained, `t` trains afresh.
Three tasks come with the program: `flavor-tui new FOLDER --template alien-empires`, `skill-checks` or `image-prompts`.
"""
KEYS_HEAD = """
## `[keys]`

Own keys, an action's name and its key: `accept = "y"`, or several with a comma, `accept = "y,enter"`. A key is a letter (`T` is with shift), `f7`, `ctrl+r`, or a
name such as `space` and `slash`. Refused are a key that would do two things on one screen, and one that types a character for what below has keys with `ctrl` or F keys
alone: that holds while you type too. Footer, tabs, notes and the list of keys in help (`?`) show yours; the sentences of help, those of what to do next and what an error advises
name those below.

| page | action | key | |
|---|---|---|---|
"""
FILES = """
## Files of a workspace

| | |
|---|---|
| `flavor.toml` | the task and the settings |
| `journal.log` | everything that was written, decided and undone: the truth, from which `dataset.json` is made anew where it is missing |
| `dataset.json` | the same as tables, to be read by other programs |
| `runs/` | a folder a run: its frozen rows, settings, metrics and checkpoints; `current` names the active one |
| `choices.json` | strengths and notes of checkpoints and runs |
| `sheet.jsonl`, `curve.jsonl`, `sweep.jsonl`, `measured.json` | contact sheets, the points of the learning curve and of sweeps, losses of rows: measured again where they are gone |
| `snapshots/` | the last ten sessions' ends, for `flavor-tui doctor` to mend from |
| `drafts/` | what is typed and not saved yet |
| `desk.json` | where the last start ended |
| `damaged/` | what was set aside when a damaged file was mended |
| `logs/` | `worker.log`, `screen.log`: nothing of them is sent anywhere |
| `metrics/` | what `[metrics]` asked for |
| `lock` | who has the workspace open; a second session opens it to be read only |

To keep an evening, copy the whole folder while it is closed, or `flavor.toml`, `journal.log`, `choices.json` and `runs/` at least. Outside of it there are the cache (`~/.cache/flavor-tui`, on macOS `~/Library/Caches/flavor-tui`, or `FLAVOR_TUI_CACHE`:
converted models and chosen 4-bit codes, both made again where they are gone) and the list of recent workspaces (`~/.local/state/flavor-tui`, or `FLAVOR_TUI_STATE`). `XDG_CACHE_HOME` and `XDG_STATE_HOME` are heeded.
"""


def explained(section: type[msgspec.Struct]) -> dict[str, str]:
    """The docstring that stands below each setting, on one line."""
    (body,) = ast.parse(inspect.getsource(section)).body
    assert isinstance(body, ast.ClassDef)
    found, last = {}, ""
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last:
            found[last] = " ".join(str(node.value.value).split())
            last = ""
    return found


def range_of(kind: Any) -> str:
    """What a setting may be, where that is less than anything of its kind: bounds, or the words that it is one of."""
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.LiteralType):
        return " or ".join(f"`{json.dumps(value)}`" for value in info.values)
    bounds = [WORDS[name].format(f"{value:,}") for name in WORDS if (value := getattr(info, name, None)) is not None]
    return " ".join(bounds)


def section(name: str) -> Iterator[str]:
    kind, about = SECTIONS[name]
    words, hints = explained(kind), get_type_hints(kind, include_extras=True)
    yield f"\n## `[{name}]`\n\n{about}\n\n| setting | default | may be | |\n|---|---|---|---|\n"
    for field, value in msgspec.to_builtins(kind()).items():
        yield f"| `{field}` | `{json.dumps(value)}` | {range_of(hints[field])} | {link(words.get(field, ''))} |\n"


def link(text: str) -> str:
    """`docs/x.md` is beside this page."""
    return re.sub(r"`?docs/([\w-]+\.md)`?", r"[\1](\1)", text).replace("|", "\\|")


def page() -> str:
    defaults = {field.name: field.default for field in msgspec.structs.fields(Task)}
    parts = [HEAD, *(f"| `{name}` | `{json.dumps(defaults[name])}` | {about} |\n" for name, about in TASK.items()), FIELDS]
    parts += [part for name in SECTIONS for part in section(name)]
    presets = [
        f"| `{name}` | {', '.join(f'`{key} = {value:g}`' for key, value in values.items()) or 'as above'} |\n"
        for name, values in config.PRESETS.items()
    ]
    at = parts.index(next(part for part in parts if part.startswith("\n## `[metrics]`")))
    parts[at:at] = ["\n| preset | sets |\n|---|---|\n", *presets]
    parts.append(KEYS_HEAD)
    parts += [
        f"| {'every' if screen == 'app' else screen.capitalize()} | `{key.name}` | {' '.join(f'`{one}`' for one in key.key.split(','))} | {key.tip} |\n"
        for screen, table in KEYS.items()
        for key in table
    ]
    return "".join([*parts, FILES])


if __name__ == "__main__":
    PAGE.write_text(page())
