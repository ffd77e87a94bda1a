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
    made_up: list[str]
    """The attributes whose values the base made up."""
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


class Provisional(Line):
    provisional: str
    """A checkpoint that is active already, while the run's epochs are measured."""
    seconds: float


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
    measured_by: str
    """The checkpoint that the held-out loss is of: of a refit the epoch that it repeats on all rows, else itself."""
    note: str = ""
    """Figures that could not be written for other tools."""


class Note(Line):
    note: str


class Evaluate(Line):
    loss: float
    """Nats a token."""
    tokens: int
    rows: int
    """Texts that were measured."""
    checkpoint: str
    skipped: list[str]
    """Those that are too long for `max_tokens`, by their place in the file, from 1."""
    examples: int
    """Of all texts of the file those that are examples of the workspace, word for word: a loss of these is no held-out loss."""


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
    measured_by: str
    """The checkpoint that the held-out loss is of: of a refit the epoch that it repeats on all rows, else itself."""
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
    strength: float


class Moment(Line):
    """Without a MOMENT."""

    seq: int
    time: str
    what: str
    checkpoint: str
    examples: int
    kept: int
    decided: int
    about: str


class Back(Line):
    """With one."""

    line: int
    examples: int
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
    no_more: list[str] | None = None
    """Attributes that the task has no more, where rows have values of them."""


class ModelExport(Line):
    """Of everything that is made of a checkpoint."""

    checkpoint: str
    form: Literal["adapter", "merged", "gguf", "gguf-adapter", "ollama"]
    to: str
    bytes: int
    strength: float


class PushFile(Line):
    file: str
    bytes: int


class DryRun(Line):
    """With --dry-run: where the folder was written that would have been sent."""

    repo: str
    dry_run: str
    files: list[str]


class Push(Line):
    repo: str
    url: str
    public: bool
    files: list[str]


class Machine(Line):
    """Bytes of memory that are free, and of a GPU's where there is one."""

    free: int
    gpu: int


class Model(Line):
    name: str
    where: Literal["starter", "hub", "folder", "gguf", "to download"]
    bytes: int
    parameters: int | None
    verdict: Literal["fits", "tight", "too large"] | None
    training_bytes: int | None
    first_use_bytes: int | None
    licence: str
    about: str
    problem: str
    """Why it is no base; empty where it is one."""


class Models(Line):
    models: int


class Said(Line):
    """A step of a download, in words."""

    said: str


class Fetched(Line):
    base: str


class Served(Line):
    """The address to open; the command then goes on until it is stopped."""

    url: str


class Advice(Line):
    level: Literal["missing", "slow", "note"]
    what: str
    mend: str


class Doctor(Line):
    """Of this machine."""

    python: str
    cores: int
    memory: int
    versions: dict[str, str]
    device: str
    compute: str
    four_bit: str
    train_speed: float | None
    """Tokens a second to expect of the starter, from a short measurement."""
    models: list[str]
    advice: list[Advice]


class Point(Line):
    """A measured point of the learning curve."""

    fold: int
    seed: int
    rows: int
    step: int
    loss: float
    seconds: float


class Measured(Line):
    measured_now: int
    missing: int
    least: float


class Curve(msgspec.Struct, kw_only=True):
    """Besides, the levels, the law that was fitted, the rows' losses, the rounds of decisions, and what was kept by the way of sampling and of what was made up."""

    rows: int
    measured: int
    missing: int
    word: str
    gain: float | None
    sentence: str
    next: dict[str, Any]


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


class Quote(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    text: str
    note: str


class Section(Line):
    """A part of the report."""

    section: str
    lines: list[str]
    head: list[str] = []
    rows: list[list[str]] = []
    quotes: list[Quote] = []


class Conflict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    rows: list[str]
    """Two examples' ids."""
    why: str


class Odd(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    row: str
    loss: float
    """Nats a token."""
    signs: list[str]


class Next(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    action: str
    sentence: str


class Report(Line):
    rows: int
    origins: dict[str, int]
    verdicts: dict[str, int]
    active_seconds: float
    clock_seconds: float
    conflicts: list[Conflict]
    odd: list[Odd]
    next: Next
    html: str = ""
    md: str = ""


class SweepPlan(Line):
    settings: int
    trainings: int
    missing: int


class Training(Line):
    """One adapter of a sweep, measured on a fold that it did not see."""

    fold: int
    seed: int
    rows: int
    step: int
    loss: float
    seconds: float


class SweepPause(Line):
    measured_now: int
    missing: int


class Setting(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    setting: str
    loss: float | None
    difference: float | None
    """From the present settings, nats a token."""
    interval: tuple[float, float] | None
    epoch: float | None
    trainings: int
    word: str


class Sweep(Line):
    missing: int
    settings: list[Setting]
    sentence: str


class Demo(msgspec.Struct, kw_only=True):
    """With --play; besides, the counts of `status`. What comes before tells the play's steps, each in an object of its own."""

    rounds: list[dict[str, Any]]
    retrain: dict[str, Any]


class Step(msgspec.Struct, kw_only=True):
    """A step of the play: any of these and more."""

    stage: str | None = None
    round: str | None = None
    text: str | None = None
    workspace: str | None = None


LINES: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "demo": (Step, Demo),
    "new": (New,),
    "import": (Import, ImportLook),
    "generate": (Candidate, Generate),
    "decide": (Decide,),
    "undo": (Undo,),
    "back": (Moment, Back),
    "retrain": (Plan, Provisional, Epoch, Stopped, Note, Retrain),
    "taste": (Plan, Epoch, Stopped, Note, Retrain),
    "evaluate": (Evaluate,),
    "report": (Section, Report),
    "sweep": (SweepPlan, Training, SweepPause, Sweep),
    "runs": (Run, Runs),
    "gauges": (Reading, Gauges),
    "use": (Use,),
    "status": (Status,),
    "export": (Export, ModelExport),
    "push": (PushFile, DryRun, Push),
    "models": (Machine, Model, Said, Models, Fetched),
    "download": (Said, Fetched),
    "serve": (Served,),
    "curve": (Point, Measured, Curve),
    "completion": (Completion,),
    "reproduce": (Reproduce,),
    "doctor": (Finding, Health, Doctor),
}
"""The lines of each command, its result last."""


def check(command: str, line: str) -> str:
    """The name of the type that a line has. Raises AssertionError, with every reason, where it has none of its command's."""
    reasons = []
    kinds: tuple[type[msgspec.Struct], ...] = (*LINES[command], Failure)
    for kind in kinds:
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
    names: dict[str, list[str]] = {}
    for name, lines in LINES.items():
        of: tuple[type[msgspec.Struct], ...] = (*lines, Failure)
        names[name] = [kind.__name__ for kind in of]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What flavor-tui prints with --json: one object a line, the last one the result, or a Failure",
        "properties": {name: {"anyOf": [{"$ref": ref(kind)} for kind in kinds]} for name, kinds in names.items()},
        "$defs": defs,
    }


def main() -> None:
    HERE.write_text(json.dumps(schema(), indent=1) + "\n")


if __name__ == "__main__":
    main()
