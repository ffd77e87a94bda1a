"""Workspaces to open in the app, with candidates that wait; no model is needed for them."""

import pytest

from core import config
from core.files import new_uid, now
from core.task import Field, Task
from dataset.rows import Batch, Candidate, Tables
from tui.session.session import Session

TASK = Task(
    "Brief Description of a Lighthouse", fields=(Field("Height", "scale"), Field("Keeper", "choice", ("Kind", "Odd")), Field("Coast"))
)
TEXTS = [
    "The lamp on Gull Point burns whale fat and gossip.",
    "Nobody built the tower at Sarn; it was found.",
    "Two keepers share one shadow.",
]


def add_candidates(session, texts, checkpoint="base", fields=None, invented=()):
    """Candidates as sampling would have stored them; their ids."""
    batch = Batch(
        new_uid(),
        checkpoint,
        [[("# x\n\n", 0.0)]] * len(texts),
        list(range(len(texts))),
        {"temperature": 1.0},
        now(),
        examples_at=session.store.journal.seq,
        invented=list(invented),
    )
    made = {}
    for number, text in enumerate(texts):
        uid = new_uid()
        made[uid] = Candidate(
            uid, text, fields or {"Height": "3", "Keeper": "Odd"}, checkpoint, batch.uid, number, number, "stop", 9, [], now()
        )
    session.commit("sample", Tables(candidates=dict(made), batches={batch.uid: batch}))
    return list(made)


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    """The list of recent workspaces stays out of the developer's home."""
    monkeypatch.setenv("FLAVOR_TUI_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@pytest.fixture
def workspace(tmp_path):
    """A workspace with three examples and three waiting candidates."""
    folder = tmp_path / "lighthouses"
    config.create(folder, TASK)
    with Session(folder) as session:
        for number in range(3):
            session.write_example(f"Example {number}: a tower with a light and a keeper who counts ships.", {"Height": "2"})
        add_candidates(session, TEXTS)
    return folder
