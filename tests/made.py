"""Rows, runs and candidates as a workspace would hold them, made without a model."""

import json

import msgspec

from core import runfiles
from core.files import new_uid, now
from core.runfiles import CheckpointInfo, Result
from dataset.rows import Batch, Candidate, Tables


def write(session, count, start=0, ids="row"):
    """Rows with `ids` of their own, so that their folds are always the same: of the first twelve row03, row04 and row09 are held out."""
    rows = [(f"Dish {number} is a stew of {number} roots, {number * 7} regrets and a spoon.", {}) for number in range(start, start + count)]
    session.import_rows(rows, "rows", [f"{ids}{number:02}" for number in range(start, start + count)])


def top_up(session):
    """From now on every run goes on from the active checkpoint, as with many rows."""
    training = msgspec.structs.replace(session.settings.training, topup_from=0)
    session.settings = msgspec.structs.replace(session.settings, training=training)


def bake(session, losses, base=None, recall=None, fresh=False):
    """A run as the worker would leave it, without tensors: the loss at its start, then those of its epochs. Its last is active."""
    top_up(session)
    plan = session.plan(fresh, seed=1)
    name = plan.spec.name
    folder = session.registry.create(plan.spec, plan.rows)
    lines = []
    for epoch, loss in enumerate(losses):
        lines.append({"type": "epoch", "epoch": epoch, "held_out_loss": loss} | ({"base_loss": base} if base and not epoch else {}))
        if epoch:
            where = folder / f"checkpoints/epoch-{epoch:02}"
            where.mkdir(parents=True)
            told = CheckpointInfo(
                f"{name}/epoch-{epoch:02}", epoch, "starter", "f", "0" * 64, loss, 2.0, "now", recall=recall, recall_held_out=0.02
            )
            runfiles.write(where / "checkpoint.json", told)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    last = f"{name}/epoch-{len(losses) - 1:02}"
    runfiles.write(folder / "result.json", Result("done", checkpoint=last))
    session.registry.use(last)
    return last


def refit(session, epoch, **claimed):
    """The repetition on all rows of an epoch of a run that `bake` made; it is active then, and the run's choice."""
    name = epoch.replace("epoch", "refit")
    folder = session.registry.folder / name.replace("/", "/checkpoints/")
    folder.mkdir()
    told = {"held_out_loss": None, "recall": 0.09, **claimed}
    info = CheckpointInfo(name, int(epoch[-2:]), "starter", "f", "0" * 64, loss=1.9, created="now", measured_by=epoch, **told)
    runfiles.write(folder / "checkpoint.json", info)
    runfiles.write(folder.parent.parent / "result.json", Result("done", checkpoint=name))
    session.registry.use(name)
    return name


def sample(session, checkpoint, texts, finish="stop", strength=1.0, prompts=(), **settings):
    """Candidates as sampling would have stored them."""
    batch = Batch(new_uid(), checkpoint, list(prompts), list(range(len(texts))), settings, now(), strength=strength)
    made = [Candidate(new_uid(), text, {}, checkpoint, batch.uid, n, n, finish, 9, [], now()) for n, text in enumerate(texts)]
    session.commit("sample", Tables(candidates={c.uid: c for c in made}, batches={batch.uid: batch}))
    return made
