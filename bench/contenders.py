"""One training or sampling contender, in a process of its own: `python -m bench.contenders train ours nf4`, `... sample plain-8 bf16`.

Training: the demo's first 32 rows for 4 epochs, the last rows as held-out ones; prints seconds, tokens a second, the process's peak
memory and the held-out loss afterwards, all measured in the same way. Sampling: tokens a second with an adapter that does something.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import torch

from bench.common import demo_rows
from core.config import Lora, Sampling, Training, template
from core.protocol import Load, Row
from core.worker import starter
from core.worker.encoding import Curriculum, Encoded, encode_row
from core.worker.engine import Engine, peak_memory
from core.worker.evaluation import mean, measure_rows
from core.worker.memory import give_back_memory
from core.worker.model import hardware
from core.worker.training import train

ROWS, EPOCHS, SEED = 32, 4, 1
TOKENS = 64
"""Tokens of every sampled text: none ends early, so that all contenders write as much."""
RANK, ALPHA = 16, 32
COMPUTE = hardware()[1]
"""What everything computes in: bfloat16 where the processor multiplies it, else 32 bits, for the others as for ours."""


def rows_of(count: int) -> tuple[list[Row], list[Row]]:
    """Training rows (the demo's own, again with other ids where there are too few), and the held-out ones."""
    task = template("alien-empires")
    texts = demo_rows()
    held = [Row(f"held{at}", task.segments(fields), text, held_out=True) for at, (text, fields) in enumerate(texts[ROWS:])]
    own = [Row(str(at), task.segments(fields), text, fields=fields) for at, (text, fields) in enumerate(texts[:ROWS])]
    return [Row(str(at), own[at % ROWS].prompt, own[at % ROWS].text, fields=own[at % ROWS].fields) for at in range(count)], held


def engine(four_bit: bool, rank: int = RANK) -> Any:
    """Our own engine with the base loaded."""
    made = Engine()
    command = Load(id=1, base="starter", quantization="nf4" if four_bit else "none", lora=Lora(r=rank, alpha=2 * rank), calibrate=False)
    for _ in made.load(command):
        pass
    return made


def plain(four_bit: bool, adapter: bool = True) -> tuple[Any, Any]:
    """The starter with plain peft, as its own documentation shows."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    folder = starter.convert(starter.find())
    options: dict[str, Any] = {}
    if four_bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=COMPUTE, bnb_4bit_use_double_quant=True
        )
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=COMPUTE, device_map={"": "cpu"}, **options)
    if adapter:
        model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"))
    return model, AutoTokenizer.from_pretrained(folder)


def _held_out_loss(model: Any, rows: Sequence[Encoded], end: int) -> float:
    model.eval()
    found = []
    for part in measure_rows(model, rows, end):
        found += part
    return mean(found)


def train_ours(four_bit: bool, rows: list[Row], held: list[Row], epochs: int, rank: int = RANK) -> tuple[float, int, float]:
    """Our loop at our defaults. Seconds, tokens, held-out loss."""
    made = engine(four_bit, rank)
    base, forms = made._base, made._forms
    forms.fresh_adapter(SEED)
    forms.train()
    settings = Training()
    curriculum = Curriculum(base.tokenizer, rows, settings, template("alien-empires"), SEED)
    give_back_memory()
    began = time.perf_counter()
    for _ in train(base.model, forms.parameters(), curriculum, settings, epochs=epochs, peak=settings.learning_rate, seed=SEED):
        pass
    seconds = time.perf_counter() - began
    tokens = sum(len(row.ids) for epoch in range(1, epochs + 1) for row in curriculum.epoch(epoch))
    encoded = [encode_row(base.tokenizer, row, settings.end_weight) for row in held]
    return seconds, tokens, _held_out_loss(base.model, encoded, base.tokenizer.eos_token_id)


def train_plain(four_bit: bool, rows: list[Row], held: list[Row], epochs: int) -> tuple[float, int, float]:
    """The plainest correct loop: padded batches of two, full logits, cross-entropy on the text and its end, our rate."""
    model, tokenizer = plain(four_bit)
    encoded = [encode_row(tokenizer, row, 1.0) for row in rows]
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=Training().learning_rate)
    model.train()
    began = time.perf_counter()
    for epoch in range(epochs):
        order = torch.randperm(len(encoded), generator=torch.Generator().manual_seed(epoch)).tolist()
        for start in range(0, len(order), 2):
            batch = [encoded[at] for at in order[start : start + 2]]
            width = max(len(row.ids) for row in batch)
            ids = torch.tensor([row.ids + [2] * (width - len(row.ids)) for row in batch])
            mask = torch.tensor([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in batch])
            labels = torch.tensor([[-100] * row.start + row.ids[row.start :] + [-100] * (width - len(row.ids)) for row in batch])
            logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
            torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
    seconds = time.perf_counter() - began
    tokens = epochs * sum(len(row.ids) for row in encoded)
    return seconds, tokens, _held_out_loss(model, [encode_row(tokenizer, row, 1.0) for row in held], tokenizer.eos_token_id)


def train_trl(four_bit: bool, rows: list[Row], held: list[Row], epochs: int) -> tuple[float, int, float]:
    """TRL's SFTTrainer at its own defaults, with the same LoRA; it gets prompt and completion, and learns the completion."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = plain(four_bit, adapter=False)
    data = Dataset.from_list([{"prompt": "".join(text for text, _ in row.prompt), "completion": row.text} for row in rows])
    with tempfile.TemporaryDirectory() as scratch:
        config = SFTConfig(output_dir=scratch, num_train_epochs=epochs, use_cpu=True, report_to=[], save_strategy="no", disable_tqdm=True)
        lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
        trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer, peft_config=lora)
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        tokens = epochs * sum(len(encode_row(tokenizer, row, 1.0).ids) for row in rows)
        loss = _held_out_loss(trainer.model, [encode_row(tokenizer, row, 1.0) for row in held], tokenizer.eos_token_id)
    return seconds, tokens, loss


