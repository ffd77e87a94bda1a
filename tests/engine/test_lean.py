"""What a worker imports: bitsandbytes works, torch's compiler is not there, and is when something asks for it."""

import subprocess
import sys

import pytest

BITSANDBYTES = """
assert "bitsandbytes" in sys.modules and "torch._inductor.compile_fx" not in sys.modules, "the compiler"
from bitsandbytes.functional import dequantize_4bit, dequantize_blockwise, quantize_4bit, quantize_blockwise

weight = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
assert (dequantize_4bit(*quantize_4bit(weight, blocksize=64, quant_type="nf4")) - weight).abs().mean() < 0.1
assert (dequantize_blockwise(*quantize_blockwise(weight, blocksize=64)) - weight).abs().mean() < 0.02
assert torch.compile.__name__ == "compile" and torch.compile.__module__ == "torch"
"""
SMALL = """
import core.worker.engine

large = ("torch._dynamo.convert_frame", "torch._inductor", "torch.distributed.tensor", "sympy")
assert not [name for name in large if name in sys.modules], "what is large"
weight = torch.nn.Parameter(torch.ones(3))
optimiser = torch.optim.AdamW([weight], fused=True)
weight.grad = torch.ones(3)
optimiser.step()
optimiser.zero_grad()
from torch.utils.checkpoint import checkpoint

checkpoint(torch.sin, weight, use_reentrant=False).sum().backward()
torch._dynamo.mark_static_address(weight)
assert not [name for name in large if name in sys.modules], "what is large, in training"
"""
COMPILED = """
import core.worker.engine

def twice(x):
    return x + x

assert torch.compile(twice, backend="eager")(torch.ones(1)).item() == 2
assert "torch._dynamo.convert_frame" in sys.modules
import torch._dynamo.config
from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex, trace_wrapped
assert torch._dynamo is sys.modules["torch._dynamo"] and torch._dynamo.__file__
"""
MASKED = """
from transformers.masking_utils import TransformGetItemToIndex

with TransformGetItemToIndex():
    pass
"""
SUBMODULE = """
import core.worker.engine
from torch._dynamo.utils import counters
import torch._dynamo.config

assert torch._dynamo.__file__ and torch._dynamo.config.__file__
assert counters is torch._dynamo.utils.counters is torch._dynamo.exc.counters, "a module was run twice"
assert torch._dynamo.utils.__spec__.origin
"""


@pytest.mark.parametrize("script", [BITSANDBYTES, SMALL, COMPILED, MASKED, SUBMODULE])
def test_what_is_imported(script):
    begin = "import sys\nfrom core.worker.lean import prepare\nprepare()\nimport torch\n"
    done = subprocess.run([sys.executable, "-c", begin + script], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
