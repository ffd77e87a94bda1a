"""The merged models: the numbers that were trained on, by transformers and by llama.cpp, at any strength and in every architecture known."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.errors import FlavorError
from core.exports import gguf_adapter, gguf_model, model_folder
from core.exports.order import GGUF_FILE
from core.runfiles import read_rows
from runs.registry import Registry
from tests.exports.ours import greedy

PROMPT = {"Mood": "Calm", "Cook": "Ann 3"}


def filled(module, order):
    Path(order.staging).mkdir()
    for _ in module.fill(order) or ():
        pass
    return Path(order.staging)


def loaded(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return lambda ids: model(input_ids=torch.tensor([ids])).logits[0].detach()


def held_out(baked):
    run = Registry(baked).run("0001")
    return [row for row in read_rows(run.folder / "rows.jsonl", run.spec.rows_sha256) if row.held_out]


def test_the_merged_folder_is_what_was_trained_not_the_adapter_on_the_16_bit_base(ours, baked, tmp_path):
    from peft import PeftModel

    merged = loaded(filled(model_folder, ours.order(tmp_path / "out", "merged")))
    base = AutoModelForCausalLM.from_pretrained(ours.settings.model.base, dtype=torch.float32)
    near = PeftModel.from_pretrained(base, ours.folder).eval()
    for row in held_out(baked):
        ids = ours.row(row)
        true = ours.logits(ids)
        apart = (merged(ids) - true).abs().max()
        other = (near(input_ids=torch.tensor([ids])).logits[0].detach() - true).abs().max()
        assert apart < 0.15 < other and apart < other / 5, (apart, other)
    prompt = ours.prompt(**PROMPT)
    assert greedy(lambda ids: merged(ids)[-1], prompt, 32, ours.base.tokenizer.eos_token_id) == ours.greedy(prompt)
    assert AutoTokenizer.from_pretrained(tmp_path / "out")("a b").input_ids == ours.base.tokenizer("a b").input_ids


def test_the_merged_folder_at_half_strength(ours, baked, tmp_path):
    merged = loaded(filled(model_folder, ours.order(tmp_path / "out", "merged", strength=0.5, dtype="float16")))
    ids = ours.row(held_out(baked)[0])
    ours.use(ours.folder, 0.5)
    assert (merged(ids) - ours.logits(ids)).abs().max() < 0.03
    ours.use(ours.folder)
    assert (merged(ids) - ours.logits(ids)).abs().max() > 0.3


@pytest.mark.parametrize(("kind", "near"), [("f16", 0.03), ("q8_0", 0.5)])
def test_llama_cpp_writes_what_we_write_from_the_merged_gguf(ours, llama, tmp_path, kind, near):
    """The same greedy text, but where two tokens are as near to one another as the two programs' logits are."""
    folder = filled(gguf_model, ours.order(tmp_path / "out", "gguf", kind=kind, name="x"))
    prompts = [ours.prompt(**PROMPT), ours.prompt()]
    found = llama(model=str(folder / GGUF_FILE), prompts=prompts, tokens=32, texts=["A stew; naïve 12"])
    for prompt, tokens, logits in zip(prompts, found["greedy"], found["logits"], strict=True):
        assert (torch.tensor(logits) - ours.logits(prompt)[-1]).abs().max() < near
        wanted = ours.greedy(prompt)
        same = next((at for at, (one, two) in enumerate(zip(tokens, wanted, strict=False)) if one != two), None)
        if same is None:
            assert tokens == wanted
        else:  # where they part, either token could have been ours
            there = ours.logits(prompt + wanted[:same])[-1]
            assert there.max() - there[tokens[same]] < 2 * near
    assert ours.base.tokenizer.decode(found["greedy"][0]).startswith("A stew and a spoon.")
    assert found["ids"] == [ours.base.tokenizer("A stew; naïve 12").input_ids]


def test_llama_cpp_writes_what_we_write_from_the_base_with_the_adapter(ours, llama, tmp_path):
    """The base as it was trained on is the export of strength 0."""
    base = filled(gguf_model, ours.order(tmp_path / "base", "gguf", strength=0.0, name="base"))
    prompt = ours.prompt(**PROMPT)
    for strength in (1.0, 0.5):
        lora = filled(gguf_adapter, ours.order(tmp_path / f"lora{strength}", "gguf-adapter", strength=strength, name="x"))
        found = llama(model=str(base / GGUF_FILE), lora=str(lora / GGUF_FILE), prompts=[prompt], tokens=32)
        ours.use(ours.folder, strength)
        assert (torch.tensor(found["logits"][0]) - ours.logits(prompt)[-1]).abs().max() < 0.03
        assert found["greedy"][0] == ours.greedy(prompt)


def test_a_rank_stabilised_adapter_is_as_strong_as_peft_makes_it(ours, tmp_path):
    import gguf

    from core.exports import adapter

    told = {"r": 16, "lora_alpha": 24, "use_rslora": True}
    assert adapter.scaling(told) == 24 / 4
    lora = filled(gguf_adapter, ours.order(tmp_path / "lora", "gguf-adapter", strength=0.5, name="x"))
    fields = gguf.GGUFReader(lora / GGUF_FILE).fields
    assert fields["adapter.lora.alpha"].contents() == 24 * 0.5


def test_an_unknown_architecture_is_refused_with_a_way_out(tmp_path):
    from core.exports.architecture import of_folder

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "strange"}))
    with pytest.raises(FlavorError, match=r'"strange".*convert_hf_to_gguf'):
        of_folder(tmp_path)
