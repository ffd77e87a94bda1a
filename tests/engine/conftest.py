"""A tiny random llama in a folder, with a byte tokenizer: real in every part, untrained, and loaded in a second."""

import contextlib
import os
import resource

import pytest

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def make_tiny(folder, seed=0, vocabulary=258, config=None, layers=2):
    """Write a small llama whose end token is also its padding, as the starter's is; or a model of another configuration."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {piece: number for number, piece in enumerate(["<|start|>", "<|end|>", *alphabet])}
    raw = Tokenizer(models.BPE(vocab=words, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<|start|>", eos_token="<|end|>", pad_token="<|end|>")
    torch.manual_seed(seed)
    config = config or LlamaConfig(
        vocab_size=vocabulary, hidden_size=64, intermediate_size=128, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, bos_token_id=0, eos_token_id=1, pad_token_id=1, tie_word_embeddings=True,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of a tiny base."""
    return make_tiny(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """A base of the same shape with other weights."""
    return make_tiny(tmp_path_factory.mktemp("base") / "other", seed=1)


def load_engine(folder, quantization="nf4"):
    """An engine with `folder` loaded, and its `Loaded` event."""
    from core.config import Lora
    from core.protocol import Load
    from core.worker.engine import Engine

    engine = Engine()
    *_, loaded = engine.load(Load(id=1, base=str(folder), quantization=quantization, lora=Lora(r=4, alpha=8)))
    return engine, loaded


@pytest.fixture
def engine(tiny):
    return load_engine(tiny)[0]


@contextlib.contextmanager
def small_files(most):
    """No file that this process writes gets more bytes than these, as on a disk that is full then."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
