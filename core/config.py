"""`flavor.toml`: what it may hold, its defaults, and errors that name the line. Read here, written when a workspace is new, and later
in one line at most, that of the base."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import tomllib
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from core.errors import FlavorError
from core.files import typed_path, write_atomic
from core.reading import decode, read_regular
from core.task import Task
from core.text import clean, hidden, short

FILE = "flavor.toml"
TEMPLATES = ("alien-empires", "skill-checks", "image-prompts")
STARTER = "starter"
STARTER_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""Where others find the starter."""
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
"""What a model of the hub may be called."""
MAX_BYTES = 1 << 20
"""Of `flavor.toml`."""

Positive = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Model(_Section, frozen=True):
    base: str = STARTER
    """`starter`, a Hugging Face id, a folder, or a .gguf file."""
    quantization: Literal["nf4", "none"] = "nf4"
    """`none` keeps 16 bits."""
    calibrate: bool = True
    """Choose the 4-bit codes of a small base by what they do to its own texts, once (GPTQ); `false`: round each weight."""


class Lora(_Section, frozen=True):
    r: Annotated[int, Meta(ge=1, le=1024)] = 16
    """The rank: how much the adapter can hold."""
    alpha: Positive = 32
    """What the adapter does is multiplied by alpha / r."""
    dropout: Share = 0.0
    """Nothing by default: on the starter it costs a sixth of the time and does not move the held-out loss."""


class Training(_Section, frozen=True):
    epochs: Annotated[int, Meta(ge=1, le=100)] = 8
    """Most epochs when training afresh. Every one is kept; training stops by itself when it has baked long enough."""
    topup_from: Annotated[int, Meta(ge=0, le=10_000)] = 64
    """Rows from which on `t` tops up the active checkpoint with what is new; with fewer it trains afresh, which takes little longer and learns
    better (`docs/learning.md`). Where no row is new, changed or gone it bakes on."""
    topup_epochs: Annotated[int, Meta(ge=1, le=100)] = 2
    """Most epochs of a top-up (warm start from the active checkpoint)."""
    stop_early: bool = True
    """Stop when held-out loss has turned and more of the rows is recited than before; `false`: always all epochs."""
    refit_rows: Annotated[int, Meta(ge=0, le=10_000)] = 64
    """A run of at most so many rows is repeated on all of them, the held-out ones too, for twice as many steps as were best
    without them, up to 40; 0: never (`docs/learning.md`)."""
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 5e-4
    """Twice as much reaches the same loss in half the epochs, but then the best checkpoint lies between two of them (`docs/learning.md`)."""
    topup_rate: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """The learning rate of a top-up, as a share of `learning_rate`."""
    topup_shrink: Share = 0.5
    """What a top-up multiplies the parent's B matrices by before it starts: half-way back to the base. Without it every round recites
    more and loses on unseen texts (`docs/learning.md`; shrink and perturb, Ash & Adams 1910.08475)."""
    new_rows: Annotated[int, Meta(ge=1, le=10)] = 2
    """How often a row that is new since the parent is drawn in an epoch of a top-up."""
    batch_size: Annotated[int, Meta(ge=1, le=256)] = 2
    """Rows of a step."""
    warmup_steps: Annotated[int, Meta(ge=0, le=1000)] = 3
    """Steps in which the learning rate rises from nothing."""
    end_weight: Annotated[float, Meta(ge=0, le=100)] = 2.0
    """Loss weight of the end token: never-ending texts are the commonest failure of a model tuned on few rows."""
    max_tokens: Annotated[int, Meta(ge=16, le=32768)] = 1024
    """Rows longer than this are named and left out, never cut."""
    drop_attribute: Share = 0.15
    """How often each attribute line is left out of a row's prompt, so that a prompt with only some of them works."""
    drop_attributes: Share = 0.1
    """How often all of them are."""
    human_share: Share = 0.618
    """The least share of the loss that written, imported and edited rows keep, however many machine texts were accepted."""
    taste: bool = False
    """Whether `P` may learn from pairs of a wanted and an unwanted text: off, for what it gained on the bench (docs/taste.md)."""
    taste_rate: Annotated[float, Meta(gt=0, le=1)] = 5e-5
    """The learning rate of taste."""
    taste_beta: Annotated[float, Meta(gt=0, le=100)] = 0.1
    """How dear it is to differ from the adapter before: the greater, the less taste moves."""
    taste_steps: Annotated[int, Meta(ge=1, le=1000)] = 40
    """Most steps of taste."""


