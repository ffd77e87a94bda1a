"""A machine that is too small: predicted, survived, or refused; the gradients are those of the plain way. The limit of most tests is a fake
one, on the tokens of a forward; the last has a real one, the address space of a process."""

import json
import subprocess
import sys

import pytest
import torch

from core import runfiles
from core.config import Training
from core.errors import FlavorError, out_of_memory
from core.fit import IN_USE, of_a_step
from core.protocol import Loading, Row, Trained
from core.runfiles import Result
from core.worker import memory, training
from core.worker.encoding import Curriculum, encode_row
from core.worker.engine import expected_memory
from core.worker.memory import WAYS, StepMemory, Way, set_checkpointing
from core.worker.preference import encode_pair, prefer
from core.worker.training import EpochDone, StepDone, micro_batches, token_losses, train
from tests.engine.conftest import load_engine
from tests.engine.test_preference import PAIRS
from tests.engine.test_retraining import HELD, ROWS, bake

PLENTY = 1 << 50
PROMPT = [("# Heading\n\n", 0.0)]
LONG = [Row(str(n), PROMPT, "some words " * (5 + 2 * n)) for n in range(4)]
"""Padded to one length of 134 tokens they are more than the fastest way takes at once."""


def checkpointed(model):
    return any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


class SmallCard:
    """A fake allocator limit: raises torch's own error where a forward in training mode has more than `plain` padded tokens, or more than
    `checkpointed` ones with gradient checkpointing."""

    def __init__(self, monkeypatch, plain, checkpointed=PLENTY):
        self.plain, self.checkpointed, self.raised = plain, checkpointed, 0
        self._forward = training.position_logits
        monkeypatch.setattr(training, "position_logits", self.forward)

    def forward(self, model, rows, weights, spare=False):
        limit = self.checkpointed if checkpointed(model) else self.plain
        if model.training and len(rows) * max(len(row.ids) for row in rows) > limit:
            self.raised += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB (planted)")
        return self._forward(model, rows, weights, spare)


def ready(engine, seed=3):
    """Base and forms with an adapter that does something."""
    base, forms, _ = engine._ready()
    forms.fresh_adapter(seed)
    with torch.no_grad():
        for number, tensor in enumerate(forms.parameters()):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number)) * 0.05)
    forms.train()
    return base, forms


def gradients(base, forms, way):
    """Of every LoRA tensor, for the rows of LONG as one step."""
    rows = [encode_row(base.tokenizer, row, 2.0) for row in LONG]
    base.model.train()
    set_checkpointing(base.model, way.checkpointing)
    try:
        for part in micro_batches(rows, way.tokens):
            losses, weights = token_losses(base.model, part, [row.weights for row in part])
            (losses * weights).sum().backward()
    finally:
        set_checkpointing(base.model, False)
        base.model.eval()
    found = [tensor.grad.clone() for tensor in forms.parameters()]
    for tensor in forms.parameters():
        tensor.grad = None
    return found


def learn(engine, rows=LONG, **more):
    """The steps and the adapter of two epochs over `rows`."""
    base, forms = ready(engine)
    settings = Training(batch_size=4)
    curriculum = Curriculum(base.tokenizer, rows, settings, None, 1)
    loop = train(base.model, forms.parameters(), curriculum, settings, epochs=2, peak=1e-3, seed=1, **more)
    steps = [event for event in loop if isinstance(event, StepDone)]
    assert not checkpointed(base.model) and not base.model.training
    return steps, torch.cat([tensor.detach().flatten().clone() for tensor in forms.parameters()])


def with_room(engine, longest=140, rows=4, free=PLENTY):
    base, forms, _ = engine._ready()
    return StepMemory(base.model, forms.parameters(), longest, rows, free)


