"""The wire between the screen's process and the worker: one JSON object a line, typed both ways.

Commands are verbs and go down, events are past tense and come up; every event carries the id of its command. A command ends
with exactly one of `Done`-like events (`Loaded`, `Sampled`, `Trained`, `Evaluated`, `Curved`), `Cancelled` or `Failed`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from core.config import Lora, Sampling, Training
from core.task import Segment, Task

MAX_LINE = 1 << 24
"""Bytes in one line of the wire; a longer one is a fault."""


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """A training or evaluation row: the prompt in segments, the text, and how often an epoch draws it."""

    id: str
    prompt: list[Segment]
    text: str
    repeat: int = 1
    held_out: bool = False
    origin: str = ""
    fields: dict[str, str] = {}
    depth: int = 0
    """0: a person's own words; n: from a candidate of a model that was trained on rows of depth n - 1, at most."""
    seen: float = 0.0
    """Epochs in which the parent, and its parents, were trained on this text."""

    @property
    def human(self) -> bool:
        """Whether a person wrote it, or changed it: anything but a model's words as they came."""
        return self.origin != "accepted"


class Command(msgspec.Struct, frozen=True, tag_field="type", kw_only=True):
    id: int


class Load(Command, frozen=True, tag="load"):
    """Make `base` resident. `quantization` is nf4 or none."""

    base: str
    quantization: str
    lora: Lora
    calibrate: bool = False
    """Choose the codes of a small base's 4 bits by what they do to it; once, then they are kept."""
    early: bool = False
    """Say `Usable` as soon as texts can be sampled, where that takes its time; what is asked for meanwhile takes its turns."""


class Sample(Command, frozen=True, tag="sample"):
    """Sample one text for each prompt, together, with the adapter in the folder `checkpoint` (None: the base)."""

    checkpoint: str | None
    prompts: list[list[Segment]]
    seeds: list[int]
    settings: Sampling
    examples: list[str] | None = None
    """The examples' texts, which may not be copied; None: as in the command before."""
    free: list[str] = []
    """Texts that may be copied: attribute values, what the person typed."""
    strength: float = 1.0
    """What the adapter's share of every product is multiplied by, 0 to 1.2."""
    without: list[list[Segment]] = []
    """The same prompts with other values of choices and scales, or without attributes: what guidance leads away from."""


class Train(Command, frozen=True, tag="train"):
    """Carry out the run that stands in the folder `run`: its `run.json` and `rows.jsonl` are already there."""

    run: str
    sinks: list[str] = []
    """Where its figures go besides `metrics.jsonl`: tensorboard, trackio, wandb."""


class Evaluate(Command, frozen=True, tag="evaluate"):
    """Mean loss per token of the rows' texts, without rows of more than `max_tokens`."""

    checkpoint: str | None
    rows: list[Row]
    max_tokens: int


class Recipe(msgspec.Struct, frozen=True):
    """What a point is trained with, where that is not what stands in flavor.toml; `epochs` at most, as in a run."""

    r: int
    alpha: int
    learning_rate: float
    epochs: int


