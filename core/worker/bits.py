"""What 4 bits cost on a person's own texts: a process of its own (`python -m core.worker.bits`), a base and rows in, two losses out.

One JSON object on stdin, `{"base", "calibrate", "rows"}` with rows as on the wire; one on stdout, nats a token without any adapter.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from core import answering
from core.errors import FlavorError
from core.protocol import Row
from core.worker.lean import prepare


def measure(base: str, quantization: str, calibrate: bool, rows: list[Row]) -> tuple[float, int]:
    """Loss (nats a token of the texts) of the bare base, and of how many rows: those that it can read. Raises FlavorError where it cannot be loaded."""
    prepare()
    from core.worker.encoding import encode_row, longest
    from core.worker.evaluation import mean, measure_rows
    from core.worker.model import Base, load

    loaded = None
    for step in load(base, quantization, calibrate):
        if isinstance(step, Base):
            loaded = step
    assert loaded is not None
    for module in loaded.model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # the exact form, as in training
    encoded = [encode_row(loaded.tokenizer, row, 1.0) for row in rows]
    encoded = [row for row in encoded if len(row.ids) <= longest(loaded.model, len(row.ids))]
    if not encoded:
        raise FlavorError("Every row is longer than the base reads.", "Write shorter ones.", "length")
    measured = [row for part in measure_rows(loaded.model, encoded, loaded.tokenizer.eos_token_id) for row in part]
    return mean(measured), len(measured)


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    rows = msgspec.convert(asked["rows"], list[Row])
    try:
        four, count = measure(asked["base"], "nf4", asked["calibrate"], rows)
        sixteen, _ = measure(asked["base"], "none", False, rows)
    except FlavorError as error:
        return {"error": error.message, "hint": error.hint}
    return {"four_bits": four, "sixteen_bits": sixteen, "cost": four - sixteen, "rows": count}


def main() -> None:
    wire = answering.own_stdout()
    answering.answer(wire, [answer(json.load(sys.stdin))])


if __name__ == "__main__":
    main()
