"""What exports cost and how true they are, on the starter: `python -m bench.export`. With llama.cpp where `bench/llama_env.sh` made it.

Held-out rows are measured with the merged model by plain transformers in float32, beside the program's own numbers; greedy texts are 32
tokens after the prompts of unseen attribute values.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Any

from bench.common import spread, workspace
from core.files import cache_folder
from core.protocol import Load, Row, Train
from core.runfiles import measured_by, read_rows
from core.task import Segment
from tui.session.session import Session

ROWS = 30
ROUNDS = 5
PROMPTS = 12
TOKENS = 32
Greedy = list[tuple[list[int], list[float]]]
"""Of each prompt the likeliest tokens, and by how much each is ahead of the second."""
LLAMA = Path(os.environ.get("FLAVOR_TUI_LLAMA") or cache_folder() / "llama-cpp") / "bin/python"


def llama(**asked: Any) -> dict[str, Any]:
    """What llama.cpp says."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    probe = Path(__file__).with_name("llama_probe.py")
    done = subprocess.run([LLAMA, probe], input=json.dumps(asked), capture_output=True, text=True, env=own, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def export(folder: Path, dest: Path, *words: str) -> float:
    """Seconds that the command takes, from start to end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tui", "export", folder, words[0], dest, *words[1:]], check=True, capture_output=True)
    return time.perf_counter() - began


def bake(folder: Path) -> tuple[str, list[Row]]:
    """A checkpoint as a person would have it after their first retrain, and the rows held out of it."""
    from core.protocol import Trained
    from core.worker.engine import Engine

    with Session(folder) as session:
        plan = session.plan(seed=1)
        run = session.registry.create(plan.spec, plan.rows)
        engine = Engine()
        model = session.settings.model
        list(
            engine.load(Load(id=1, base=model.base, quantization=model.quantization, lora=session.settings.lora, calibrate=model.calibrate))
        )
        events = list(engine.train(Train(id=2, run=str(run))))
        ended = next(event for event in events if isinstance(event, Trained))
        checkpoint = measured_by(ended.checkpoint)  # the rows held out of it are those of its losses
        session.registry.use(checkpoint)
        return checkpoint, [row for row in read_rows(run / "rows.jsonl", plan.spec.rows_sha256) if row.held_out]


class Ours:
    """The program's own engine with the checkpoint."""

    def __init__(self, folder: Path, checkpoint: str) -> None:
        from core.worker.engine import Engine

        with Session(folder, read_only=True) as session:
            self.task, self.examples = session.task, [example.fields for example in session.store.examples.values()]
            self.folder = session.registry.checkpoint_folder(checkpoint)
            model, lora = session.settings.model, session.settings.lora
        self.engine = Engine()
        list(self.engine.load(Load(id=1, base=model.base, quantization=model.quantization, lora=lora, calibrate=model.calibrate)))
        self.base, self.forms, _ = self.engine._ready()

    def prompts(self) -> list[list[Segment]]:
        return [self.task.segments(values) for values in self.task.draw({}, self.examples, list(range(PROMPTS)))]

    def logits(self, ids: list[int]) -> Any:
        import torch

        self.engine.adapters.use(self.folder)
        self.forms.train()
        with torch.no_grad():
            return self.base.model(input_ids=torch.tensor([ids])).logits[0].float()

    def in_float32(self) -> Any:
        """A plain model with the weights that the program computes with, the adapter added, in float32: none of our own forward, and
        none of the exports."""
        import torch
        from transformers import AutoModelForCausalLM

        from core.worker import starter

        self.engine.adapters.use(self.folder)
        names = {module: name for name, module in self.base.model.named_modules()}
        model = AutoModelForCausalLM.from_pretrained(starter.convert(starter.find()), dtype=torch.float32).eval()
        with torch.no_grad():
            for layer in self.forms.layers:
                assert layer.dense is not None
                model.get_submodule(names[layer.wrapped]).weight.copy_(layer.dense.float() + layer.scaling * layer.b @ layer.a)
        return model

    def greedy(self, prompt: list[Segment], model: Any = None) -> tuple[list[int], list[float]]:
        """The likeliest tokens, and by how much each is ahead of the second: the program's own, or a plain model's."""
        import torch

        from core.worker.encoding import encode_prompt

        if model is None:
            self.engine.adapters.use(self.folder)
            self.forms.train()
            model = self.base.model
        ids, cache = encode_prompt(self.base.tokenizer, prompt)[0], None
        written: list[int] = []
        ahead: list[float] = []
        with torch.no_grad():
            while len(written) < TOKENS and self.base.tokenizer.eos_token_id not in written:
                out = model(input_ids=torch.tensor([written[-1:] or ids]), past_key_values=cache, use_cache=True)
                cache, best = out.past_key_values, out.logits[0, -1].float().topk(2)
                written.append(int(best.indices[0]))
                ahead.append(float(best.values[0] - best.values[1]))
        return written, ahead


def apart(ours: Ours, other: Any, rows: list[Row]) -> tuple[float, float, float]:
    """Largest difference of a logit, mean KL divergence (nats a token), and difference in held-out loss, over the rows' texts."""
    from core.worker.encoding import encode_row

    most, kl, losses, places = 0.0, 0.0, 0.0, 0
    for row in rows:
        encoded = encode_row(ours.base.tokenizer, row, 1.0)
        p, q = (of(encoded.ids)[encoded.start - 1 : -1] for of in (ours.logits, other))
        most = max(most, float((p - q).abs().max()))
        p, q = p.log_softmax(-1), q.log_softmax(-1)
        kl += float((p.exp() * (p - q)).sum())
        picked = encoded.ids[encoded.start :]
        losses += float(sum(p[at, token] - q[at, token] for at, token in enumerate(picked)))
        places += len(picked)
    return most, kl / places, losses / places


def plain(folder: Path) -> Any:
    """A folder's logits, by transformers alone, in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def logits(ids: list[int]) -> Any:
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids])).logits[0]

    return logits


def on_16_bits(ours: Ours) -> Any:
    """The adapter on the base that the 4 bits were made from, by peft: what the merged model must not be."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from core.worker import starter

    base = AutoModelForCausalLM.from_pretrained(starter.convert(starter.find()), dtype=torch.float32)
    model = PeftModel.from_pretrained(base, ours.folder).eval()

    def logits(ids: list[int]) -> Any:
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids])).logits[0]

    return logits


