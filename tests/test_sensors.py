"""What the driver's tool says of the GPU, asked of a stand-in for the tool."""

import os
import time

import pytest

from core.worker.sensors import TOOL, Felt, Sensors, parse


@pytest.mark.parametrize(
    ("answer", "felt"),
    [
        ("61, 4021\n", Felt(61.0, 4021 << 20)),
        ("[N/A], 12\n", Felt(None, 12 << 20)),
        ("61, [Not Supported]\nmore", Felt(61.0, None)),
        ("", Felt()),
        ("No devices were found", Felt()),
    ],
)
def test_what_the_tool_says(answer, felt):
    assert parse(answer) == felt


def test_the_tool_is_asked_behind(tmp_path, monkeypatch):
    tool = tmp_path / TOOL
    tool.write_text('#!/bin/sh\nwhile ! [ -e "$0.answers" ]; do sleep 0.02; done\necho "$2" > "$0.asked"\necho "61, 4021"\n')
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    sensors = Sensors("GPU-1")
    assert sensors.read() == Felt()  # at once; the answer comes later
    (tmp_path / f"{TOOL}.answers").touch()
    for _ in range(200):
        if sensors.read() != Felt():
            break
        time.sleep(0.02)
    assert sensors.read() == Felt(61.0, 4021 << 20)
    assert (tmp_path / f"{TOOL}.asked").read_text() == "GPU-1\n"


def test_without_the_tool_nothing_is_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Sensors("0").read() == Felt()
