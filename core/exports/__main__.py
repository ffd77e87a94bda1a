"""The process of an export: one `Order` on stdin, one JSON object a line on stdout: what is being done, at last `done`, or `error` with a hint.

The end of stdin ends it, so that it does not outlive who asked for it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from core.environment import mask
from core.errors import FlavorError
from core.exports.order import Order
from core.files import make_folder
from core.locate import Progress
from core.text import short, to_json


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


def _end_with_stdin() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


def main() -> None:
    wire = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever anyone prints is no answer
    os.umask(0o077)
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        for stage, share in fill(order):
            wire.write(to_json({"stage": stage, "share": share}) + "\n")
        wire.write(to_json({"done": order.what}) + "\n")
    except FlavorError as error:
        wire.write(to_json({"error": error.message, "hint": error.hint, "kind": error.kind}) + "\n")
    except OSError as error:
        told = FlavorError(f"The export could not be written: {error.strerror or mask(short(str(error)))}.", "Make room there.", "disk")
        wire.write(to_json({"error": told.message, "hint": told.hint, "kind": told.kind}) + "\n")


if __name__ == "__main__":
    main()
