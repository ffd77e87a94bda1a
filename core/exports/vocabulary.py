"""A tokenizer as GGUF keeps it: copied from the GGUF file that the base came from, or made from `tokenizer.json`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf

from core.errors import FlavorError
from core.exports.architecture import Array
from core.reading import read_regular

LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
SPLITS = {LLAMA_3: "llama-bpe", QWEN_2: "qwen2"}
"""How texts are cut before pieces are merged, by regular expression, and what llama.cpp calls it."""
BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
MAX_TOKENIZER = 1 << 26
ESPECIALLY = ("bos", "eos", "unk", "pad")


def unknown(what: str) -> FlavorError:
    """There is a tokenizer that this file has no words for."""
    return FlavorError(
        f"llama.cpp's name for this base's tokenizer is not known here ({what}).",
        "Export it as merged; llama.cpp's convert_hf_to_gguf.py may know it.",
        "model",
    )


def pre_tokenizer(told: dict[str, Any]) -> str:
    """llama.cpp's name for how a byte-level tokenizer cuts texts. Raises FlavorError where it is not known."""
    steps = told.get("pretokenizers", [told])
    kinds = [step.get("type") for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True) and not steps[0].get("add_prefix_space"):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits") and steps[1].get("use_regex", True):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not steps[1].get("use_regex", True):
        pattern = steps[0].get("pattern", {}).get("Regex", "")
        if pattern in SPLITS:
            return SPLITS[pattern]
    raise unknown(", ".join(map(str, kinds)))


def scores(told: dict[str, Any]) -> dict[str, float]:
    """What llama.cpp's sentence pieces are joined by: of two, the one with the higher score first, so minus the rank of the merge."""
    found: dict[str, float] = {}
    for rank, pair in enumerate(told.get("merges", [])):
        left, right = pair.split(" ", 1) if isinstance(pair, str) else pair
        found.setdefault(left + right, -float(rank))
    return found


def write(writer: gguf.GGUFWriter, folder: Path, tokenizer: Any, size: int, others: Sequence[int] = ()) -> None:
    """The tokenizer in `folder` (`tokenizer`: the same, loaded), its pieces filled up to `size`. Of the `others` that end a text GGUF has room for
    one; llama.cpp knows those of the usual chats by their names. Raises FlavorError on kinds that it does not know."""
    import json

    told = json.loads(read_regular(folder / "tokenizer.json", MAX_TOKENIZER, "model"))
    model = told["model"]
    pieces = {number: piece for piece, number in tokenizer.get_vocab().items()}
    added = {token["id"]: token for token in told.get("added_tokens", [])}
    if model["type"] != "BPE":
        raise unknown(str(model["type"]))
    sentence_pieces = bool(model.get("byte_fallback"))
    types = [_type(pieces.get(number), added.get(number), sentence_pieces) for number in range(size)]
    tokens = [pieces.get(number, f"[PAD{number}]") for number in range(size)]
    if sentence_pieces:
        ranks = scores(model)
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores([ranks.get(piece, -1e6) for piece in tokens])
        writer.add_add_space_prefix(begins_with_space(told))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre_tokenizer(told.get("pre_tokenizer") or {}))
        writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    for name in ESPECIALLY:
        if (number := getattr(tokenizer, f"{name}_token_id", None)) is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    for number in others[:1]:
        writer.add_eot_token_id(number)
    writer.add_add_bos_token(tokenizer("").input_ids[:1] == [tokenizer.bos_token_id] and tokenizer.bos_token_id is not None)
    writer.add_add_eos_token(False)


def begins_with_space(told: dict[str, Any]) -> bool:
    """Whether a tokenizer puts a space before a text: by a step of its own, or where it writes spaces as ▁ (which it does unless it says no)."""
    if any("prepend" in str(step).lower() for step in _steps(told.get("normalizer"))):
        return True
    spaces = [step for step in _steps(told.get("pre_tokenizer")) if step.get("type") == "Metaspace"]
    return any(step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never") != "never" for step in spaces)


def _steps(told: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The steps of a normalizer or a pre-tokenizer, which is one or several."""
    told = told or {}
    steps: list[dict[str, Any]] = told.get("normalizers") or told.get("pretokenizers") or ([told] if told else [])
    return steps


def _type(piece: str | None, added: dict[str, Any] | None, sentence_pieces: bool) -> gguf.TokenType:
    if piece is None:
        return gguf.TokenType.UNUSED
    if added:
        return gguf.TokenType.CONTROL if added.get("special") else gguf.TokenType.USER_DEFINED
    return gguf.TokenType.BYTE if sentence_pieces and BYTE.fullmatch(piece) else gguf.TokenType.NORMAL


LEFT_OUT = ("GGUF.", "general.", "split.", "quantize.", "tokenizer.chat_template", "tokenizer.chat_templates", "adapter.")
"""Of a GGUF base: what is true of that file only, and the form of a chat, which the model was not trained on."""


def copy(writer: gguf.GGUFWriter, path: Path) -> list[tuple[str, Array]]:
    """Everything a GGUF base says of architecture and tokenizer, as it says it; and those of its tensors that transformers does not have."""
    reader = gguf.GGUFReader(path)
    for field in reader.fields.values():
        if field.name.startswith(LEFT_OUT):
            continue
        kind = field.types[0]
        if kind == gguf.GGUFValueType.ARRAY:
            writer.add_key_value(field.name, field.contents(), kind, sub_type=field.types[-1])
        else:
            writer.add_key_value(field.name, field.contents(), kind)
    return [(tensor.name, tensor.data) for tensor in reader.tensors if tensor.name.startswith("rope_")]
