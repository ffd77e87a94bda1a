"""The process of an export: one `Order` on stdin, one JSON object a line on stdout: what is being done, at last `done`, or `error` with a hint.

The end of stdin ends it, so that it does not outlive who asked for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from core import answering
from core.environment import mask
from core.errors import FlavorError
from core.exports.order import Order
from core.files import make_folder
from core.hub.locate import Progress
from core.text import short


def fill(order: Order) -> Iterator[Progress]:
    """Fill the staging folder. Raises FlavorError."""
    make_folder(Path(order.staging))
    match order.what:
        case "adapter":
            from core.exports import adapter

            adapter.fill(order)
        case "gguf-adapter":
            from core.exports import gguf_adapter

            gguf_adapter.fill(order)
        case "merged":
            from core.exports import model_folder

            yield from model_folder.fill(order)
        case "gguf":
            from core.exports import gguf_model

            yield from gguf_model.fill(order)


def _answers(order: Order) -> Iterator[dict[str, object]]:
    try:
        for stage, share in fill(order):
            yield {"stage": stage, "share": share}
    except OSError as error:
        raise FlavorError(
            f"The export could not be written: {error.strerror or mask(short(str(error)))}.", "Make room there.", "disk"
        ) from error
    yield {"done": order.what}


def main() -> None:
    wire = answering.own_stdout()
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    answering.end_with_stdin()
    answering.answer(wire, _answers(order))


if __name__ == "__main__":
    main()