# -- the gradients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("way", WAYS[1:])
def test_every_way_has_the_gradients_of_the_plain_one(engine, way, dense):
    base, forms = ready(engine)
    if not dense:  # bitsandbytes' own backward, as on a card
        for layer in forms.layers:
            layer.dense = None
        forms._state = ""
        forms.train()
    plain, other = gradients(base, forms, WAYS[0]), gradients(base, forms, way)
    for one, two in zip(plain, other, strict=True):
        assert one.abs().sum() > 0 and (one - two).norm() < 0.02 * one.norm()
    if way.checkpointing:  # computed again it is the very same
        assert all(map(torch.equal, other, gradients(base, forms, Way(way.tokens))))


def test_the_comparison_of_gradients_can_fail(engine):
    """A micro-batch lost on the way is more than rounding."""
    base, forms = ready(engine)
    plain = gradients(base, forms, WAYS[0])
    lost = LONG.pop()
    try:
        fewer = gradients(base, forms, WAYS[0])
    finally:
        LONG.append(lost)
    assert any((one - two).norm() > 0.02 * one.norm() for one, two in zip(plain, fewer, strict=True))


def test_checkpointing_keeps_fewer_bytes_for_the_backward(engine):
    base, _ = ready(engine)
    rows = [encode_row(base.tokenizer, LONG[3], 2.0)]

    def kept(checkpointing):
        sizes = []
        set_checkpointing(base.model, checkpointing)
        base.model.train()
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor):
            token_losses(base.model, rows, [row.weights for row in rows])
        set_checkpointing(base.model, False)
        base.model.eval()
        return sum(sizes)

    assert kept(True) < 0.5 * kept(False)


# -- the prediction --------------------------------------------------------------------------------------------------------


def test_what_the_plan_foretells_is_what_a_run_reckons(engine):
    """Also where 32 bits are computed with."""
    base = engine._base
    trained = sum(parameter.numel() for parameter in engine._forms.parameters())
    rest = 32 * trained * IN_USE  # what is trained has 32 bits whatever is computed with
    of_plan = expected_memory(base, trained) - rest
    of_sixteen = of_a_step(2, 64, base.model.config.vocab_size, 0) * IN_USE
    assert of_plan == pytest.approx(of_sixteen * base.compute.itemsize / 2, abs=2)


def test_what_is_predicted_decides_the_way(engine):
    needs = [with_room(engine).need(way) for way in WAYS]
    assert needs == sorted(set(needs), reverse=True)
    assert with_room(engine, free=needs[0]).way == WAYS[0] and not with_room(engine, free=needs[0]).foreseen
    halved = with_room(engine, free=needs[0] - 1)
    assert halved.way == WAYS[1] and "at most 256 tokens at a time" in halved.foreseen
    least = with_room(engine, free=needs[3])
    assert least.way == WAYS[3] and "gradient checkpointing" in least.foreseen
    with pytest.raises(FlavorError, match="A step of training takes about") as refused:
        with_room(engine, free=needs[3] - 1)
    assert refused.value.kind == "memory" and "smaller base" in refused.value.hint


def test_ways_that_change_nothing_are_passed_over(engine):
    """A row of 600 tokens is alone in every micro-batch: only checkpointing makes it smaller."""
    room = with_room(engine, longest=600)
    assert room._ways == [WAYS[0], WAYS[3]]
    assert with_room(engine, longest=600, free=room.need(WAYS[0]) - 1).way.checkpointing


def test_a_prediction_is_said_before_the_run_and_kept_to(tiny, tmp_path, monkeypatch):
    engine = load_engine(tiny)
    encoded = [encode_row(engine[0]._base.tokenizer, row, 2.0) for row in ROWS]
    least = with_room(engine[0], max(len(row.ids) for row in encoded), 2).need(WAYS[3])
    monkeypatch.setattr(memory, "free_memory", lambda device: least)
    events, run = bake(tiny, tmp_path, ROWS + HELD, engine=engine)
    assert isinstance(events[0], Loading) and "Memory is short" in events[0].stage
    assert isinstance(events[-1], Trained) and not events[-1].note
    assert "loading" not in (run / "metrics.jsonl").read_text()
    monkeypatch.setattr(memory, "free_memory", lambda device: 1000)
    with pytest.raises(FlavorError, match="of memory at least, and 0 MB are free"):
        bake(tiny, tmp_path, ROWS + HELD, engine=engine)
    assert runfiles.read(tmp_path / "runs" / "0002" / "result.json", Result).status == "failed"


