"""What this program itself makes of a checkpoint: logits and greedy texts, by the form it trains with, in float32 all through."""

from pathlib import Path

import torch

from core.config import load as settings_of
from core.exports.order import Order
from core.protocol import Load
from core.worker.encoding import encode_prompt, encode_row
from core.worker.engine import Engine
from tests.exports.conftest import CHECKPOINT


class Ours:
    """An engine with a workspace's base and one of its checkpoints."""

    def __init__(self, workspace: Path, checkpoint=CHECKPOINT, monkeypatch=None):
        self.settings = settings_of(workspace)
        self.folder = workspace / "runs" / checkpoint.replace("/", "/checkpoints/")
        if monkeypatch:
            monkeypatch.setattr("core.worker.model.hardware", lambda: ("cpu", torch.float32))
        self.engine = Engine()
        model = self.settings.model
        list(
            self.engine.load(
                Load(id=1, base=model.base, quantization=model.quantization, lora=self.settings.lora, calibrate=model.calibrate)
            )
        )
        self.base, self.forms, _ = self.engine._ready()
        self.use(self.folder)

    def use(self, folder, factor=1.0):
        self.engine.adapters.use(folder)
        self.engine.adapters.changed()
        self.forms.shrink_adapter(factor)
        self.forms.train()

    def order(self, staging, what, **more):
        model = self.settings.model
        return Order(what, str(staging), model.base, model.quantization, model.calibrate, self.settings.lora, str(self.folder), **more)

    def prompt(self, **fields):
        return encode_prompt(self.base.tokenizer, self.settings.task.segments(fields))[0]

    def row(self, row):
        return encode_row(self.base.tokenizer, row, 1.0).ids

    @torch.no_grad()
    def logits(self, ids):
        """Length x vocabulary."""
        return self.base.model(input_ids=torch.tensor([ids])).logits[0].float()

    def greedy(self, ids, count=32):
        return greedy(lambda seen: self.logits(seen)[-1], ids, count, self.base.tokenizer.eos_token_id)


def greedy(last, ids, count, end):
    """The tokens that the highest logit picks, up to and with the end token."""
    written = []
    while len(written) < count and end not in written:
        written.append(int(last(ids + written).argmax()))
    return written
