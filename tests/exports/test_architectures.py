"""Every architecture and every kind of tokenizer that a GGUF is written for, read by llama.cpp itself: tiny ones, untrained, with an adapter."""

import json

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

from core.config import Lora
from core.exports import gguf_model, model_folder, vocabulary
from core.exports.order import GGUF_FILE, Order
from core.worker import starter
from tests.engine.conftest import make_tiny, small_files
from tests.exports.conftest import add_merges

SIZES = {
    "vocab_size": 264, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 256, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip
LLAMA_3 = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
CUTS = {
    "gpt-2": {**BYTES, "use_regex": True},
    "smollm": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, {**BYTES, "use_regex": True}]},
    **{
        name: {
            "type": "Sequence",
            "pretokenizers": [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}, BYTES],
        }
        for pattern, name in vocabulary.SPLITS.items()
    },
}
TEXTS = ["It's 1212 stews; naïve  12\n\nA taste.\n", "# A\n\n## B\n\nC: 5\n", "CAN'T steste 漢字 👩‍🚀"]


def write_gguf(base, tmp_path):
    (tmp_path / "out").mkdir()
    order = Order("gguf", str(tmp_path / "out"), str(base), "none", False, Lora(), None, name="x")
    list(gguf_model.fill(order))
    return tmp_path / "out" / GGUF_FILE


@pytest.mark.parametrize(
    ("config", "arch"),
    [
        (LlamaConfig(**SIZES, tie_word_embeddings=False), "llama"),
        (LlamaConfig(**SIZES, tie_word_embeddings=True, rope_parameters=LLAMA_3), "llama"),
        (MistralConfig(**SIZES, head_dim=32, sliding_window=None), "llama"),
        (Qwen2Config(**SIZES, tie_word_embeddings=True), "qwen2"),
        (Qwen3Config(**SIZES, head_dim=32, tie_word_embeddings=True), "qwen3"),
    ],
    ids=["llama", "llama-3", "mistral", "qwen2", "qwen3"],
)
def test_llama_cpp_computes_the_same_logits(config, arch, tmp_path, llama):
    base = add_merges(make_tiny(tmp_path / "base"))
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for name, parameter in model.named_parameters():  # biases and norms that do something
        parameter.data.normal_(0, 0.3) if "bias" in name else parameter.data.mul_(1 + torch.rand_like(parameter)) if "norm" in name else 0
        parameter.data.mul_(4 if "embed" in name or "head" in name else 3 if "_proj" in name else 1)
    model.save_pretrained(base)
    prompt = [5, 90, 17, 260, 33, 8, 9, 120, 4, 4, 61, 7] * 8
    found = llama(model=str(write_gguf(base, tmp_path)), prompts=[prompt], tokens=1, texts=TEXTS)
    assert gguf.GGUFReader(tmp_path / "out" / GGUF_FILE).fields["general.architecture"].contents() == arch
    true = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).float()(input_ids=torch.tensor([prompt])).logits[0, -1]
    assert true.std() > 0.5
    assert (torch.tensor(found["logits"][0]) - true.detach()).abs().max() < 0.05 * true.std()


def test_what_else_the_base_ends_with_ends_texts_of_its_exports(tmp_path):
    base = add_merges(make_tiny(tmp_path / "base", vocabulary=264), CUTS["gpt-2"])
    GenerationConfig(eos_token_id=[1, 0]).save_pretrained(base)
    assert gguf.GGUFReader(write_gguf(base, tmp_path)).fields["tokenizer.ggml.eot_token_id"].contents() == 0
    (tmp_path / "merged").mkdir()
    list(model_folder.fill(Order("merged", str(tmp_path / "merged"), str(base), "none", False, Lora(), None)))
    assert GenerationConfig.from_pretrained(tmp_path / "merged").eos_token_id == [1, 0]


@pytest.mark.parametrize("name", CUTS)
def test_llama_cpp_cuts_texts_into_the_same_tokens(name, tmp_path, llama):
    base = add_merges(make_tiny(tmp_path / "base", vocabulary=264), CUTS[name])
    path = write_gguf(base, tmp_path)
    assert gguf.GGUFReader(path).fields["tokenizer.ggml.pre"].contents() == name
    tokenizer = AutoTokenizer.from_pretrained(base)
    assert llama(model=str(path), texts=TEXTS)["ids"] == [tokenizer(text).input_ids for text in TEXTS]


