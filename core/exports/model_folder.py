"""The merged model as a folder that plain `transformers` loads, in 16 bits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import AutoConfig, GenerationConfig

from core.exports.merging import loaded, merged, must_fit, pairs
from core.exports.order import Order
from core.files import write_new
from core.hub.locate import Progress
from core.worker.model import Base
from core.worker.sampling import other_ends


def fill(order: Order) -> Iterator[Progress]:
    """Write the folder into the staging folder. The weights go into a plain model of the same class: one that bitsandbytes made cannot
    be saved in 16 bits."""
    base: Base | None = None
    for step in loaded(order):
        if isinstance(step, Base):
            base = step
        else:
            yield step
    assert base is not None
    must_fit(base, 2)
    dtype = getattr(torch, order.dtype)
    yield "merging", None
    state = {name: tensor.to(dtype) for name, tensor in merged(base, pairs(order))}
    settings = base.model.config.to_dict()
    for key in ("quantization_config", "_name_or_path"):
        settings.pop(key, None)
    config = AutoConfig.for_model(**settings)
    with torch.device("meta"):
        plain = type(base.model)(config)
    plain.to(dtype)
    problems = plain.load_state_dict(state, strict=False, assign=True)
    assert not problems.unexpected_keys
    plain.tie_weights()
    config.dtype = dtype
    end, others = base.tokenizer.eos_token_id, other_ends(base.model, base.tokenizer)
    plain.generation_config = GenerationConfig(
        bos_token_id=base.tokenizer.bos_token_id, eos_token_id=[end, *others] if others else end, pad_token_id=base.tokenizer.pad_token_id
    )
    yield "writing", None
    plain.save_pretrained(order.staging)
    base.tokenizer.save_pretrained(order.staging)
    for name, text in order.files.items():
        write_new(Path(order.staging) / os.path.basename(name), text.encode())
