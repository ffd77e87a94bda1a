"""One measurement of tokens a second, in a process of its own: `python -m bench.speed ours-sample|plain-sample|ours-train|plain-train`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch

from bench.common import wire_rows
from core.config import Lora, Sampling, Training
from core.encoding import Curriculum, encode_row
from core.protocol import Load

TOKENS = 64
ROWS = 10
SEED = 1


def _engine() -> Any:
    from core.engine import Engine

    engine = Engine()
    for _ in engine.load(Load(id=1, base="starter", quantization="nf4", lora=Lora(), calibrate=True)):
        pass
    return engine


def _noise(tensors: list[torch.Tensor]) -> None:
    """An adapter that does something, as a trained one does."""
    with torch.no_grad():
        for number, tensor in enumerate(tensors):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number)) * 0.02)


def ours_sample() -> float:
    """Eight at once, our decode loop, packed NF4 and the adapter. Every text has the same length."""
    engine = _engine()
    _noise(engine._forms.parameters())
    engine._forms.sample(True, "bench")
    sampler = engine._sampler
    sampler.end = -1
    prompts = [row.prompt for row in wire_rows(8)]

    def once(tokens: int) -> float:
        sampler.end = 0  # padding only; drawn so rarely that no text ends early
        began = time.perf_counter()
        for _ in sampler.sample(prompts, list(range(8)), Sampling(max_tokens=tokens)):
            pass
        return 8 * tokens / (time.perf_counter() - began)

    once(8)
    return once(TOKENS)


def _plain(four_bit: bool) -> tuple[Any, Any]:
    """The starter with plain peft, as its own documentation shows."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    from core import starter

    folder = starter.convert(starter.find())
    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16, bnb_4bit_use_double_quant=True
    )  # fmt: skip
    options = {"quantization_config": quantization} if four_bit else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, device_map={"": "cpu"}, **options)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    return model, AutoTokenizer.from_pretrained(folder)


def plain_sample() -> float:
    """One at a time, `generate()` on the same 4-bit model, where bitsandbytes' own packing is in force."""
    model, tokenizer = _plain(four_bit=True)
    _noise([p for name, p in model.named_parameters() if "lora_" in name])
    model.eval()
    prompts = ["".join(text for text, _ in row.prompt) for row in wire_rows(8)]

    def once(prompt: str, tokens: int) -> None:
        encoded = tokenizer(prompt, return_tensors="pt")
        model.generate(
            **encoded, do_sample=True, temperature=1.0, min_p=0.05, top_k=0, max_new_tokens=tokens, min_new_tokens=tokens, pad_token_id=2
        )

    once(prompts[0], 8)
    began = time.perf_counter()
    for prompt in prompts[:3]:
        once(prompt, TOKENS)
    return 3 * TOKENS / (time.perf_counter() - began)


def ours_train() -> float:
    """Our loop over ten rows, one epoch after one step of warming up; the rows' own tokens."""
    from core.training import train

    engine = _engine()
    engine._forms.fresh_adapter(SEED)
    engine._forms.train()
    base = engine._base
    rows = wire_rows(ROWS)

    def once(some: list[Any]) -> float:
        curriculum = Curriculum(base.tokenizer, some, Training(), None, SEED)
        began = time.perf_counter()
        for _ in train(base.model, engine._forms.parameters(), curriculum, Training(), epochs=1, peak=1e-3, seed=SEED):
            pass
        return sum(len(row.ids) for row in curriculum.epoch(1)) / (time.perf_counter() - began)

    once(rows[:2])
    return once(rows)


def plain_train() -> float:
    """The plainest correct loop in 16 bit: padded batches of two, full logits, cross-entropy on the text and its end."""
    model, tokenizer = _plain(four_bit=False)
    rows = [encode_row(tokenizer, row, 1.0) for row in wire_rows(ROWS)]
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    model.train()

    def once(some: list[Any]) -> float:
        began = time.perf_counter()
        for start in range(0, len(some), 2):
            batch = some[start : start + 2]
            width = max(len(row.ids) for row in batch)
            ids = torch.tensor([row.ids + [2] * (width - len(row.ids)) for row in batch])
            mask = torch.tensor([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in batch])
            labels = torch.tensor([[-100] * row.start + row.ids[row.start :] + [-100] * (width - len(row.ids)) for row in batch])
            logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
            torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
        return sum(len(row.ids) for row in some) / (time.perf_counter() - began)

    once(rows[:2])
    return once(rows)


if __name__ == "__main__":
    works = {"ours-sample": ours_sample, "plain-sample": plain_sample, "ours-train": ours_train, "plain-train": plain_train}
    print(json.dumps({"tokens_a_second": works[sys.argv[1]]()}))
