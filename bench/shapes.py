"""Llamas of published shapes with random NF4 weights, made on the device matrix by matrix, and a tokenizer as large as their vocabulary."""

from __future__ import annotations

from typing import Any

import torch

COLUMNS = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "tie_word_embeddings")  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    name: dict(zip(COLUMNS, numbers, strict=True))
    for name, numbers in {
        "tiny": (512, 64, 192, 2, 4, 2, True),
        "1B": (128256, 2048, 8192, 16, 32, 8, True),
        "3B": (128256, 3072, 8192, 28, 24, 8, True),
        "8B": (128256, 4096, 14336, 32, 32, 8, False),
        "13B": (32000, 5120, 13824, 40, 40, 40, False),
    }.items()
}
"""As in the `config.json` of Llama 3.2 1B and 3B, Llama 3.1 8B and Llama 2 13B; `tiny` is nobody's."""
SPREAD = 0.02
"""Standard deviation of every weight, as transformers begins with."""


def build(shape: dict[str, Any], device: str, compute: torch.dtype) -> tuple[Any, Any]:
    """Model and tokenizer. Beside what is held there is one matrix in 16 bits at a time."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**shape, max_position_embeddings=4096, bos_token_id=0, eos_token_id=1, pad_token_id=1, dtype=compute)
    with torch.device("meta"):
        model = LlamaForCausalLM(config).to(compute)
    ends = {model.model.embed_tokens, model.lm_head}
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear) and child not in ends:
                setattr(parent, name, _four_bit(child, device, compute))
    for name, parameter in list(model.named_parameters()):
        if parameter.is_meta:
            values = torch.empty(parameter.shape, dtype=compute, device=device)
            values = values.fill_(1.0) if parameter.dim() == 1 else values.normal_(std=SPREAD)
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, torch.nn.Parameter(values, requires_grad=False))
    model.tie_weights()
    model.model.rotary_emb = type(model.model.rotary_emb)(config).to(device)  # its frequencies are no weights
    left = [name for name, tensor in [*model.named_parameters(), *model.named_buffers()] if tensor.is_meta]
    assert not left, left
    return model.requires_grad_(False).eval(), _tokenizer(shape["vocab_size"])


def _four_bit(linear: torch.nn.Linear, device: str, compute: torch.dtype) -> Any:
    """A layer of the same shape, quantised as the program quantises: NF4 with quantised scales."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    made = Linear4bit(
        linear.in_features,
        linear.out_features,
        bias=False,
        compute_dtype=compute,
        compress_statistics=True,
        quant_type="nf4",
        device="meta",
    )
    values = torch.empty(linear.weight.shape, dtype=compute, device=device).normal_(std=SPREAD)
    made.weight = Params4bit(values, requires_grad=False, compress_statistics=True, quant_type="nf4", module=made).to(device)
    return made


def _tokenizer(size: int) -> Any:
    """Bytes first, then pieces that no text is made of, up to `size`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<|start|>", "<|end|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    pieces += [f"w{number}" for number in range(size - len(pieces))]
    raw = Tokenizer(models.BPE(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<|start|>", eos_token="<|end|>", pad_token="<|end|>")


def parameters_of(model: Any) -> int:
    """Numbers that a token is multiplied by: the layers' matrices and the output's."""
    from bitsandbytes.nn import Linear4bit

    layers = sum(module.in_features * module.out_features for module in model.modules() if isinstance(module, Linear4bit))
    return layers + model.lm_head.weight.numel()