Preset = Literal["faithful", "balanced", "wild"]
PRESETS: dict[str, dict[str, float]] = {
    "faithful": {"temperature": 0.7, "min_p": 0.1},
    "balanced": {},
    "wild": {"temperature": 1.2, "min_p": 0.03, "xtc_probability": 0.3},
}
"""Where a preset differs from the defaults; what `flavor.toml` sets itself goes before either."""


class Sampling(_Section, frozen=True):
    preset: Preset = "balanced"
    """`faithful` keeps to the likely, `wild` to the unlikely; every other value here goes before the preset's."""
    temperature: Annotated[float, Meta(ge=0, le=5)] = 1.0
    """Applied last, as in llama.cpp: the filters see the model's own probabilities."""
    min_p: Share = 0.05
    """Tokens less likely than this share of the likeliest one are dropped (Nguyen et al. 2407.01082)."""
    top_k: Annotated[int, Meta(ge=0)] = 0
    """Only so many of the likeliest tokens are kept; 0: all."""
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """Only the likeliest tokens that together have this probability are kept."""
    top_n_sigma: Annotated[float, Meta(ge=0, le=20)] = 0.0
    """Tokens whose logit is more than this many standard deviations below the largest are dropped; 0: none (2411.07641)."""
    xtc_probability: Share = 0.0
    """How often all likely tokens but the least likely of them are dropped (exclude top choices)."""
    xtc_threshold: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """What XTC calls likely."""
    dry_multiplier: Annotated[float, Meta(ge=0, le=10)] = 0.8
    """Strength of DRY, which makes a text's own repetitions unlikely; 0: off."""
    dry_base: Annotated[float, Meta(ge=1, le=4)] = 1.75
    """How much unlikelier a repetition becomes with each token of it."""
    dry_allowed_length: Positive = 2
    """Tokens that may be repeated freely."""
    end_ramp: Annotated[float, Meta(ge=0, le=5)] = 0.1
    """What the end's logit gains with each token beyond the 90th percentile of the examples' lengths: within a sentence that of the signs
    with which the examples' last sentences end, after one that of the end token."""
    max_copied_tokens: Annotated[int, Meta(ge=0, le=1000)] = 8
    """No span longer than this that stands in only one example is ever written; 0: no such limit."""
    guidance: Annotated[float, Meta(ge=0, le=5)] = 0.0
    """How far a text leans towards its attributes, away from what the model would write for other values (1 is much); 0: not at all. Doubles
    the rows of every forward pass (docs/sampling.md)."""
    few_shot: Annotated[int, Meta(ge=0, le=16)] = 4
    """Examples that the prompt shows to the base, while nothing is trained; 0: the heading alone."""
    shown: Annotated[int, Meta(ge=0, le=16)] = 0
    """Examples that the prompt shows to a checkpoint, those most like what is asked for; 0: it stands alone, as in other programs."""
    vary: bool = True
    """A batch of a checkpoint is sampled by itself or with three examples shown; the way of which more is kept comes more often. Where
    `shown` is set, that is the only way."""
    invent: Share = 0.25
    """How many of a checkpoint's candidates are about something new at first, while enough wait: their free-text attributes are made up by the
    base, after those of your examples. What you keep of them makes them more or fewer; 0: none (docs/sampling.md)."""
    max_tokens: Annotated[int, Meta(ge=1, le=8192)] = 256
    """Tokens of a candidate at most."""
    batch: Annotated[int, Meta(ge=1, le=64)] = 8
    """Candidates sampled at once."""
    oversample: Annotated[int, Meta(ge=1, le=8)] = 4
    """So many times more candidates are sampled than shown; those least likely to be kept are passed over (docs/ranking.md)."""
    keep_ready: Annotated[int, Meta(ge=0, le=200)] = 20
    """The queue is refilled in the background when fewer than this many candidates wait: so many last a person through a retraining."""