class Wanted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A point of the learning curve, or of a sweep, to be measured: train on the rows `learn`, measure on the rows `held` (places in the
    command's list)."""

    key: str
    """Of the rows, in their order, with fold and seed: the point's name among those that are kept."""
    fold: int
    seed: int
    learn: list[int]
    held: list[int]
    recipe: Recipe | None = None
    """Of a sweep's."""


class Point(msgspec.Struct, frozen=True):
    """A measured one: an adapter trained afresh on `size` rows, its loss on every row of its fold, which it never saw."""

    key: str
    fold: int
    seed: int
    size: int
    step: int
    """After which the loss was lowest: that one is measured."""
    losses: dict[str, tuple[float, int]]
    """Summed loss of each row's text (nats) and its tokens, by the row's id."""
    seconds: float


class Curve(Command, frozen=True, tag="curve"):
    """Measure points of the learning curve, in this order, as many as fit into `budget` seconds."""

    rows: list[Row]
    points: list[Wanted]
    training: Training
    task: Task | None
    budget: float
    speed: float
    """Training tokens a second to reckon with until the first point is measured."""


class Cancel(Command, frozen=True, tag="cancel"):
    """Stop the command `of`, now or when its turn comes."""

    of: int


class Ping(Command, frozen=True, tag="ping"):
    """Answered at once with a `Pong`, whatever is going on."""


AnyCommand = Load | Sample | Train | Evaluate | Curve | Cancel | Ping


class Event(msgspec.Struct, frozen=True, tag_field="type", kw_only=True):
    id: int


class Loading(Event, frozen=True, tag="loading"):
    """What is being done, in words; `share` of it is over, 0 to 1, or None where that is not known."""

    stage: str
    share: float | None = None


class Loaded(Event, frozen=True, tag="loaded"):
    name: str
    fingerprint: str
    parameters: int
    trainable: int
    device: str
    form: str
    """How the weights are held, in words."""
    note: str = ""
    """What the person should know, for instance that 4 bits cannot run here."""
    seconds: float = 0.0
    memory: int = 0
    """Resident bytes now, with those that sampling will add when it begins."""
    train_speed: float = 0.0
    """Training tokens a second to expect, from a short measurement of this machine."""
    train_memory: int = 0
    """Bytes that training will need on top, by estimate."""
    rounded: bool = False
    """Its 4-bit codes are still to be chosen."""


class Usable(Event, frozen=True, tag="usable"):
    """The base can be sampled, with rounded 4-bit codes: better ones are being chosen, once. `Loaded` says when they are there."""

    loaded: Loaded


class Candidate(Event, frozen=True, tag="candidate"):
    """One text of a `Sample` ended: `finish` is stop (by itself) or length (cut off)."""

    index: int
    text: str
    finish: str
    tokens: int
    cut_at_heading: bool = False
    """It had begun a new heading; what followed was cut off."""
    own: float = 0.0
    """Mean log-probability of its tokens under the model that wrote it, before any filter, nats a token."""
    weakest: float = 0.0
    """The least such mean of eight tokens in a row."""


class Sampled(Event, frozen=True, tag="sampled"):
    tokens: int
    seconds: float
    first_token: float
    """Seconds from the command's start to its first sampled token."""


class Step(Event, frozen=True, tag="step"):
    """One optimiser step of a run. `loss` is the weighted mean over the batch."""

    step: int
    steps: int
    epoch: int
    loss: float
    rate: float
    tokens: int
    seconds: float
    """Since the run began."""
    spent: float = 0.0
    """Seconds in the steps alone: without what is measured, and without the texts that are sampled between them."""
    celsius: float | None = None
    """How warm the GPU is; None where there is none, or it does not say."""
    device_memory: int | None = None
    """Bytes in use on it, by whatever program."""


class Refit(Event, frozen=True, tag="refit"):
    """One optimiser step of the repetition on all rows, the held-out ones among them: after the epochs, or before them."""

    step: int
    steps: int
    loss: float
    tokens: int
    seconds: float
    """Since the run began."""
    spent: float = 0.0
    """Seconds in the steps alone."""


class Provisional(Event, frozen=True, tag="provisional"):
    """A checkpoint of the run can be used already: trained on all rows, with as many steps as are likely to be best. What comes after says
    whether they are; `Trained` names it again, or a better one."""

    checkpoint: str
    seconds: float
    """Since the run began."""


class Gauges(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was measured of a checkpoint, teacher-forced. None: not measured, or no row to measure it on."""

    held_out_loss: float | None = None
    """Nats per token of the held-out rows' texts."""
    p_end: float | None = None
    """Mean probability of the end token at the true end of held-out texts (of trained ones, where none is held out)."""
    p_end_early: float | None = None
    """Mean over those texts of its highest probability at any earlier place."""
    recall: float | None = None
    """Share of the trained texts' places that lie in runs of at least 5 right greedy guesses."""
    recall_held_out: float | None = None
    """The same of held-out texts: what the form of the task alone gives."""
    drift: float | None = None
    """KL divergence from the base on neutral prose, nats a token."""


class Epoch(Event, frozen=True, tag="epoch"):
    """An epoch ended and its checkpoint is on the disk (epoch 0: the parent, measured before training)."""

    epoch: int
    checkpoint: str | None
    held_out_loss: float | None
    loss: float | None
    seconds: float
    gauges: Gauges = Gauges()
    base_loss: float | None = None
    """Epoch 0 only: held-out loss of the base, without any adapter."""


class Trained(Event, frozen=True, tag="trained"):
    checkpoint: str
    """The checkpoint to use, e.g. 0007/epoch-02, or 0007/refit-02."""
    steps: int
    tokens: int
    seconds: float
    train_seconds: float
    """Without measuring the held-out loss and writing."""
    skipped: list[str] = []
    """Rows longer than the limit, by id, left out."""
    why: str = ""
    """Why that checkpoint."""
    stopped: str = ""
    """Why training ended before its last epoch."""
    note: str = ""
    """What went wrong besides, in a sentence: figures that could not be written elsewhere."""
    best_steps: int = 0
    """The steps up to the epoch that was best by its held-out loss; 0 where none was measured."""


class Evaluated(Event, frozen=True, tag="evaluated"):
    loss: float
    tokens: int
    rows: int
    losses: list[float]
    """Mean loss per token of each row; 0 of one that has no text or was left out."""
    skipped: list[str] = []
    """Ids of the rows that were too long."""


class Curving(Event, frozen=True, tag="curving"):
    """How far the learning curve is: `done` of `of` points that fit into the time, `left` seconds by estimate; the point, when one ended."""

    done: int
    of: int
    left: float
    point: Point | None = None


class Curved(Event, frozen=True, tag="curved"):
    done: int
    """Points measured now."""
    missing: int
    """Points that did not fit into the time."""
    least: float
    """Seconds that the cheapest of them needs, by estimate; 0 where none is missing."""
    seconds: float


class Cancelled(Event, frozen=True, tag="cancelled"):
    pass


class Failed(Event, frozen=True, tag="failed"):
    message: str
    hint: str = ""
    kind: str = "error"


class Pong(Event, frozen=True, tag="pong"):
    """A sign of life. `beats` grows while the work gets on."""

    beats: int


AnyEvent = (
    Loading | Loaded | Usable | Candidate | Sampled | Step | Refit | Provisional | Epoch | Trained | Evaluated | Curving | Curved | Cancelled
    | Failed | Pong
)  # fmt: skip
LAST = (Loaded, Sampled, Trained, Evaluated, Curved, Cancelled, Failed)
"""The events that end a command."""

_encoder = msgspec.json.Encoder()


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Made when the first line comes: the screen is drawn before, and needs none."""
    return msgspec.json.Decoder(kind)


def encode(message: Command | Event) -> bytes:
    """One line of the wire, its newline included."""
    return _encoder.encode(message) + b"\n"


def decode_command(line: bytes) -> AnyCommand:
    """Raises msgspec.MsgspecError on anything else."""
    command: AnyCommand = _decoder(AnyCommand).decode(line)
    return command


def decode_event(line: bytes) -> AnyEvent:
    """Raises msgspec.MsgspecError on anything else."""
    event: AnyEvent = _decoder(AnyEvent).decode(line)
    return event
