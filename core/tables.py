"""Tables that need pyarrow or `datasets`: run as a process of its own (`python -m core.tables`), which holds what it costs.

`read FILE...` prints the rows of Parquet and Arrow files, one JSON object a line, at last `{"end": rows}` or `{"error": ..., "hint": ...}`.
`write parquet|disk DEST` takes from stdin a line with the columns' kinds and then rows by split, and writes them.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import FlavorError

MOST_BYTES = 512 * 1024 * 1024
"""Of a table when it is unpacked; a file may be packed a thousandfold."""
MOST_ROWS = 100_000
MEMORY = 3 << 30
SECONDS = 120
"""Of the processor."""
BATCH = 256


def _bound() -> None:
    """This process may not take the machine with it."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _readable(kind: Any) -> bool:
    """Whether a column may hold text or what stands around it: no pictures, no sound."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _readable(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind):
        return _readable(kind.value_type)
    if types.is_struct(kind):
        return any(_readable(kind.field(at).type) for at in range(kind.num_fields)) and not _holds_bytes(kind)
    return not (_holds_bytes(kind) or types.is_nested(kind))


def _holds_bytes(kind: Any) -> bool:
    """Whether there are bytes anywhere in a column, as in the pictures of the hub: `bytes` beside their `path`."""
    import pyarrow.types as types

    if types.is_nested(kind):
        return any(_holds_bytes(kind.field(at).type) for at in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of one file, a batch at a time. Raises FlavorError where it is too large when unpacked."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    if path.suffix.lower() == ".arrow":
        with open(path, "rb") as file, arrow.ipc.open_stream(file) as stream:
            for batch in stream:
                names = [field.name for field in batch.schema if _readable(field.type)]
                yield from batch.select(names).to_pylist()
        return
    with parquet.ParquetFile(path) as table:
        told = table.metadata
        size = sum(told.row_group(at).total_byte_size for at in range(told.num_row_groups))
        if size > MOST_BYTES or told.num_rows > MOST_ROWS:
            raise FlavorError(f"it has {told.num_rows} rows of {size} bytes when unpacked.", "Import a part of it.")
        names = [field.name for field in table.schema_arrow if _readable(field.type)]
        for batch in table.iter_batches(batch_size=BATCH, columns=names):
            yield from batch.to_pylist()


def read(paths: list[Path]) -> Iterator[dict[str, Any]]:
    """What is said of some files."""
    number = 0
    try:
        for path in paths:
            if path.stat().st_size > MOST_BYTES:
                raise FlavorError(f"it has {path.stat().st_size} bytes.", "Import a part of it.")
            for row in _rows(path):
                number += 1
                yield {"row": row}
    except FlavorError as error:
        yield {"error": error.message, "hint": error.hint}
        return
    except Exception as error:  # whatever pyarrow makes of a damaged file
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        yield {"error": f"row {number + 1} cannot be read ({reason}).", "hint": "It is damaged, or no such table. Write it again."}
        return
    yield {"end": number}


def _schema(kinds: dict[str, Any]) -> Any:
    """Columns by kind: `text`, `bool`, a list of texts' names for a struct, or `turns`."""
    import pyarrow as arrow

    turn = arrow.struct([("role", arrow.string()), ("content", arrow.string())])
    known = {"text": arrow.string(), "bool": arrow.bool_(), "turns": arrow.list_(turn)}
    made = []
    for name, kind in kinds.items():
        made.append((name, known[kind] if isinstance(kind, str) else arrow.struct([(inner, arrow.string()) for inner in kind])))
    return arrow.schema(made)


def write(form: str, dest: Path, kinds: dict[str, Any], splits: dict[str, list[dict[str, Any]]]) -> None:
    """Write splits: the first one as a Parquet file, or all as `DatasetDict.save_to_disk` does."""
    import pyarrow as arrow

    tables = {name: arrow.Table.from_pylist(rows, schema=_schema(kinds)) for name, rows in splits.items()}
    if form == "parquet":
        import pyarrow.parquet as parquet

        parquet.write_table(next(iter(tables.values())), dest)
        return
    from datasets import Dataset, DatasetDict, disable_progress_bars

    disable_progress_bars()
    DatasetDict({name: Dataset(table) for name, table in tables.items()}).save_to_disk(str(dest))


def main() -> None:
    """Words in, lines out."""
    wire = os.fdopen(os.dup(1), "w", buffering=1 << 16, encoding="utf-8")
    os.dup2(2, 1)  # whatever anyone prints is no answer
    os.umask(0o077)
    if sys.argv[1] == "read":
        _bound()
        for said in read([Path(name) for name in sys.argv[2:]]):
            wire.write(json.dumps(said, default=str) + "\n")
        wire.flush()
        return
    lines = iter(sys.stdin)
    kinds = json.loads(next(lines))
    splits: dict[str, list[dict[str, Any]]] = {name: [] for name in kinds.pop("")}
    for line in lines:
        split, row = json.loads(line)
        splits[split].append(row)
    try:
        write(sys.argv[2], Path(sys.argv[3]), kinds, splits)
        said = {"end": sum(map(len, splits.values()))}
    except OSError as error:
        said = {"error": f"{error.strerror or error}"}
    wire.write(json.dumps(said) + "\n")
    wire.flush()


if __name__ == "__main__":
    main()