def agreement(greedy: Greedy, found: list[list[int]]) -> str:
    """How many texts agree, and how sure we were where the others part."""
    parted = []
    same = []
    for (tokens, ahead), others in zip(greedy, found, strict=True):
        at = next((place for place, pair in enumerate(zip(tokens, others, strict=False)) if pair[0] != pair[1]), None)
        same.append(len(tokens) if at is None else at)
        if at is not None:
            parted.append(ahead[at])
    whole = len(greedy) - len(parted)
    rest = f"; the others part where our two likeliest tokens are at most {max(parted):.2f} apart" if parted else ""
    return f"{whole} of {len(greedy)} texts agree over {TOKENS} tokens, {mean(same):.1f} tokens on average{rest}"


def joined(ours: Ours, rows: list[Row]) -> float:
    """What it costs, in nats a token of the texts, to cut the prompt into tokens as one string instead of line by line."""
    from core.worker.encoding import encode_row

    costs = []
    for row in rows:
        apart_ids = encode_row(ours.base.tokenizer, row, 1.0)
        whole = encode_row(ours.base.tokenizer, Row(row.id, [("".join(text for text, _ in row.prompt), 0.0)], row.text), 1.0)
        losses = []
        for one in (apart_ids, whole):
            p = ours.logits(one.ids)[one.start - 1 : -1].log_softmax(-1)
            losses.append(-mean(float(p[at, token]) for at, token in enumerate(one.ids[one.start :])))
        costs.append(losses[1] - losses[0])
    return mean(costs)