# -- in the middle of a run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plain", "checkpointed", "words"),
    [
        (512, PLENTY, ""),
        (300, PLENTY, "at most 256 tokens at a time"),
        (140, PLENTY, "one row at a time"),
        (1, 140, "with gradient checkpointing"),
    ],
)
def test_a_step_that_ran_out_is_done_again(engine, monkeypatch, plain, checkpointed, words):
    steps, whole = learn(engine, memory=with_room(engine))
    card, room = SmallCard(monkeypatch, plain, checkpointed), with_room(engine)
    again, adapter = learn(engine, memory=room)
    assert bool(card.raised) == bool(words) == bool(room.note) and words in room.note
    assert [step.loss for step in again] == pytest.approx([step.loss for step in steps], rel=1e-2)
    assert (adapter - whole).norm() < 0.05 * (whole - start(engine)).norm()


def start(engine):
    """The adapter before `learn`."""
    return torch.cat([tensor.detach().flatten().clone() for tensor in ready(engine)[1].parameters()])


def test_a_run_survives_and_says_so(tiny, tmp_path, monkeypatch):
    engine = load_engine(tiny)
    card = SmallCard(monkeypatch, 1)
    events, run = bake(tiny, tmp_path, ROWS + HELD, engine=engine)
    assert isinstance(events[-1], Trained) and card.raised
    assert events[-1].note.startswith("The memory ran out in step 1, which was done again") and "checkpointing" in events[-1].note
    assert runfiles.read(run / "result.json", Result).status == "done"


def test_without_the_handling_the_same_fault_ends_the_run(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "out_of_memory", lambda error: False)
    SmallCard(monkeypatch, 1)
    with pytest.raises(torch.OutOfMemoryError):
        bake(tiny, tmp_path, ROWS + HELD)
    assert runfiles.read(tmp_path / "runs" / "0001" / "result.json", Result).status == "failed"


def test_where_nothing_helps_it_is_refused_and_the_parent_is_kept(tiny, tmp_path, monkeypatch):
    engine = load_engine(tiny)
    bake(tiny, tmp_path, ROWS + HELD, engine=engine)
    parent = {path: path.read_bytes() for path in (tmp_path / "runs" / "0001").rglob("*") if path.is_file()}
    SmallCard(monkeypatch, 1, 1)
    with pytest.raises(FlavorError, match="The memory ran out, even with gradient checkpointing") as refused:
        bake(tiny, tmp_path, ROWS + HELD, engine=engine)
    assert refused.value.kind == "memory" and "every whole checkpoint is kept" in refused.value.hint
    failed = tmp_path / "runs" / "0002"
    assert runfiles.read(failed / "result.json", Result).status == "failed" and not (failed / "checkpoints").exists()
    assert {path: path.read_bytes() for path in parent} == parent
    monkeypatch.undo()
    assert isinstance(bake(tiny, tmp_path, ROWS + HELD, engine=engine)[0][-1], Trained)  # the worker is as good as before


def test_it_may_run_out_while_the_optimiser_makes_its_moments(engine, monkeypatch):
    """Half of them are there then: they are made anew, and the run is that of a machine with room."""
    _, whole = learn(engine, memory=with_room(engine, 60))
    make, calls = torch.zeros_like, []

    def zeros_like(*args, **kwargs):
        calls.append(1)
        if len(calls) == 4:  # the second moment of the second tensor
            raise torch.OutOfMemoryError("planted")
        return make(*args, **kwargs)

    monkeypatch.setattr(torch, "zeros_like", zeros_like)
    room = with_room(engine, 60)
    _, adapter = learn(engine, memory=room)
    assert room.note and (adapter - whole).norm() < 0.05 * (whole - start(engine)).norm()


