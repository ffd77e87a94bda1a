"""What the worker says of failures, and that nothing printed by anyone reaches its wire."""

import json
import subprocess
import sys

import pytest
import torch

from core.errors import FlavorError
from core.worker.__main__ import _failure


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
            "memory",
        ),
        (MemoryError(), "memory"),
        (RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be reported later"), "worker"),
        (RuntimeError("CUDA error: out of memory"), "memory"),
        (OSError(28, "No space left on device", "x"), "disk"),
        (FlavorError("a", "b", "foreign"), "foreign"),
        (ValueError("x"), "fault"),
    ],
)
def test_failures_have_a_kind_and_a_hint(error, kind):
    failed = _failure(7, error)
    assert (failed.id, failed.kind) == (7, kind)
    assert failed.message and failed.hint


def test_prints_go_to_the_log_and_the_end_of_stdin_ends_the_process():
    code = (
        "import os, sys, runpy; sys.argv = ['w']; print('before'); sys.stdout.flush(); runpy.run_module('core.worker', run_name='__main__')"
    )
    lines = b'{"type":"sample","id":1,"checkpoint":null,"prompts":[],"seeds":[],"settings":{}}\nnot json\n'
    worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    worker.stdin.write(lines)
    worker.stdin.flush()
    events = []
    while not events or events[-1]["type"] != "failed":
        line = worker.stdout.readline()
        if line != b"before\n":
            events.append(json.loads(line))
    worker.stdin.close()
    assert worker.wait(30) == 0
    assert events[-1]["message"].startswith("The model is not loaded")
    assert b"unreadable command" in worker.stderr.read()