class Metrics(_Section, frozen=True):
    """Where the figures of a run go besides its own `metrics.jsonl`, to be looked at with other tools. All stay on this machine."""

    tensorboard: bool = False
    """Event files, a folder a run: `tensorboard --logdir metrics/tensorboard` in the workspace."""
    trackio: bool = False
    """Trackio's files: `TRACKIO_DIR=metrics/trackio trackio show` in the workspace."""
    wandb: bool = False
    """Offline runs of Weights & Biases in `metrics/wandb`; `wandb sync` sends one away, nothing else does."""

    def on(self) -> list[str]:
        """Those that are switched on."""
        return [name for name, on in msgspec.structs.asdict(self).items() if on]

    def absent(self) -> str:
        """What is switched on and not installed, in a sentence; empty where nothing is."""
        gone = [name for name in self.on() if importlib.util.find_spec(name) is None]
        if not gone:
            return ""
        packages = " ".join(gone)
        return f"[metrics] in flavor.toml asks for {' and '.join(gone)}, not installed here: pip install {packages}, or switch it off."


class Look(_Section, frozen=True):
    theme: Literal["dark", "light"] = "dark"
    """What the screen begins with; ctrl+t changes it, and that is remembered."""


class Settings(_Section, frozen=True):
    task: Task
    model: Model = Model()
    lora: Lora = Lora()
    training: Training = Training()
    sampling: Sampling = Sampling()
    metrics: Metrics = Metrics()
    look: Look = Look()
    keys: dict[str, str] = {}


def with_preset(sampling: Sampling, preset: Preset, own: Mapping[str, Any]) -> Sampling:
    """`sampling` by a preset, where it does not set a value of its `own`."""
    values = {name: value for name, value in PRESETS[preset].items() if name not in own}
    return msgspec.structs.replace(sampling, preset=preset, **values)


KINDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
LIMITS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}


def _in_words(message: str, path: list[str], one_of: bool) -> tuple[str, str]:
    """What msgspec says of the setting at `path` (or of one of its values), and what to do about it, as a person would."""
    hint = "Mend that setting."
    name = f"a value in {path[-1]}" if one_of else path[-1] if path else "it"
    parent = f"[{'.'.join(path[:-1])}]" if path[:-1] else "the file"
    if unknown := re.search(r"unknown field `(.+)`", message):
        from difflib import get_close_matches

        owner: Any = Settings
        for part in path[:-1]:
            owner = get_type_hints(owner).get(part, type(None))
            owner = get_args(owner)[0] if get_origin(owner) is tuple else owner
        near = get_close_matches(unknown[1], getattr(owner, "__struct_fields__", ()), 1)
        return f"{parent} has no setting {unknown[1]!r}", f"Did you mean {near[0]}?" if near else "Take it out."
    if limit := re.search(r"Expected `(\w+)` ([<>]=?) (\S+)", message):
        return f"{name} is to be {KINDS.get(limit[1], limit[1])}, {LIMITS[limit[2]]} {limit[3]}", hint
    if kinds := re.search(r"Expected `(.+)`, got `(.+)`", message):
        wanted, found = (" or ".join(KINDS.get(kind, kind) for kind in one.split(" | ")) for one in kinds.groups())
        return f"{name} is to be {wanted}, and is {found}", hint
    if value := re.search(r"Invalid enum value (.+)", message):
        return f"{name} cannot be {value[1]}", hint
    return f"{message}{f' at {name}' if path else ''}", hint


def _line_of(text: str, path: str) -> int | None:
    """The line of `text` where the setting that msgspec calls `$.section.key` stands."""
    names = [name for name in re.findall(r"[A-Za-z_]+", path) if name]
    section, found = "", None
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[+([^\]]+)\]", line):
            section = match.group(1).strip()
            if section.split(".") == names[: len(section.split("."))]:
                found = found or number
        elif names and re.match(rf"\s*[\"']?{re.escape(names[-1])}[\"']?\s*=", line) and ".".join(names[:-1]) == section:
            return number
    return found