def sentence_pieces(base):
    """A tokenizer like Mistral's: pieces with ▁ for spaces, single bytes where there is no piece, a start token before every text."""
    told = json.loads((base / "tokenizer.json").read_text())
    pieces = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *"abcdestw",
        "st",
        "ste",
        "▁a",
        "stew",
        "ta",
        "▁st",
        "as",
    ]
    ranked = [("s", "t"), ("st", "e"), ("▁", "a"), ("ste", "w"), ("t", "a"), ("▁", "st"), ("a", "s")]
    told["model"] = {
        "type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "dropout": None,
        "vocab": {piece: number for number, piece in enumerate(pieces)}, "merges": [list(pair) for pair in ranked],
    }  # fmt: skip
    steps = [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]
    told["normalizer"], told["pre_tokenizer"] = {"type": "Sequence", "normalizers": steps}, None
    decoders = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    told["decoder"] = {"type": "Sequence", "decoders": decoders}
    token = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    told["added_tokens"] = [{"id": number, "content": pieces[number], **token} for number in range(3)]
    special = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    told["post_processor"] = {
        "type": "TemplateProcessing", "single": [special, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [special, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }  # fmt: skip
    (base / "tokenizer.json").write_text(json.dumps(told))
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (base / "tokenizer_config.json").write_text(json.dumps(names))
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}))
    return base


METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}


def test_a_space_that_the_tokenizer_begins_with_is_told():
    begins = vocabulary.begins_with_space
    steps = [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace"}]
    assert begins({"normalizer": {"type": "Sequence", "normalizers": steps}, "pre_tokenizer": None})
    for scheme, told in (("first", True), ("always", True), ("never", False)):
        one = {**METASPACE, "prepend_scheme": scheme}
        assert begins({"normalizer": None, "pre_tokenizer": one}) == told
        assert begins({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, one]}}) == told
    assert begins({"pre_tokenizer": {"type": "Metaspace"}}) and not begins(
        {"pre_tokenizer": {"type": "Metaspace", "add_prefix_space": False}}
    )
    assert not begins({"normalizer": steps[1], "pre_tokenizer": BYTES})


@pytest.mark.parametrize("metaspace", [False, True])
def test_llama_cpp_joins_sentence_pieces_in_the_same_order(tmp_path, llama, metaspace):
    base = sentence_pieces(make_tiny(tmp_path / "base", vocabulary=288))
    if metaspace:
        told = json.loads((base / "tokenizer.json").read_text())
        (base / "tokenizer.json").write_text(json.dumps({**told, "normalizer": None, "pre_tokenizer": METASPACE}))
    tokenizer = AutoTokenizer.from_pretrained(base)
    texts = ["a stew tastes", "stast as wasted\n\n# a", "ste ta ß 漢"]
    ids = [tokenizer(text).input_ids for text in texts]
    assert ids[0][0] == 1
    assert llama(model=str(write_gguf(base, tmp_path)), texts=texts)["ids"] == ids


def test_an_unknown_way_to_cut_texts_is_refused():
    with pytest.raises(vocabulary.FlavorError, match="merged"):
        vocabulary.pre_tokenizer({"type": "Whitespace"})


def test_a_gguf_that_lacks_weights_is_refused(tmp_path, monkeypatch):
    """As the first part of a model in several files; transformers would make up the rest."""
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path / "cache"))
    whole = write_gguf(add_merges(make_tiny(tmp_path / "base", vocabulary=264), CUTS["smollm"]), tmp_path)
    writer = gguf.GGUFWriter(tmp_path / "part.gguf", "llama")
    vocabulary.copy(writer, whole)
    for tensor in gguf.GGUFReader(whole).tensors:
        if not tensor.name.startswith("blk.1."):
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    with small_files(100_000), pytest.raises(vocabulary.FlavorError, match=r"could not be converted: .*File too large"):
        starter.convert(whole)
    starter.convert(whole)
    with pytest.raises(vocabulary.FlavorError, match=r"part.gguf is not whole: .*layers.1.* and 8 more is missing"):
        starter.convert(tmp_path / "part.gguf")
    assert len(list((tmp_path / "cache/models").iterdir())) == 1


def copied_gguf(tmp_path, monkeypatch):
    """A GGUF, and the same written again with that for a base."""
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path / "cache"))
    base = add_merges(make_tiny(tmp_path / "base", vocabulary=264), CUTS["smollm"])
    first = write_gguf(base, tmp_path)
    again = tmp_path / "again"
    again.mkdir()
    return first, write_gguf(first, again)


def test_a_gguf_base_keeps_its_own_tokenizer(tmp_path, monkeypatch):
    """What a GGUF base says of itself is copied, not made anew; and its q and k come back in the order it has them in."""
    first, second = copied_gguf(tmp_path, monkeypatch)
    one, two = gguf.GGUFReader(first), gguf.GGUFReader(second)
    said = {name: field.contents() for name, field in one.fields.items() if not name.startswith(("GGUF.", "general."))}
    assert said == {name: field.contents() for name, field in two.fields.items() if not name.startswith(("GGUF.", "general."))}
    assert {t.name for t in one.tensors} == {t.name for t in two.tensors}
    for tensor in one.tensors:
        twin = next(t for t in two.tensors if t.name == tensor.name)
        assert (tensor.data == twin.data).all(), tensor.name


def test_llama_cpp_writes_the_same_with_a_copied_gguf(tmp_path, monkeypatch, llama):
    first, second = (llama(model=str(path), prompts=[[4, 8, 15]], tokens=2) for path in copied_gguf(tmp_path, monkeypatch))
    assert first["greedy"] == second["greedy"]
