"""One token more for every text of a batch, written out for models of Llama's shape.

Sampling asks a model for one position of a few rows at a time. There the calls cost as much as the arithmetic: transformers makes some
forty a layer, copies the cache at every token and repeats it for every head that shares it. Written out it is twenty, over groups of
layers (`core/worker/forms.py`) and a cache that grows in steps.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from transformers import DynamicCache, PreTrainedModel

from core.worker.forms import Forms

KNOWN = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM")
"""Models whose layers are: norm, attention over rotated heads, norm, a gated feed-forward part."""
ROOM = 64
"""Positions that a cache grows by."""


class LlamaDecoder:
    """The written-out forward of a model of Llama's shape, over the form that its `Forms` are in. Made once for a loaded model."""

    @staticmethod
    def of(model: PreTrainedModel, forms: Forms) -> LlamaDecoder | None:
        """None for a model that is not of the shape."""
        config = model.config
        if type(model).__name__ not in KNOWN or config.hidden_act not in ("silu", "swish"):
            return None
        slides = any(kind != "full_attention" for kind in getattr(config, "layer_types", None) or [])
        if slides or (type(model).__name__ == "MistralForCausalLM" and config.sliding_window):
            return None
        return LlamaDecoder(model, forms)

    def __init__(self, model: PreTrainedModel, forms: Forms) -> None:
        self.model: Any = model.model
        self.heads: int = model.config.num_attention_heads
        self.shared: int = model.config.num_key_value_heads
        """Heads of keys and values, each for several heads of queries."""
        self.layers = [_LayerParts(layer, forms) for layer in self.model.layers]
        self.head = forms.output(model.get_output_embeddings().weight)

    def read(self, cache: DynamicCache, mask: torch.Tensor) -> LlamaReading:
        """Go on from what the model's own forward has read; the cache is emptied on the way."""
        return LlamaReading(self, cache, mask)


class _LayerParts:
    """One layer: its norms, and the products that its input, its heads, its second norm and its feed-forward part go through."""

    def __init__(self, layer: Any, forms: Forms) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.before, self.between = layer.input_layernorm, layer.post_attention_layernorm
        self.scaling: float = attention.scaling
        self.heads_in = forms.group([attention.q_proj, attention.k_proj, attention.v_proj])
        self.heads_out = forms.group([attention.o_proj])
        self.gate_up = forms.group([mlp.gate_proj, mlp.up_proj])
        self.down = forms.group([mlp.down_proj])


def _norm(x: torch.Tensor, norm: Any) -> torch.Tensor:
    return F.rms_norm(x, (x.shape[-1],), norm.weight, norm.variance_epsilon)


class LlamaReading:
    """Rows that are read by a `LlamaDecoder`."""

    def __init__(self, decoder: LlamaDecoder, cache: DynamicCache, mask: torch.Tensor) -> None:
        self._decoder = decoder
        self._length = mask.shape[1]
        self._position = mask.sum(-1, keepdim=True)
        self._keys: list[torch.Tensor] = []
        """A layer's keys: rows x shared heads x room x size of a head."""
        self._values: list[torch.Tensor] = []
        room = self._length + ROOM
        for layer in cache.layers:
            self._keys.append(self._roomy(layer.keys, room))
            self._values.append(self._roomy(layer.values, room))
            layer.reset()
        self._hidden = None if bool(mask.all()) else (mask == 0)[:, None, None]
        """Where rows are padded (rows x 1 x 1 x positions), if any is."""

    def _roomy(self, full: torch.Tensor, room: int) -> torch.Tensor:
        rows, heads, length, size = full.shape
        roomy = full.new_empty(rows, heads, room, size)
        roomy[:, :, :length] = full
        return roomy

    def _bias(self, kind: torch.dtype) -> torch.Tensor | None:
        """What is added to the scores: minus infinity where a row is padded."""
        if self._hidden is None:
            return None
        bias = torch.zeros(len(self._hidden), 1, 1, self._length, dtype=kind, device=self._hidden.device)
        bias[..., : self._hidden.shape[-1]].masked_fill_(self._hidden, float("-inf"))
        return bias

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        decoder = self._decoder
        rows, heads, shared = len(tokens), decoder.heads, decoder.shared
        at = self._length
        self._length += 1
        if self._length > self._keys[0].shape[2]:
            room = self._length + ROOM
            for layers in (self._keys, self._values):
                layers[:] = [self._roomy(full, room) for full in layers]
        x = decoder.model.embed_tokens(tokens)
        # rotate_half(x) * sin, for which transformers cuts and negates x: here the halves are swapped, and half of the sines is negated.
        cos, sin = decoder.model.rotary_emb(x, self._position.view(rows, 1))
        half = cos.shape[-1] // 2
        sin = torch.cat((-sin[..., :half], sin[..., half:]), -1)
        bias = self._bias(x.dtype)
        for layer, keys, values in zip(decoder.layers, self._keys, self._values, strict=True):
            states = layer.heads_in[0](_norm(x, layer.before)).view(rows, heads + 2 * shared, -1)
            turned = states[:, : heads + shared]
            turned = turned * cos + torch.roll(turned, half, -1) * sin
            keys[:, :, at] = turned[:, heads:]
            values[:, :, at] = states[:, heads + shared :]
            # The heads that share a key stand where positions of a text would: so nothing is repeated.
            queries = turned[:, :heads].reshape(rows, shared, heads // shared, -1)
            seen = F.scaled_dot_product_attention(
                queries, keys[:, :, : at + 1], values[:, :, : at + 1], attn_mask=bias, scale=layer.scaling
            )
            x = x + layer.heads_out[0](seen.reshape(rows, -1))
            both = layer.gate_up[0](_norm(x, layer.between))
            gate, up = both.chunk(2, -1)
            x = x + layer.down[0](F.silu(gate) * up)
        self._position = self._position + 1
        return decoder.head[0](_norm(x, decoder.model.norm))

    def keep(self, rows: torch.Tensor) -> None:
        self._position = self._position[rows]
        if self._hidden is not None:
            self._hidden = self._hidden[rows]
        for layers in (self._keys, self._values):
            layers[:] = [full[rows] for full in layers]