def noise(tensors: Sequence[torch.Tensor]) -> None:
    """An adapter that does something, as a trained one does."""
    with torch.no_grad():
        for number, tensor in enumerate(tensors):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number)) * 0.02)


def prompts_of(count: int) -> list[Row]:
    rows, _ = rows_of(ROWS)
    return [rows[at % ROWS] for at in range(count)]


def sample_ours(four_bit: bool, batch: int, rank: int = RANK) -> float:
    """Our decode loop with all filters on. Tokens a second."""
    made = engine(four_bit, rank)
    noise(made._forms.parameters())
    made._forms.sample(True, "bench")
    rows = prompts_of(batch)
    sampler = made._sampler
    sampler.learn_examples([row.text for row in rows_of(ROWS)[0]], Sampling())
    sampler.end = 0  # padding only; drawn so rarely that no text ends early

    def once(tokens: int) -> float:
        began = time.perf_counter()
        for _ in sampler.sample([row.prompt for row in rows], list(range(batch)), Sampling(max_tokens=tokens)):
            pass
        return batch * tokens / (time.perf_counter() - began)

    once(8)
    return once(TOKENS)


def sample_plain(four_bit: bool, batch: int, continuous: bool = False) -> float:
    """`generate()`, or transformers' continuous batching, where bitsandbytes' own packing is in force. Tokens a second."""
    model, tokenizer = plain(four_bit)
    noise([p for name, p in model.named_parameters() if "lora_" in name])
    model.eval()
    tokenizer.padding_side, tokenizer.pad_token = "left", tokenizer.eos_token
    prompts = ["".join(text for text, _ in row.prompt) for row in prompts_of(batch)]
    settings: dict[str, Any] = {"do_sample": True, "temperature": 1.0, "min_p": 0.05, "top_k": 0, "pad_token_id": 2}

    def once(tokens: int) -> float:
        began = time.perf_counter()
        if continuous:
            from transformers import GenerationConfig

            config = GenerationConfig(max_new_tokens=tokens, eos_token_id=-1, **settings)
            ids = [tokenizer(prompt).input_ids for prompt in prompts]
            out = model.base_model.model.generate_batch(inputs=ids, generation_config=config, progress_bar=False)
            written = sum(len(each.generated_tokens) for each in out.values())
        else:
            encoded = tokenizer(prompts, return_tensors="pt", padding=True)
            out = model.generate(**encoded, max_new_tokens=tokens, min_new_tokens=tokens, **settings)
            written = batch * tokens
        return written / (time.perf_counter() - began)

    once(8)
    return once(TOKENS)


def of_length(rows: list[Row], tokens: int) -> list[Row]:
    """The same rows with texts of about so many tokens (four characters each, nearly), each its own text again and again."""
    return [msgspec.structs.replace(row, text=(row.text + " ") * (tokens * 4 // len(row.text) + 1)) for row in rows] if tokens else rows


def bare_product() -> float:
    """Tokens a second of training that products of the starter's shapes allow, were there nothing else: forwards and backwards through
    every linear layer, and twice through the output matrix, for 320 tokens at once."""
    shapes, rows = [(576, 576), (192, 576), (192, 576), (576, 576), (1536, 576), (1536, 576), (576, 1536)], 320
    inputs = {width: torch.randn(rows, width, dtype=COMPUTE) for width in (576, 192, 1536, 49152)}
    layers = [[torch.randn(shape, dtype=COMPUTE) for shape in shapes] for _ in range(30)]
    out = torch.randn(49152, 576, dtype=COMPUTE)

    def once() -> float:
        began = time.perf_counter()
        for weight in [weight for layer in layers for weight in layer] + [out]:
            torch.nn.functional.linear(inputs[weight.shape[1]], weight)
            inputs[weight.shape[0]] @ weight
        return rows / (time.perf_counter() - began)

    return max(once() for _ in range(6))


TRAINERS: dict[str, Callable[[bool, list[Row], list[Row], int], tuple[float, int, float]]] = {
    "trl": train_trl,
    "plain": train_plain,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "sample", "limit"])
    parser.add_argument("who", help="train: ours, trl, plain; sample: ours-N, plain-N, continuous-N, at N texts at once; limit: product")
    parser.add_argument("bits", choices=["nf4", "bf16"])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rank", type=int, default=RANK, help="of ours")
    parser.add_argument("--tokens", type=int, default=0, help="of each text that is trained on; 0: as they are")
    args = parser.parse_args()
    four_bit = args.bits == "nf4"
    if args.what == "limit":
        found = {"tokens_a_second": bare_product()}
    elif args.what == "train":
        rows, held = rows_of(args.rows)
        rows = of_length(rows, args.tokens)
        ours = args.who == "ours"
        seconds, tokens, loss = (
            train_ours(four_bit, rows, held, args.epochs, args.rank) if ours else TRAINERS[args.who](four_bit, rows, held, args.epochs)
        )
        found = {"seconds": seconds, "tokens_a_second": tokens / seconds, "held_out_loss": loss, "peak_memory": peak_memory()}
    else:
        who, _, batch = args.who.partition("-")
        speed = sample_ours(four_bit, int(batch), args.rank) if who == "ours" else sample_plain(four_bit, int(batch), who == "continuous")
        found = {"tokens_a_second": speed}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