def truth(ours: Ours, folder: Path, place: Path, held: list[Row]) -> None:
    """How far the merged folder is from what was trained, and the adapter on the 16-bit base."""
    for dtype in ("bfloat16", "float16"):
        dest = place / dtype
        took = export(folder, dest, "merged", "--dtype", dtype)
        most, kl, loss = apart(ours, plain(dest), held)
        print(f"merged {dtype}: {took:.1f} s; logits at most {most:.3f} apart, KL {kl:.5f}, held-out loss {loss:+.4f} nats a token")
    most, kl, loss = apart(ours, on_16_bits(ours), held)
    print(f"for comparison, the adapter on the 16-bit base: {most:.3f}, KL {kl:.5f}, held-out loss {loss:+.4f}")
    print(f"a prompt cut into tokens as one string: {joined(ours, held):+.4f} nats a token")


def main() -> None:
    if sys.argv[1:] not in ([], ["--greedy"]):
        raise SystemExit("python -m bench.export [--greedy]: only the comparison with llama.cpp")
    with tempfile.TemporaryDirectory(prefix="bench-export-") as root:
        place = Path(root)
        folder = workspace(place / "w", ROWS)
        checkpoint, held = bake(folder)
        ours = Ours(folder, checkpoint)
        print(f"{checkpoint}: {len(held)} rows held out")
        rounds = 1 if sys.argv[1:] else ROUNDS
        seconds = [export(folder, place / f"a{number}.gguf", "gguf-adapter") for number in range(rounds)]
        print(f"GGUF adapter: {spread(seconds)} s, {(place / 'a0.gguf').stat().st_size / 1e6:.1f} MB")
        if not sys.argv[1:]:
            truth(ours, folder, place, held)
        if not LLAMA.exists():
            print("llama.cpp is not there: bench/llama_env.sh")
            return
        from core.worker.encoding import encode_prompt

        prompts = [encode_prompt(ours.base.tokenizer, prompt)[0] for prompt in ours.prompts()]
        precise = ours.in_float32()
        greedy = {
            "in float32": [ours.greedy(prompt, precise) for prompt in ours.prompts()],
            "in bfloat16": [ours.greedy(prompt) for prompt in ours.prompts()],
        }
        print(f"the program's own weights in bfloat16: {agreement(greedy['in float32'], [tokens for tokens, _ in greedy['in bfloat16']])}")

        def tell(what: str, found: dict[str, Any]) -> None:
            for how, own in greedy.items():
                print(f"{what}, ours {how}: {agreement(own, found['greedy'])}")

        for kind in ("f16", "q8_0"):
            dest = place / f"{kind}.gguf"
            took = export(folder, dest, "gguf", "--kind", kind)
            found = llama(model=str(dest), prompts=prompts, tokens=TOKENS, threads=2)
            speed = found["tokens"] / found["seconds"]
            print(f"GGUF {kind}: {took:.1f} s, {dest.stat().st_size / 1e6:.0f} MB, {speed:.0f} tokens/s")
            tell(f"GGUF {kind}", found)
        export(folder, place / "base.gguf", "gguf", "--strength", "0")
        found = llama(model=str(place / "base.gguf"), lora=str(place / "a0.gguf"), prompts=prompts, tokens=TOKENS, threads=2)
        tell("base f16 and GGUF adapter", found)
        texts = ["".join(text for text, _ in prompt) for prompt in ours.prompts()]
        ids = llama(model=str(place / "base.gguf"), texts=texts)["ids"]
        print(f"tokens of {len(texts)} prompts as in transformers: {ids == [ours.base.tokenizer(text).input_ids for text in texts]}")


if __name__ == "__main__":
    main()
