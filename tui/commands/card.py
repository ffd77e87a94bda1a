"""The model card of an adapter: what it writes, how to load it, what it was trained on and how it was measured. Holds no text of the
dataset: gauges are told by their numbers, and the samples are the model's own. Knows no Textual."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

from core.config import STARTER, STARTER_HUB_ID
from core.errors import FlavorError
from core.files import typed_path
from core.protocol import Candidate as Arrived
from core.runfiles import CheckpointInfo, is_refit, measured_by
from core.text import clean_line, clean_text
from runs.registry import Run
from tui.commands.output import Progress, start
from tui.session.candidates import COPIED_WORDS
from tui.session.session import Session
from tui.session.tasting import against, told_of
from tui.session.ways import stands_alone

SAMPLES = 3
TRIED = 8
"""Texts that are sampled where too few wait."""
UNDECIDED = ("pending", "skipped", "passed")


async def samples(session: Session, checkpoint: str, strength: float = 1.0) -> AsyncGenerator[Progress | list[str]]:
    """Progress, and last up to three texts that the checkpoint wrote, none of them in the dataset, cut off, or copying a row.

    They are candidates that nobody decided; where too few wait, the model is loaded and writes some, which are not kept.
    """
    batches = session.store.batches
    alike = {uid for uid, batch in batches.items() if batch.checkpoint == checkpoint and batch.strength == strength}
    waiting = [c for c in session.store.candidates.values() if c.batch in alike and c.state in UNDECIDED and stands_alone(session.store, c)]
    found = [c.text for c in waiting if not c.flags and c.finish == "stop" and _own(session, c.text)][-SAMPLES:]
    if len(found) < SAMPLES:
        try:
            async for progress in start(session):
                yield progress
            yield Progress("writing samples for the card")
            found += await _fresh(session, checkpoint, strength)
        except FlavorError as error:
            yield Progress(f"no more samples for the card: {error.message}")
        finally:
            await session.stop_worker()
    yield found[:SAMPLES]


def _own(session: Session, text: str) -> bool:
    return session.copying.longest(text)[0] < COPIED_WORDS and text not in session.store.texts().values()


async def _fresh(session: Session, checkpoint: str, strength: float) -> list[str]:
    """Texts with drawn attributes, the same every time."""
    assert session.worker is not None
    examples = [example.fields for example in session.store.examples.values()]
    values = session.task.draw({}, examples, list(range(TRIED)))
    prompts = [session.task.segments(each) for each in values]
    texts, free = list(session.store.texts().values()), sorted({value for each in values for value in each.values()})
    folder = session.registry.checkpoint_folder(checkpoint)
    found = []
    async for event in session.worker.sample(folder, prompts, list(range(TRIED)), session.settings.sampling, texts, free, strength):
        if isinstance(event, Arrived) and event.finish == "stop" and event.text.strip():
            found.append(clean_text(event.text))
    return [text for text in found if _own(session, text)]


def base_name(session: Session, public: bool = False) -> str:
    """The base as others find it: a hub id, else a path; `public`: of a path only its last part, which says nothing of this machine."""
    base = session.base()
    if base == STARTER:
        return STARTER_HUB_ID
    path = typed_path(base)
    return path.name if public and path.is_absolute() else base


def adapter_card(session: Session, checkpoint: str, texts: list[str], strength: float = 1.0, licence: str = "", repo: str = "") -> str:
    """`README.md` for a checkpoint's adapter. `repo`: its id on the hub, where it goes there; else it is loaded from its folder."""
    run = session.registry.run(checkpoint.split("/")[0])
    info = run.checkpoint(checkpoint)
    base = base_name(session, public=bool(repo))
    parts = [
        _front(base, licence, public=bool(repo), local=session.base() != STARTER and Path(base_name(session)).is_absolute()),
        _head(session, checkpoint, info, strength),
        _use(session, base, repo or "."),
        _written(texts),
        _rows(session, checkpoint),
        _settings(run),
        _curve(run, checkpoint),
        _gauges(session, run, checkpoint),
    ]
    return "\n".join(part for part in parts if part)


