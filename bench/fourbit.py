"""What 4 bits cost, and what of it each remedy takes away, on the starter: held-out loss before and after training, against 16 bits.

`python -m bench.fourbit [--tasks checks empires] [--seeds N]` prints two tables (about twenty minutes on two cores). The weights are held
dequantised and exchanged in place, so that every variant is trained by the same loop from the same start.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from statistics import mean as average
from typing import Any

import torch
from safetensors.torch import load_file

from bench.common import TASKS, rows_of
from core.config import Lora, Training
from core.protocol import Load, Row
from core.worker import calibration, starter
from core.worker.encoding import Curriculum, Encoded, encode_row
from core.worker.evaluation import mean, measure_rows

LEARNED = {"checks": 24, "empires": 14, "paintings": 14}
UNSEEN = {"checks": 10, "empires": 6, "paintings": 8}
Weights = list[torch.Tensor]
Start = Callable[[], None]


class Bench:
    """The starter with its layers' weights in our hands."""

    def __init__(self) -> None:
        from core.worker.engine import Engine

        self.engine = Engine()
        for _ in self.engine.load(Load(id=1, base="starter", quantization="nf4", lora=Lora())):
            pass
        self.base, self.forms, _ = self.engine._ready()
        names = {module: name for name, module in self.forms.peft.named_modules()}
        self.names = [names[layer.wrapped].removeprefix("base_model.model.") for layer in self.forms.layers]
        state: dict[str, torch.Tensor] = {}
        for path in sorted(starter.convert(starter.find()).glob("*.safetensors")):
            state.update(load_file(path))
        self.whole: Weights = [state[f"{name}.weight"].to(self.base.compute) for name in self.names]

    def use(self, weights: Weights) -> None:
        for layer, weight in zip(self.forms.layers, weights, strict=True):
            layer.dense = weight
        self.forms._state = ""

    def loss(self, rows: list[Encoded], adapter: bool) -> float:
        self.forms.train(adapter)
        self.base.model.eval()
        return mean([row for part in measure_rows(self.base.model, rows, self.base.tokenizer.eos_token_id) for row in part])

    def rounded(self, blocksize: int = 64, double: bool = True, kind: str = "nf4") -> Weights:
        """Every weight rounded by itself."""
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

        made = (quantize_4bit(w.clone(), blocksize=blocksize, quant_type=kind, compress_statistics=double) for w in self.whole)
        return [dequantize_4bit(*pair).to(self.base.compute) for pair in made]

    def calibrated(self) -> Weights:
        """As the program holds them."""
        from core.worker.engine import Engine

        engine = Engine()
        for _ in engine.load(Load(id=1, base="starter", quantization="nf4", lora=Lora(), calibrate=True)):
            pass
        return [layer.dense for layer in engine._ready()[1].layers if layer.dense is not None]

    def inputs(self) -> list[torch.Tensor]:
        """X^T X (in x in) of every layer, on texts the model wrote."""
        self.use(self.whole)
        self.forms.train(with_adapter=False)
        sums = [torch.zeros(w.shape[1], w.shape[1]) for w in self.whole]

        def watch(total: torch.Tensor, forward: Any) -> Any:
            def watched(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
                flat = x.detach().flatten(0, -2).float()
                total.addmm_(flat.t(), flat)
                return forward(x)

            return watched

        for layer, total in zip(self.forms.layers, sums, strict=True):
            layer.wrapped.forward = watch(total, layer.wrapped.forward)
        with torch.no_grad():
            *_, texts = calibration.own_texts(self.base.model, self.base.tokenizer)
            assert isinstance(texts, list)
            for ids in texts:
                self.base.model(input_ids=torch.tensor([ids]), use_cache=False)
        self.forms._state = ""
        return sums

    @torch.no_grad()
    def repairing(self, weights: Weights, importance: list[torch.Tensor] | None) -> None:
        """LoftQ's start (Li et al. 2310.08659): the pair begins as the best rank-r part of what rounding took, weighted or not."""
        for place, layer in enumerate(self.forms.layers):
            lost = self.whole[place].float() - weights[place].float()
            scale = torch.ones(lost.shape[1]) if importance is None else importance[place].diagonal().sqrt() + 1e-6
            u, s, v = torch.svd_lowrank(lost * scale, q=layer.a.shape[0] + 8, niter=3)
            rank = layer.a.shape[0]
            root = s[:rank].sqrt()
            layer.b.copy_(u[:, :rank] * root / layer.scaling)
            layer.a.copy_(((v[:, :rank] / scale.unsqueeze(1)) * root).t())

    @torch.no_grad()
    def explaining(self, importance: list[torch.Tensor]) -> None:
        """EVA's start (Paischer et al. 2410.07170): A spans the directions in which the inputs vary most; B is zero."""
        for layer, total in zip(self.forms.layers, importance, strict=True):
            _, vectors = torch.linalg.eigh(total)
            layer.a.copy_(vectors[:, -layer.a.shape[0] :].t() * layer.a.norm(dim=1, keepdim=True))


def trained(bench: Bench, weights: Weights, learned: list[Row], unseen: list[Encoded], task: str, seed: int, start: Start | None) -> float:
    """The lowest held-out loss of two epochs."""
    from core.worker.training import EpochDone, train

    bench.use(weights)
    bench.forms.fresh_adapter(seed)
    if start:
        start()
    curriculum = Curriculum(bench.base.tokenizer, learned, Training(), TASKS[task](), seed)
    bench.forms.train()
    losses = []
    for event in train(bench.base.model, bench.forms.parameters(), curriculum, Training(), epochs=2, peak=1e-3, seed=seed):
        if isinstance(event, EpochDone):
            losses.append(bench.loss(unseen, adapter=True))
            bench.base.model.train()
    return min(losses)


def variants(bench: Bench) -> Iterator[tuple[str, Weights, Start | None, bool]]:
    """Name, weights, start of the adapter, and whether it is trained as well."""
    plain = bench.rounded()
    importance = bench.inputs()
    yield "16 bits", bench.whole, None, True
    yield "NF4, rounded (bitsandbytes' default)", plain, None, True
    yield "calibrated (ours)", bench.calibrated(), None, True
    yield "scales not quantised", bench.rounded(double=False), None, False
    yield "blocks of 32", bench.rounded(blocksize=32), None, False
    yield "FP4", bench.rounded(kind="fp4"), None, False
    for kind in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"):
        mixed = [w if name.endswith(kind) else p for name, w, p in zip(bench.names, bench.whole, plain, strict=True)]
        yield f"{kind} in 16 bits", mixed, None, kind == "down_proj"
    yield "LoftQ start", plain, lambda: bench.repairing(plain, None), True
    yield "LoftQ start, weighted by the inputs", plain, lambda: bench.repairing(plain, importance), True
    yield "EVA start", plain, lambda: bench.explaining(importance), True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=LEARNED, default=["checks", "empires"])
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    bench = Bench()
    rows: dict[str, tuple[list[Row], list[Encoded]]] = {}
    for name in args.tasks:
        task = TASKS[name]()
        made = [Row(str(n), task.segments(fields), text, fields=fields) for n, (text, fields) in enumerate(rows_of(name))]
        unseen = [encode_row(bench.base.tokenizer, row, 1.0) for row in made[LEARNED[name] : LEARNED[name] + UNSEEN[name]]]
        rows[name] = made[: LEARNED[name]], unseen
    heads = " | ".join(f"{name}, before | {name}, trained" for name in args.tasks)
    print(f"| | {heads} |\n{'|---' * (2 * len(args.tasks) + 1)}|", flush=True)
    for label, weights, start, worth in variants(bench):
        cells = []
        for name, (learned, unseen) in rows.items():
            bench.use(weights)
            bench.forms.fresh_adapter(1)
            if start:
                start()
            cells.append(f"{bench.loss(unseen, adapter=True):.3f}")
            after = [trained(bench, weights, learned, unseen, name, seed, start) for seed in range(1, args.seeds + 1)] if worth else []
            cells.append(f"{average(after):.3f}" if after else "")
        print(f"| {label} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
