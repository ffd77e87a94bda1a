"""What a worker imports: bitsandbytes works, and torch's compiler is not there."""

import subprocess
import sys

SCRIPT = """
import sys
from core.lean import import_bitsandbytes

import_bitsandbytes()
import torch

assert "bitsandbytes" in sys.modules and "torch._inductor.compile_fx" not in sys.modules, "the compiler"
from bitsandbytes.functional import dequantize_4bit, dequantize_blockwise, quantize_4bit, quantize_blockwise

weight = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
assert (dequantize_4bit(*quantize_4bit(weight, blocksize=64, quant_type="nf4")) - weight).abs().mean() < 0.1
assert (dequantize_blockwise(*quantize_blockwise(weight, blocksize=64)) - weight).abs().mean() < 0.02
assert torch.compile.__name__ == "compile" and torch.compile.__module__ == "torch"
"""


def test_bitsandbytes_without_a_compiler():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
