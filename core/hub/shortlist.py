"""Good bases by size: models that only continue texts, or nearly, with a licence and a tokenizer that every export here knows. Plain data."""

from __future__ import annotations

from dataclasses import dataclass

from core.fit import Shape


@dataclass(frozen=True)
class Advised:
    """A base on the hub: its id, its shape, its licence, and what to know of it."""

    name: str
    shape: Shape
    licence: str
    about: str
    gated: bool = False


ADVISED = (
    Advised("HuggingFaceTB/SmolLM2-360M", Shape(361_821_120, 49_152, 960, 32), "Apache-2.0", "English; the starter's larger sister"),
    Advised("Qwen/Qwen3-0.6B-Base", Shape(596_049_920, 151_936, 1024, 28), "Apache-2.0", "many languages"),
    Advised(
        "meta-llama/Llama-3.2-1B", Shape(1_235_814_400, 128_256, 2048, 16), "Llama 3.2", "eight languages; accept its licence first", True
    ),
    Advised("HuggingFaceTB/SmolLM2-1.7B", Shape(1_711_376_384, 49_152, 2048, 24), "Apache-2.0", "English; good prose for its size"),
    Advised("Qwen/Qwen3-1.7B-Base", Shape(1_720_574_976, 151_936, 2048, 28), "Apache-2.0", "many languages"),
    Advised(
        "meta-llama/Llama-3.2-3B", Shape(3_212_749_824, 128_256, 3072, 28), "Llama 3.2", "eight languages; accept its licence first", True
    ),
    Advised("Qwen/Qwen3-4B-Base", Shape(4_022_468_096, 151_936, 2560, 36), "Apache-2.0", "many languages"),
    Advised("mistralai/Mistral-7B-v0.3", Shape(7_248_023_552, 32_768, 4096, 32, False), "Apache-2.0", "English; lively prose"),
    Advised("Qwen/Qwen3-8B-Base", Shape(8_190_735_360, 151_936, 4096, 36, False), "Apache-2.0", "many languages"),
    Advised("Qwen/Qwen3-14B-Base", Shape(14_768_307_200, 151_936, 5120, 40, False), "Apache-2.0", "many languages"),
)