def fenced(text: str, language: str = "") -> str:
    """`text` in a fence that nothing in it can close."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}\n"


def escaped(text: str) -> str:
    """`text` on one line, as Markdown shows it."""
    return re.sub(r"([\\`*_{}\[\]<>#|&~])", r"\\\1", clean_line(text))


def _front(base: str, licence: str, public: bool, local: bool) -> str:
    lines = ["---"]
    if not (public and local):
        lines.append(f"base_model: {json.dumps(base)}")
    lines += ["library_name: peft", "pipeline_tag: text-generation", "tags:", "- lora", "- flavor-tui"]
    if licence:
        lines.append(f"license: {json.dumps(licence)}")
    return "\n".join([*lines, "---", ""])


def _head(session: Session, checkpoint: str, info: CheckpointInfo | None, strength: float) -> str:
    model = session.settings.model
    bits = "held in 4 bits (NF4) while it was trained" if model.quantization == "nf4" else "held in 16 bits while it was trained"
    at = (
        ""
        if strength == 1
        else f"\nB of every layer is multiplied by {strength:g}: the adapter at another strength than it was trained at.\n"
    )
    when = f" on {info.created[:10]}" if info else ""
    return (
        f"# {escaped(session.task.heading)}\n\n"
        f"A LoRA adapter that writes texts under this heading. Made with flavor-tui{when}; the checkpoint is {checkpoint}. "
        f"The base was {bits}; the adapter loads on top of it in any precision.\n{at}"
    )


def _use(session: Session, base: str, adapter: str) -> str:
    sampling = session.settings.sampling
    fields = session.task.fields
    prompt = session.task.prompt({field.name: field.choices()[0] for field in fields if field.choices()})
    form = session.task.prompt({field.name: "..." for field in fields})
    code = f"""from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({_python(base)})
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({_python(base)}, dtype="auto"), {_python(adapter)})
prompt = tokenizer({_python(prompt)}, return_tensors="pt")
written = model.generate(**prompt, do_sample=True, temperature={sampling.temperature:g}, min_p={sampling.min_p:g}, top_k=0, max_new_tokens={sampling.max_tokens})
print(tokenizer.decode(written[0], skip_special_tokens=True))"""
    about = " Any attribute line may be left out, or all of them with their heading." if fields else ""
    return (
        f"## Use\n\n{fenced(code, 'python')}\nThe prompt has this form, and the text follows it.{about} "
        f"A text ends with the end token, or where a new heading begins.\n\n{fenced(form.rstrip())}"
    )


def _python(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _written(texts: list[str]) -> str:
    if not texts:
        return ""
    return "## What it writes\n\nNone of these is in the dataset.\n\n" + "\n".join(fenced(text) for text in texts)


def _rows(session: Session, checkpoint: str) -> str:
    rows = list(session.registry.rows(checkpoint.split("/")[0]).values())
    if not rows:
        return ""
    known = session.registry.learned(checkpoint)
    learned = Counter(row.origin or "unknown" for row in rows if row.id in known)
    held = Counter(row.origin or "unknown" for row in rows if row.id not in known)
    lines = [f"| {origin} | {learned[origin]} | {held[origin]} |" for origin in sorted(learned | held)]
    deepest = max(row.depth for row in rows)
    machine = (
        f"\nTexts that the model wrote itself and a person accepted or edited are among them, {deepest} generations deep.\n"
        if deepest
        else ""
    )
    total = f"| all | {learned.total()} | {held.total()} |"
    return "\n".join(["## Rows", "", "| origin | trained on | held out |", "|---|---|---|", *lines, total, machine])


def _settings(run: Run) -> str:
    if run.spec is None:
        return ""
    spec = run.spec
    told = {
        "rank, alpha": f"{spec.lora.r}, {spec.lora.alpha}",
        "learning rate": f"{spec.learning_rate:g}",
        "epochs, at most": str(spec.epochs),
        "batch": str(spec.training.batch_size),
        "weight of the end token": f"{spec.training.end_weight:g}",
        "started from": spec.parent or "the base",
        "seed": str(spec.seed),
        "base's fingerprint": spec.fingerprint,
        **spec.versions,
    }
    return "\n".join(["## Settings", "", "| | |", "|---|---|", *(f"| {name} | {escaped(value)} |" for name, value in told.items()), ""])


def _curve(run: Run, checkpoint: str) -> str:
    held = run.held_out()
    if not held:
        return ""
    known = {info.epoch: info for info in run.checkpoints if not is_refit(info.name)}
    lines = []
    this = " (this one repeats it on all rows)" if is_refit(checkpoint) else " (this one)"
    for epoch, loss in held:
        info = known.get(epoch)
        here = "" if info is None or info.name != measured_by(checkpoint) else this
        trained = f"{info.loss:.3f}" if info else ""
        recited = f"{info.recall:.0%}" if info and info.recall is not None else ""
        lines.append(f"| {epoch}{here} | {loss:.3f} | {trained} | {recited} |")
    base = run.base_loss()
    bare = f"\nThe bare base: {base:.3f}. Epoch 0 is what training started from. Nats a token.\n" if base is not None else ""
    return "\n".join(["## Curve", "", "| epoch | held-out loss | training loss | rows recited |", "|---|---|---|---|", *lines, bare])


def _gauges(session: Session, run: Run, checkpoint: str) -> str:
    judgement = session.tasting.readings(checkpoint)
    lines = [f"| {reading.name} | {against(reading)} |" for reading in judgement.readings]
    if not lines:
        return ""
    told = f" {told_of(checkpoint, run)}" if is_refit(checkpoint) else ""
    return "\n".join(["## Gauges", "", f"Verdict: {judgement.verdict.word}.{told}", "", "| gauge | reading |", "|---|---|", *lines, ""])
