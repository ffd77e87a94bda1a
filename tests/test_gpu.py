"""The bench of graphics cards: its whole road with a small model, and the shapes it builds. What it measures needs a card."""

import pytest
import torch

from bench import gpu, shapes


def test_its_road_with_a_small_model(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "ROWS", 4)
    monkeypatch.setattr(gpu, "EPOCHS", 2)
    monkeypatch.setattr(gpu, "WRITTEN", 8)
    gpu.main(["--model", "tiny"])
    said = capsys.readouterr().out
    rows = {cells[1].strip(): cells[3].strip() for cells in (line.split("|") for line in said.splitlines()) if len(cells) == 6}
    for what in (
        "2 epochs, s",
        "tokens a second with checkpointing",
        "all 8 candidates, s",
        "sampled tokens a second",
        "adapter switch, ms",
    ):
        assert float(rows[what]) >= 0, what  # rounded
    assert "training with gradient checkpointing" in said and "refused. A step of training takes" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card, so nothing is skipped")
def test_without_a_card_it_says_why_and_ends_well(capsys):
    gpu.main([])
    assert capsys.readouterr().out.startswith("Skipped: torch finds no CUDA card")


@pytest.mark.parametrize(("name", "billions"), [("1B", 1.236), ("3B", 3.213), ("8B", 8.030), ("13B", 13.016)])
def test_the_shapes_are_the_published_ones(name, billions):
    """By the number of their parameters, each of which depends on the whole shape."""
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**shapes.SHAPES[name]))
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e9 == pytest.approx(billions, abs=6e-4)


def test_a_model_is_built_in_four_bits_and_trains(monkeypatch):
    """No matrix of a layer is left in 16 bits, and the largest thing that was ever made is one of them."""
    made = []
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, **more: made.append(empty(*size, **more)) or made[-1])
    model, tokenizer = shapes.build(shapes.SHAPES["tiny"], "cpu", torch.bfloat16)
    sixteen = [name for name, tensor in model.named_parameters() if tensor.dtype == torch.bfloat16 and tensor.dim() == 2]
    assert sixteen == ["model.embed_tokens.weight"] and model.lm_head.weight is model.model.embed_tokens.weight
    assert max(tensor.numel() for tensor in made if not tensor.is_meta) == 512 * 64  # the embeddings
    ids = torch.tensor([tokenizer("some text").input_ids])
    assert torch.isfinite(model(ids).logits).all() and ids.shape == (1, 9)
