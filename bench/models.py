"""What a model takes to train in 4 bits, as estimated from its shape and as it really is: `python -m bench.models [STARTER|SHAPE...]`.

The starter, and models of the shapes of larger ones with random weights: the memory does not depend on what the weights are. Each is
loaded and trained on a few rows in a process of its own. The starter is measured a second time at its first use.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.common import wire_rows
from core import fit, runfiles
from core.config import Lora, Training
from core.errors import FlavorError
from core.hub import models
from core.worker import starter

ROWS = 10
SHAPES: dict[str, dict[str, Any]] = {
    "SmolLM2-360M": {
        "vocab_size": 49152, "hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 15,
        "num_key_value_heads": 5,
    },
    "Llama-3.2-1B": {
        "vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
}  # fmt: skip


def make(folder: Path, shape: dict[str, Any]) -> None:
    """A model of that shape with random weights, and the starter's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(starter.convert(starter.find()))
    config = LlamaConfig(**shape, tie_word_embeddings=True, bos_token_id=1, eos_token_id=tokenizer.eos_token_id, dtype=torch.bfloat16)
    torch.set_default_dtype(torch.bfloat16)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def peak(base: str, calibrate: bool) -> int:
    """Bytes at the peak of loading and training. In this process."""
    from core.protocol import Load, Loaded, Train
    from core.runfiles import RunSpec
    from core.worker.engine import Engine, peak_memory

    engine = Engine()
    *_, loaded = (
        event
        for event in engine.load(Load(id=1, base=base, quantization="nf4", lora=Lora(), calibrate=calibrate))
        if isinstance(event, Loaded)
    )
    rows = wire_rows(ROWS)
    data = runfiles.encode_rows(rows)
    with tempfile.TemporaryDirectory() as root:
        run = Path(root) / "0001"
        run.mkdir()
        (run / "rows.jsonl").write_bytes(data)
        spec = RunSpec(
            "0001",
            "now",
            base,
            loaded.fingerprint,
            "nf4",
            Lora(),
            Training(),
            1,
            1,
            5e-4,
            None,
            ROWS,
            ROWS,
            hashlib.sha256(data).hexdigest(),
        )
        runfiles.write(run / "run.json", spec)
        list(engine.train(Train(id=2, run=str(run))))
    return peak_memory()


def measured(base: str, calibrate: bool, cache: str = "") -> int:
    """The same in a process of its own."""
    from core import environment

    own = {**os.environ, **environment.QUIET, **({"FLAVOR_TUI_CACHE": cache} if cache else {})}  # as the worker runs
    words = [sys.executable, "-m", "bench.models", "--peak", base, str(int(calibrate))]
    done = subprocess.run(words, capture_output=True, text=True, env=own, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return int(json.loads(done.stdout.splitlines()[-1]))


def show(name: str, shape: fit.Shape, true: int, first: bool = False) -> None:
    """At its `first` use it is held against the larger one of both estimates, as it is said to a person."""
    need = fit.need(shape, models.machine())
    estimate = need.most if first else need.peak
    print(
        f"{name}: {shape.parameters / 1e6:.0f}M, estimated {estimate / 1e9:.2f} GB, true peak {true / 1e9:.2f} GB: {estimate / true:.2f}",
        flush=True,
    )


def main() -> None:
    if sys.argv[1:2] == ["--peak"]:
        print(peak(sys.argv[2], bool(int(sys.argv[3]))))
        return
    wanted = sys.argv[1:] or ["starter", *SHAPES]
    try:
        gguf = starter.find()
    except FlavorError as error:
        raise SystemExit(str(error)) from None
    if "starter" in wanted:
        shape = models.shape_of_gguf(gguf)
        show("starter", shape, measured("starter", True))
        with tempfile.TemporaryDirectory() as cache:
            show("starter at its first use", shape, measured("starter", True, cache), first=True)
    for name in wanted:
        if name in SHAPES:
            with tempfile.TemporaryDirectory() as root:
                make(Path(root), SHAPES[name])
                show(f"the shape of {name}", models.shape_of_folder(Path(root)), measured(root, False))


if __name__ == "__main__":
    main()
