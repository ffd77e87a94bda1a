"""What every command prints with --json, as types: `python -m docs.json_lines` writes docs/json-schema.json from them; tests hold outputs to them.

Every command prints one JSON object a line. The last line is the result; what comes before it are steps on the way. A failure is one
`Failure` and exit status 1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.finding import Finding

HERE = Path(__file__).parent / "json-schema.json"
Fields = dict[str, str]
Verdict = Literal["underbaked", "good", "overbaked", "cannot tell yet"]


class Line(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One line; nothing that is not named here stands in it."""


class Failure(Line):
    error: str
    hint: str
    kind: str
    """A stable word: missing, locked, import, columns, field, empty, exists, damaged, config, worker, ..."""


class New(Line):
    workspace: str
    heading: str
    fields: list[str]


class Intake(Line):
    rejected: int
    repaired: int
    ignored: int
    near_duplicates: int
    text_from: str | None
    fields_from: Fields
    unused: list[str]
    examples: int


class Import(Intake):
    imported: int


class ImportRow(Line):
    text: str
    fields: Fields
    rejected: bool


class ImportLook(Intake):
    """With --dry-run."""

    would_import: int
    faults: list[Failure]
    first: list[ImportRow]
    twins: list[str]


class Candidate(Line):
    id: str
    text: str
    fields: Fields
    checkpoint: str
    seed: int
    flags: list[str]
    finish: str
    slot: str | None = None
    """With --ranked."""
    p_accept: float | None = None
    """With --ranked, once the ranking has learned: 0 to 1."""


class Generate(Line):
    candidates: int
    tokens: int
    seconds: float
    checkpoint: str


class Decide(Line):
    candidate: str
    verdict: Literal["accept", "edit", "reject", "skip"]
    example: str


class Undo(Line):
    undone: str | None
    examples: int


class Plan(Line):
    plan: str
    rows: int
    held_out: int
    new: int
    advice: str


class Epoch(msgspec.Struct, kw_only=True):
    """Losses in nats a token; besides, the gauges that were measured, by name."""

    epoch: int
    held_out_loss: float | None
    loss: float | None
    checkpoint: str | None


class Stopped(Line):
    stopped: str


class Retrain(Line):
    run: str
    parent: str | None
    steps: int
    epochs: list[Epoch]
    seconds: float
    tokens: int
    skipped: list[str]
    why: str
    stopped: str
    checkpoint: str


class Evaluate(Line):
    loss: float
    """Nats a token."""
    tokens: int
    rows: int
    checkpoint: str


class Piece(Line):
    words: str
    where: str
    source: str


class Reading(Line):
    name: str
    number: float
    sentence: str
    interval: tuple[float, float] | None
    reference: float | None
    unit: str
    says: str
    evidence: list[Piece]


class Gauges(Line):
    checkpoint: str
    verdict: Verdict
    why: str
    decided: list[str]
    next: str
    next_sentence: str
    next_reasons: list[str]


class Checkpoint(Line):
    checkpoint: str
    held_out_loss: float | None
    active: bool
    verdict: Verdict
    why: str


class Run(Line):
    run: str
    status: str
    reason: str
    parent: str | None
    rows: int | None
    new: int | None
    checkpoints: list[Checkpoint]


class Runs(Line):
    runs: int
    checkpoint: str


class Use(Line):
    checkpoint: str


class Status(msgspec.Struct, kw_only=True):
    """Besides, counts that later versions may add."""

    examples: int
    pending: int
    accepted: int
    rejected: int
    edited: int
    skipped: int
    passed: int
    checkpoint: str
    ranking: dict[str, Any]


class Export(Line):
    """Of the dataset and of preferences; `files` where it is a folder: rows by file."""

    rows: int
    to: str
    files: dict[str, int] | None = None


class Completion(Line):
    shell: str
    script: str


class Reproduce(Line):
    id: str
    text: str
    same: bool


class Health(Line):
    """Of a workspace."""

    well: bool
    damaged: int
    lost: int
    mended: int


LINES: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "new": (New,),
    "import": (Import, ImportLook),
    "generate": (Candidate, Generate),
    "decide": (Decide,),
    "undo": (Undo,),
    "retrain": (Plan, Epoch, Stopped, Retrain),
    "taste": (Plan, Epoch, Stopped, Retrain),
    "evaluate": (Evaluate,),
    "runs": (Run, Runs),
    "gauges": (Reading, Gauges),
    "use": (Use,),
    "status": (Status,),
    "export": (Export,),
    "completion": (Completion,),
    "reproduce": (Reproduce,),
    "doctor": (Finding, Health),
}
"""The lines of each command, its result last."""


def check(command: str, line: str) -> str:
    """The name of the type that a line has. Raises AssertionError, with every reason, where it has none of its command's."""
    reasons = []
    for kind in (*LINES[command], Failure):
        try:
            msgspec.json.decode(line, type=kind)
        except msgspec.ValidationError as error:
            reasons.append(f"{kind.__name__}: {error}")
        else:
            return kind.__name__
    raise AssertionError(f"{command} printed {line[:300]}, which is none of {reasons}")


def schema() -> dict[str, Any]:
    """One JSON Schema: `$defs` by name, and which lines each command prints."""
    kinds = list(dict.fromkeys([Failure, *(kind for lines in LINES.values() for kind in lines)]))
    _, defs = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    ref = "#/$defs/{}".format
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What flavor-tui prints with --json: one object a line, the last one the result, or a Failure",
        "properties": {name: {"anyOf": [{"$ref": ref(kind.__name__)} for kind in (*lines, Failure)]} for name, lines in LINES.items()},
        "$defs": defs,
    }


def main() -> None:
    HERE.write_text(json.dumps(schema(), indent=1) + "\n")


if __name__ == "__main__":
    main()