def test_only_memory_is_survived(engine, monkeypatch):
    def broken(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(training, "position_logits", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        learn(engine, memory=with_room(engine))


def test_taste_survives_too(engine, monkeypatch):
    base, forms = ready(engine)
    pairs = [encode_pair(base.tokenizer, pair, 2.0) for pair in PAIRS]
    SmallCard(monkeypatch, 1)
    room = StepMemory(base.model, forms.parameters(), max(pair.width for pair in pairs), 1, PLENTY)
    loop = prefer(base.model, forms.parameters(), pairs, Training(), epochs=1, peak=1e-3, seed=1, memory=room)
    assert any(isinstance(event, EpochDone) for event in loop) and "checkpointing" in room.note


def test_what_was_foreseen_is_in_force_from_the_first_step(engine, monkeypatch):
    """Of rows and of pairs: with a limit that only checkpointing keeps to, nothing runs out."""
    base, forms = ready(engine)
    pairs = [encode_pair(base.tokenizer, pair, 2.0) for pair in PAIRS]
    width = max(pair.width for pair in pairs)
    card = SmallCard(monkeypatch, 1)
    least = with_room(engine).need(WAYS[3])
    learn(engine, memory=with_room(engine, free=least))
    least = StepMemory(base.model, forms.parameters(), width, 1, PLENTY).need(WAYS[3])
    room = StepMemory(base.model, forms.parameters(), width, 1, least)
    for _ in prefer(base.model, forms.parameters(), pairs, Training(), epochs=1, peak=1e-3, seed=1, memory=room):
        pass
    assert not card.raised and not room.note


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("x"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("x"), False),
    ],
)
def test_errors_of_allocators_are_known(error, found):
    assert out_of_memory(error) is found


# -- a real limit ----------------------------------------------------------------------------------------------------------

REAL = """
import json, resource, sys
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from core.config import Lora, Training
from core.worker.encoding import Encoded
from core.worker.forms import Forms
from core.worker.memory import StepMemory
from core.worker.model import Base
from core.worker.training import train

torch.set_num_threads(1)
torch.manual_seed(0)
config = LlamaConfig(vocab_size=300, hidden_size=256, intermediate_size=768, num_hidden_layers=8, num_attention_heads=4,
                     num_key_value_heads=4, max_position_embeddings=4096)
model = LlamaForCausalLM(config).requires_grad_(False)
forms = Forms(Base("x", model, None, "", "cpu", False, torch.float32, ""), Lora(r=4, alpha=8))
forms.fresh_adapter(1)
forms.train()

class Rows:
    size = 1
    def epoch(self, number):
        ids = [(7 * at) % 300 for at in range(TOKENS)]
        return [Encoded("r", ids, [1.0] * len(ids), 0, len(ids) - 1)]

TOKENS = 900
settings = Training(batch_size=1)
def run(memory):
    return [e for e in train(model, forms.parameters(), Rows(), settings, epochs=2, peak=1e-3, seed=1, memory=memory) if e]

short, TOKENS = TOKENS, 32
run(StepMemory(model, forms.parameters(), TOKENS, 1, 1 << 50))  # every library has what it needs
TOKENS = short
now = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (now + int(sys.argv[1]) * 1000000,) * 2)
memory = StepMemory(model, forms.parameters(), TOKENS, 1, 1 << 50)
steps = run(memory)
print(json.dumps({"events": len(steps), "note": memory.note, "need": [memory.need(w) for w in memory._ways]}))
"""


def in_megabytes(room):
    """A run of a row of 900 tokens in a process that may have `room` MB more than it has."""
    if sys.platform != "linux":
        pytest.skip("the address space is limited as on Linux")
    done = subprocess.run([sys.executable, "-c", REAL, str(room)], capture_output=True, text=True, check=False, timeout=300)
    return (json.loads(done.stdout) if done.returncode == 0 else None), done.stderr


def test_a_real_limit_is_survived_and_refused():
    plenty, said = in_megabytes(4000)
    assert plenty and not plenty["note"], said
    tight, said = in_megabytes(200)
    assert tight and tight["events"] == plenty["events"] and "with gradient checkpointing" in tight["note"], said
    nothing, said = in_megabytes(40)
    assert nothing is None and "FlavorError: The memory ran out, even with gradient checkpointing" in said