def parse(text: str, where: str = FILE) -> Settings:
    """The settings in `text`. Raises FlavorError naming the line."""
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FlavorError(
            f"{where} is not valid TOML: {short(str(error), 200)}.", "Mend that line; nothing else was touched.", "config"
        ) from None
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        if unknown := re.search(r"unknown field `(.+)`", message):
            path = f"{path.strip('`')}.{unknown.group(1)}"
        line = _line_of(text, path)
        place = f"{where}, line {line}" if line else where
        said, hint = _in_words(message, re.findall(r"[A-Za-z_]+", path), path.endswith("]`"))
        raise FlavorError(f"{place}: {said}.", hint, "config") from None
    own = raw.get("sampling", {})
    task = _composed(settings.task)
    _check_task(task, where)
    return msgspec.structs.replace(settings, task=task, sampling=with_preset(settings.sampling, settings.sampling.preset, own))


def _composed(task: Task) -> Task:
    """The task in NFC, as every value and text is: an editor may have written an accent as a character of its own."""
    return msgspec.convert(json.loads(unicodedata.normalize("NFC", json.dumps(msgspec.to_builtins(task), ensure_ascii=False))), Task)


def _check_task(task: Task, where: str) -> None:
    """Raises FlavorError where the words of the task cannot stand in a prompt as they are shown."""
    names = [field.name.casefold() for field in task.fields]
    values = [value for field in task.fields for value in (field.name, *field.values)]
    for words in (task.heading, task.attributes_heading, task.text_heading, *values):
        if found := hidden(words) or ("a line break" if "\n" in clean(words) else ""):
            raise FlavorError(f"{where}: {short(words)!r} holds {found}, which would not be shown.", "Take it out.", "config")
    for field in task.fields:
        if not field.name.strip() or ":" in field.name or "\n" in field.name or names.count(field.name.casefold()) > 1:
            raise FlavorError(f"{where}: the field name {field.name!r} is empty, doubled, or has a colon.", "Rename it.", "config")
        if field.kind == "choice" and len(field.values) < 2:
            raise FlavorError(f"{where}: the choice {field.name!r} has fewer than two values.", "Add `values = [...]`.", "config")
    if not task.heading.strip():
        raise FlavorError(f"{where}: the heading is empty.", "Write what the texts are, for instance 'Brief Description of ...'.")


def load(workspace: Path) -> Settings:
    """The settings of a workspace. Raises FlavorError where there are none, or they are broken."""
    path = workspace / FILE
    try:
        text = decode(read_regular(path, MAX_BYTES, "config"), path, "config")
    except FileNotFoundError:
        raise FlavorError(f"{workspace} is not a workspace: it has no {FILE}.", "Make one: flavor-tui new.", "missing") from None
    return parse(text, str(path))


def own_sampling(workspace: Path) -> dict[str, Any]:
    """What `flavor.toml` itself sets under `[sampling]`."""
    own: dict[str, Any] = tomllib.loads((workspace / FILE).read_text("utf-8-sig")).get("sampling", {})
    return own


def template(name: str) -> Task:
    """One of the tasks that come with the program."""
    if name not in TEMPLATES:
        raise FlavorError(f"There is no template {name!r}.", f"Templates: {', '.join(TEMPLATES)}.")
    from importlib import resources

    text = resources.files("core").joinpath("templates", f"{name}.toml").read_text("utf-8")
    return parse(text, name).task


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string of clean text is a TOML basic string


