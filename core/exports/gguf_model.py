"""The merged model as one GGUF file, f16 or q8_0, written tensor by tensor: the whole is never in memory in 16 bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from core.config import STARTER
from core.errors import FlavorError
from core.exports import vocabulary
from core.exports.architecture import Architecture, Array, of_folder
from core.exports.gguf_adapter import base_folder
from core.exports.merging import loaded, merged, pairs
from core.exports.order import GGUF_FILE, Kind, Order
from core.files import typed_path
from core.hub.locate import Progress
from core.worker import starter
from core.worker.model import Base
from core.worker.sampling import other_ends

TYPES = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}


def fill(order: Order) -> Iterator[Progress]:
    """Write the file into the staging folder."""
    folder = base_folder(order)
    kind = of_folder(folder)
    base: Base | None = None
    for step in loaded(order):
        if isinstance(step, Base):
            base = step
        else:
            yield step
    assert base is not None
    added = pairs(order)
    writer = gguf.GGUFWriter(Path(order.staging) / GGUF_FILE, kind.name)
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(order.name)
    writer.add_file_type(TYPES[order.kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    extra = describe(writer, order, kind, base, folder)
    shapes = [(name, tuple(_shape(parameter))) for name, parameter in base.model.named_parameters()]
    for name, shape in shapes:
        raw = stored(shape, order.kind)
        writer.add_tensor_info(kind.tensor(name), raw.shape(shape), raw.numpy, raw.bytes(shape), raw.ggml)
    for name, data in extra:
        writer.add_tensor_info(name, list(data.shape), np.dtype(np.float32), data.nbytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for number, (name, tensor) in enumerate(merged(base, added)):
        yield "writing", number / len(shapes)
        data = kind.arrange(name, tensor.float().numpy())
        writer.write_tensor_data(stored(tuple(data.shape), order.kind).convert(data))
    for _, data in extra:
        writer.write_tensor_data(np.ascontiguousarray(data, np.float32))
    writer.close()


def _shape(parameter: torch.Tensor) -> torch.Size:
    state = getattr(parameter, "quant_state", None)
    shape: torch.Size = state.shape if state is not None else parameter.shape
    return shape


class Stored:
    """How a tensor is held in the file."""

    def __init__(self, ggml: gguf.GGMLQuantizationType) -> None:
        self.ggml = ggml
        self.quantised = ggml is gguf.GGMLQuantizationType.Q8_0
        self.numpy = np.dtype({gguf.GGMLQuantizationType.F16: np.float16, gguf.GGMLQuantizationType.F32: np.float32}.get(ggml, np.uint8))

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Numbers along each axis; of quantised ones bytes along the last."""
        return gguf.quant_shape_to_byte_shape(shape, self.ggml) if self.quantised else shape

    def bytes(self, shape: tuple[int, ...]) -> int:
        return int(np.prod(self.shape(shape))) * self.numpy.itemsize

    def convert(self, data: Array) -> Array:
        return gguf.quantize(data, self.ggml) if self.quantised else np.ascontiguousarray(data, self.numpy)


def stored(shape: tuple[int, ...], kind: Kind) -> Stored:
    """As llama.cpp's own converter does it: vectors in 32 bits, matrices in 16, or in 8 where the rows are whole blocks of 32."""
    if len(shape) == 1:
        return Stored(gguf.GGMLQuantizationType.F32)
    if kind == "q8_0" and shape[-1] % 32 == 0:
        return Stored(gguf.GGMLQuantizationType.Q8_0)
    return Stored(gguf.GGMLQuantizationType.F16)


def describe(writer: gguf.GGUFWriter, order: Order, kind: Architecture, base: Base, folder: Path) -> list[tuple[str, Array]]:
    """Write what is to be known of the model and its tokenizer. Returns tensors that are none of its parameters."""
    source = starter.find() if order.base == STARTER else typed_path(order.base)
    if source.suffix.lower() == ".gguf":
        return vocabulary.copy(writer, source)
    config: Any = base.model.config
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(kind.blocks)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(kind.heads)
    writer.add_head_count_kv(kind.kv_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    width = getattr(config, "head_dim", None) or config.hidden_size // kind.heads
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    size = base.model.get_input_embeddings().weight.shape[0]
    vocabulary.write(writer, folder, base.tokenizer, size, other_ends(base.model, base.tokenizer))
    writer.add_vocab_size(size)
    return rotation(writer, config, width)


def rotation(writer: gguf.GGUFWriter, config: Any, width: int) -> list[tuple[str, Array]]:
    """How positions turn the heads. Llama 3's stretching is a tensor of its own: by what each frequency is divided."""
    told: dict[str, Any] = dict(getattr(config, "rope_parameters", None) or {})
    writer.add_rope_freq_base(float(told.get("rope_theta", 10_000.0)))
    kind = told.get("rope_type", "default")
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(told["factor"]))
    elif kind == "llama3":
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        stretched, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
        plain = 1.0 / float(told["rope_theta"]) ** (torch.arange(0, width, 2, dtype=torch.float32) / width)
        return [(f"{gguf.TENSOR_NAMES[gguf.MODEL_TENSOR.ROPE_FREQS]}.weight", (plain / stretched).numpy())]
    elif kind != "default":
        raise FlavorError(f"No GGUF is written here for positions of the kind {kind}.", "Export it as merged.", "model")
    return []
