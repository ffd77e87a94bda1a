"""What taste may cost: each of the gauges alone can refuse it, and the last pass before that is used."""

import pytest

from core.gate import Gate
from core.stopping import Baked

PARENT = Baked(0, 2.0, 0.3, 0.1, 0.8)


@pytest.mark.parametrize(
    ("passed", "fault"),
    [
        (Baked(1, 2.03, 0.39, 0.1, 0.71), ""),
        (Baked(1, 2.05, 0.3, 0.1, 0.8), "held-out loss rose from 2.000 to 2.050"),
        (Baked(1, float("nan"), 0.3, 0.1, 0.8), "no longer a number"),
        (Baked(1, float("inf"), 0.3, 0.1, 0.8), "no longer a number"),
        (Baked(1, 2.0, 0.3, 0.1, 0.69), "where a text ends"),
        (Baked(1, 2.0, 0.41, 0.1, 0.8), "41% of the rows is recited"),
        (Baked(1, 2.0, 0.51, 0.22, 0.8), ""),  # the held-out texts are recited as much more: that is the form
    ],
)
def test_each_gauge_alone_can_refuse(passed, fault):
    gate = Gate(PARENT)
    assert bool(gate.add(passed)) == bool(fault)
    epoch, why = gate.best()
    assert epoch == (0 if fault else 1)
    assert fault in why


def test_without_held_out_rows_the_other_gauges_hold():
    gate = Gate(Baked(0, None, 0.3, None, 0.8))
    assert not gate.add(Baked(1, None, 0.35, None, 0.8))
    assert gate.add(Baked(2, None, 0.5, None, 0.8))
    assert gate.best()[0] == 1 and "refused: 50% of the rows is recited" in gate.best()[1]


def test_nothing_passes_after_a_refusal():
    gate = Gate(PARENT)
    gate.add(Baked(1, 2.2, 0.3, 0.1, 0.8))
    gate.add(Baked(2, 1.9, 0.3, 0.1, 0.8))
    assert gate.best()[0] == 0