def render(task: Task, base: str) -> str:
    """A new `flavor.toml`: the task, the model, and every other setting with its default, as a comment."""
    lines = ["# The task: a heading, and the attributes that stand above each text.", "[task]", f"heading = {_quote(task.heading)}"]
    if task.fields:
        lines += [f"attributes_heading = {_quote(task.attributes_heading)}", f"text_heading = {_quote(task.text_heading)}"]
    for field in task.fields:
        lines += ["", "[[task.fields]]", f"name = {_quote(field.name)}", f'kind = "{field.kind}"']
        if field.values:
            lines.append(f"values = [{', '.join(map(_quote, field.values))}]")
    lines += ["", "# starter, a Hugging Face id, a folder, or a .gguf file", "[model]", f"base = {_quote(base)}"]
    defaults = Settings(task=task)
    lines += ['# quantization = "nf4"      # or "none": 16 bits', "# calibrate = true"]
    for name in ("lora", "training", "sampling", "metrics", "look"):
        lines += ["", f"[{name}]"]
        lines += [
            f"# {key} = {json.dumps(value, ensure_ascii=False)}" for key, value in msgspec.to_builtins(getattr(defaults, name)).items()
        ]
    lines += ["", "# Own keys: an action's name and its key, for instance", '# accept = "y"', "[keys]"]
    return "\n".join(lines) + "\n"


def find_base(workspace: Path, base: str) -> str:
    """A base as the worker finds it: a path in `flavor.toml` is meant from the workspace."""
    path = workspace / base
    if base != STARTER and (base.startswith((".", "~")) or base.lower().endswith(".gguf") or os.path.isdir(path)):
        return str(typed_path(base) if base.startswith("~") else path)
    return base


def check_base(workspace: Path, base: str) -> None:
    """Raises FlavorError where `base` can be no model: not the starter, no folder or GGUF file that is there, and nothing that a model of the
    hub may be called."""
    found = find_base(workspace, base)
    is_file = found.lower().endswith(".gguf")
    if not (os.path.isfile(found) if is_file else HUB_ID.fullmatch(found) or (base and os.path.isdir(found))):
        hint = "Give `starter`, a hub id like org/name, a folder, or a .gguf file; a path is meant from the workspace, and is to be there."
        raise FlavorError(f"{short(base)!r} is no model.", hint, "missing")


def put_base(workspace: Path, base: str) -> None:
    """Write another base into `flavor.toml`: that one line, everything else as it stands. Raises FlavorError, with nothing changed."""
    path = workspace / FILE
    before = load(workspace)
    text = decode(read_regular(path, MAX_BYTES, "config"), path, "config")
    lines = text.splitlines(keepends=True)
    place = _line_of(text, "model.base") or len(lines)
    old = lines[place - 1]
    if found := re.match(r"""(\s*["']?base["']?\s*=\s*)("(?:[^"\\]|\\.)*"|'[^']*')""", old):
        lines[place - 1] = f"{found[1]}{_quote(base)}{old[found.end() :]}"
    else:  # the default: no line, or no [model] either
        section = "" if re.match(r"\s*\[model\]", old) else "[model]\n"
        lines[place - 1 : place] = [old.rstrip("\n") + "\n", f"{section}base = {_quote(base)}\n"]
    text = "".join(lines)
    by_hand = FlavorError(f"The base cannot be written into {path}.", f"Write base = {_quote(base)} under [model] there.", "config")
    try:
        after = parse(text, str(path))
        if after != msgspec.structs.replace(before, model=msgspec.structs.replace(before.model, base=base)):
            raise by_hand
        write_atomic(path, text)
    except (FlavorError, OSError):
        raise by_hand from None


def create(workspace: Path, task: Task, base: str = STARTER) -> Settings:
    """Make the folder and its `flavor.toml`. Raises FlavorError where there is a workspace already, or `base` can be no model."""
    if os.path.exists(workspace / FILE):
        raise FlavorError(f"{workspace} is a workspace already.", f"Open it: flavor-tui {shlex.quote(str(workspace))}", "exists")
    check_base(workspace, base)
    text = render(task, base)
    settings = parse(text, str(workspace / FILE))
    try:
        workspace.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(workspace / FILE, text)
    except (OSError, ValueError) as error:  # ValueError: no folder can have that name
        reason = getattr(error, "strerror", None) or str(error)
        raise FlavorError(f"{workspace} cannot be made: {reason}.", "Choose another folder.") from None
    return settings
