"""A workspace whose tiny base has learned its rows, and llama.cpp, where it was made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from safetensors.torch import load_file, save_file

from core import config
from core.files import cache_folder
from core.protocol import Load, Train
from core.task import Field, Task
from core.worker.engine import Engine
from dataset.rows import Tables
from docs import json_lines
from tests.engine.conftest import make_tiny
from tests.made import sample
from tui.session.session import Session

TASK = Task("Tiny Tavern Menu", fields=(Field("Mood", "choice", ("Calm", "Grim")), Field("Cook")))
CHECKPOINT = "0001/epoch-40"
LLAMA = Path(os.environ.get("FLAVOR_TUI_LLAMA") or cache_folder() / "llama-cpp") / "bin/python"
PROBE = Path(__file__).parents[2] / "bench/llama_probe.py"


@pytest.fixture(scope="session")
def llama():
    """Asks llama.cpp; skips where its environment is not there."""
    if not list(LLAMA.parents[1].glob("lib/python*/site-packages/llama_cpp")):
        pytest.skip("llama.cpp is not there: bench/llama_env.sh makes it, in some minutes")

    def ask(**asked):
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run([LLAMA, PROBE], input=json.dumps(asked), capture_output=True, text=True, timeout=120, env=own, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return ask


def run(*words, cwd=None, **more):
    """The command line in a process of its own."""
    return subprocess.run([sys.executable, "-m", "tui", *map(str, words)], capture_output=True, text=True, timeout=120, cwd=cwd, **more)


def add_merges(base, cut=None):
    """Teach the byte tokenizer some longer pieces (llama.cpp loads none without any), and to cut texts by `cut` before."""
    path = base / "tokenizer.json"
    told = json.loads(path.read_text())
    pairs = [("s", "t"), ("st", "e"), ("Ġ", "a"), ("1", "2"), ("Ċ", "Ċ")]
    for pair in pairs:
        told["model"]["vocab"]["".join(pair)] = len(told["model"]["vocab"])
    told["model"]["merges"] = [list(pair) for pair in pairs]
    if cut:
        told["pre_tokenizer"] = cut
    path.write_text(json.dumps(told))
    return base


@pytest.fixture(scope="session")
def baked(tmp_path_factory):
    """A workspace with a checkpoint that knows its rows by heart, so that greedy texts have no near ties."""
    root = tmp_path_factory.mktemp("baked")
    base, folder = add_merges(make_tiny(root / "tiny", vocabulary=264)), root / "tavern"
    weights = load_file(base / "model.safetensors")
    weights["model.embed_tokens.weight"] *= 8  # an untrained model tells its tokens apart by so little that nothing can be learned
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    config.create(folder, TASK, str(base))
    path = folder / config.FILE
    settings = "[training]\nlearning_rate = 0.005\nepochs = 40\nstop_early = false\ndrop_attribute = 0.4\n"
    path.write_text(
        path.read_text()
        .replace("[training]\n", settings)
        .replace("[lora]\n", "[lora]\nalpha = 24\n")
        .replace("[sampling]\n", "[sampling]\nmax_tokens = 40\n")
    )
    rows = [("A stew and a spoon.", {"Mood": "Calm", "Cook": f"Ann {n}"}) for n in range(8)]
    with Session(folder) as session:
        session.import_rows(rows, "rows", [f"row{n}" for n in range(8)])
        plan = session.plan(seed=1)
        run_folder = session.registry.create(plan.spec, plan.rows)
        engine = Engine()
        list(engine.load(Load(id=1, base=str(base), quantization="nf4", lora=session.settings.lora, calibrate=True)))
        list(engine.train(Train(id=2, run=str(run_folder))))
        session.registry.use(CHECKPOINT)
        for strength in (1.0, 0.5):  # the cards' samples: no model needs to be loaded for them
            made = sample(session, CHECKPOINT, ["Broth, twice.", "The cook is out.", "No spoons today."])
            batch = session.store.batches[made[0].batch]
            session.commit("sample", Tables(batches={batch.uid: msgspec.structs.replace(batch, strength=strength)}))
    return folder


@pytest.fixture
def ours(baked, monkeypatch):
    """The program's own engine with the checkpoint, in float32."""
    from tests.exports.ours import Ours

    return Ours(baked, monkeypatch=monkeypatch)


@pytest.fixture
def exported(baked, tmp_path):
    """Exports and gives the place."""

    def export(form, *more):
        dest = tmp_path / f"{form}-{len(list(tmp_path.iterdir()))}" / "out"  # in a folder that is made with it
        done = run("export", baked, form, dest, "--json", *more, check=False)
        assert done.returncode == 0, done.stderr
        assert json_lines.check("export", done.stdout) == "ModelExport"
        assert sorted(path.name for path in dest.parent.iterdir() if path.name.startswith(".")) == []
        return dest

    return export
