"""Files that no import may take: each is valid but for one fault, planted at a known line. Run as a program it imports many of them, one
after the other, and prints what it saw as JSON; a process of its own, so that the memory it needs can be measured.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from core import config
from core.errors import FlavorError
from core.text import clean_line
from dataset.importing import MAX_BYTES, Read, Reading
from tests.safety.memory import in_memory
from tests.safety.program import TASK
from tui.session import intake
from tui.session.intake import import_files
from tui.session.session import Session

PLACE = re.compile(r"line \d+|row \d+|byte \d+|\d+ bytes|holds no rows|not a regular file|cannot be opened|unknown ending")
TEXTS = (".jsonl", ".json", ".csv", ".tsv", ".md", ".txt")
Case = tuple[str, bytes, str]
"""The file's ending, its bytes, and the place that the error must name (empty: any)."""
HIDDEN = "\x00\x07\x1b\x7f\x9b\u200b\u202e\u2066\ufeff\U000e0041\xad\u3164"


def words(rng: random.Random, count: int = 12) -> str:
    return " ".join(rng.choice(("lamp", "keeper", "sea", "gull", "naïve", "漢字", "“oil”", "ship,", "a")) for _ in range(count))


def good_row(rng: random.Random) -> dict[str, object]:
    return {"text": words(rng), "fields": {"Height": str(rng.randint(1, 5)), "Keeper": rng.choice(("Kind", "Odd"))}}


def bad_row(rng: random.Random) -> bytes:
    """A line of JSON that is no row of the task."""
    row = good_row(rng)
    kinds: list[Callable[[], object]] = [
        lambda: b"{",
        lambda: b"not json at all",
        lambda: b"[" * rng.randint(1, 5000),
        lambda: b'{"a":' * rng.randint(1, 5000),
        lambda: b'["text"]',
        lambda: b"null",
        lambda: b"1" * 5000,
        lambda: b'{"text": NaN}',
        lambda: b'{"text": "a", "text": "b"}',
        lambda: b'{"text": "a", "fields": {"Height": 1e999}}',
        lambda: {**row, "text": rng.choice(("", " \t ", 7, None, ["a"], {"b": 1}, True))},
        lambda: {**row, "text": "x" * rng.randint(20_001, 60_000)},
        lambda: {**row, "text": words(rng) + rng.choice(HIDDEN) + words(rng)},
        lambda: {**row, "text": "a" + "\u0301" * rng.randint(17, 900)},
        lambda: {**row, "fields": rng.choice(([], "x", {"Weather": ["x"]}, {"Height": "9"}, {"Keeper": [1]}, {"Height": True}))},
        lambda: {**row, "fields": {"Height": "1" * rng.randint(501, 3000)}},
    ]
    made = rng.choice(kinds)()
    return made if isinstance(made, bytes) else json.dumps(made, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def jsonl(rng: random.Random) -> Case:
    lines = [json.dumps(good_row(rng)).encode() for _ in range(rng.randint(1, 6))]
    place = rng.randrange(len(lines))
    lines[place] = bad_row(rng)
    return ".jsonl", b"\n".join(lines), f"line {place + 1}"


def csv(rng: random.Random) -> Case:
    rows = [f'"{words(rng)}",{rng.randint(1, 5)}'.encode() for _ in range(rng.randint(1, 6))]
    head, place, said = b"text,Height", rng.randrange(len(rows)), ""
    match rng.randrange(7):
        case 0:
            head, said = rng.choice((b"txt,Height", b"text,text", b"text,Height,Height")), "line"
        case 1:
            rows[place] += b",one,too,many"
        case 2:
            rows[place] = b'"never closed'
        case 3:
            rows[place] = b'"a"b",3'
        case 4:
            rows[place] = b'"' + words(rng).encode() + rng.choice(HIDDEN[:-3]).encode() + b'",3'
        case 5:
            rows[place] = b'"' + b"x" * rng.randint(20_001, 200_000) + b'",3'
        case _:
            rows[place] = b'"fine",11'
    return ".csv", b"\n".join([head, *rows]), said or "line"


def tsv(rng: random.Random) -> Case:
    rows = [f"{words(rng)}\t{rng.randint(1, 5)}".encode() for _ in range(rng.randint(1, 6))]
    place = rng.randrange(len(rows))
    rows[place] = rng.choice((b"one\t2\t3", b"fine\t11", b"\t3", b"y" * rng.randint(20_001, 90_000) + b"\t3", b'"never closed\t3'))
    return ".tsv", b"\n".join([b"text\tHeight", *rows]), "line"


def array(rng: random.Random) -> Case:
    """One array of objects, cut off, with a stray piece, or with a bad row."""
    objects = [json.dumps(good_row(rng)) for _ in range(rng.randint(1, 6))]
    place = rng.randrange(len(objects))
    match rng.randrange(5):
        case 0:
            whole = "[" + ",\n".join(objects)
            return ".json", rng.choice((whole[: -rng.randint(0, 20) or None], f"{whole},\n")).encode(), "line"
        case 1:
            objects.insert(place, rng.choice(("7", "null", '"text"', "[]", "NaN", "]", "{", "{}")))
        case 2:
            return ".json", ("[" + "\n".join([*objects, objects[0]]) + "]").encode(), "line"
        case 3:
            return ".json", ("[" + ",\n".join(objects) + "]\n" + rng.choice(("x", "]", "{}", ","))).encode(), "line"
        case _:
            objects[place] = json.dumps({"text": rng.choice(("", 7, None, ["a"], "x" * 20_001, "a" + rng.choice(HIDDEN) + "b"))})
    return ".json", ("[" + ",\n".join(objects) + "]").encode(), "line"


def other_tools(rng: random.Random) -> Case:
    """Records as chats, Kiln, Argilla, Prodigy and preferences have them, each with something wrong in its own form."""
    text = rng.choice(("", 7, None, ["a"], {"b": 1}, "x" * 20_001, words(rng) + rng.choice(HIDDEN) + "b"))
    wrong: list[object] = [
        {"messages": rng.choice(([], [7], [{"role": "user", "content": "x"}], [{"role": 1, "content": "x"}], [{"role": "assistant"}]))},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": text}]},
        {"conversations": [{"from": "gpt", "value": text}]},
        {"conversations": [[["gpt"]]]},
        {"prompt": "x", "completion": text},
        {"prompt": f"# {TASK.heading}\n\n## Attributes\n\nHeight 3\n\n## Description\n\n", "completion": "fine"},
        {"prompt": f"# {TASK.heading}\n\n## Attributes\n\nHeight: 9\n\n## Description\n\n", "completion": "fine"},
        {"prompt": "x", "chosen": text, "rejected": "y"},
        {"prompt": "x", "chosen": "fine", "rejected": "y" * 20_001},
        {"prompt": "x", "completion": text, "label": rng.random() < 0.5},
        {"instruction": "x", "output": text},
        {"input": "x", "output": {"output": rng.choice(("", "x" * 20_001, "a" + rng.choice(HIDDEN)))}},
        {"input": "[" * 3000, "output": {"output": "a", "rating": 7}, "repaired_output": {"output": "x" * 20_001}},
        {"id": "1", "fields": {"text": text}, "responses": {}},
        {"id": "1", "fields": {"text": "a"}, "responses": {"text": rng.choice(([{"value": 7}], [{"value": ""}], [{}]))}},
        {"id": "1", "fields": {"text": "a", "Height": True}, "metadata": {}},
        {"text": text, "answer": rng.choice(("accept", "reject")), "_task_hash": 1},
        {"text": "a", "meta": {"Height": "9"}, "answer": "accept", "_task_hash": 1},
    ]
    lines = [json.dumps(good_row(rng)) for _ in range(rng.randint(0, 4))]
    place = rng.randint(0, len(lines))
    lines.insert(place, json.dumps(rng.choice(wrong)))
    return ".jsonl", "\n".join(lines).encode(), f"line {place + 1}"


def tables(count: int, seed: str) -> Iterator[Case]:
    """Parquet files that are cut off, overwritten in places, or no such files. Few: a process reads each."""
    import io

    import pyarrow as arrow
    import pyarrow.parquet as parquet

    rng = random.Random(seed)
    for number in range(count):
        file = io.BytesIO()
        rows = [{"text": words(rng), "Height": str(rng.randint(1, 5))} for _ in range(rng.randint(1, 40))]
        if number % 4 == 0:
            rows[-1]["text"] = rng.choice(("", "x" * 20_001, "a" + rng.choice(HIDDEN)))
        parquet.write_table(arrow.Table.from_pylist(rows), file, compression="none")
        data = bytearray(file.getvalue())
        if number % 4 == 1:
            del data[rng.randrange(len(data)) :]
        elif number % 4 == 2:
            at = len(data) - 8 - rng.randrange(60)
            data[at : at + 4] = rng.randbytes(4)
            data[4:80] = rng.randbytes(76)
        elif number % 4 == 3:
            data = bytearray(b"PAR1" + rng.randbytes(rng.randint(0, 3000)) + b"PAR1")
        yield ".parquet", bytes(data), "row"


def markdown(rng: random.Random) -> Case:
    parts = [f"# {TASK.heading}\n\n## Attributes\n\nHeight: 3\n\n## Description\n\n{words(rng)}\n" for _ in range(rng.randint(1, 4))]
    place = rng.randrange(len(parts))
    match rng.randrange(6):
        case 0:
            parts[0] = "no heading here\n" + parts[0]
        case 1:
            parts[place] = parts[place].replace("Height: 3", "Height 3")
        case 2:
            parts[place] = parts[place].replace("Height: 3", "Height: 30")
        case 3:
            parts[place] = f"# {TASK.heading}\n\n\n"
        case 4:
            parts[place] += rng.choice(HIDDEN[:-3])
        case _:
            parts[place] += "x" * 50_000
    return ".md", "\n".join(parts).encode(), "line"


def plain(rng: random.Random) -> Case:
    parts = [words(rng) for _ in range(rng.randint(1, 6))]
    place = rng.randrange(len(parts))
    parts[place] = rng.choice((words(rng) + rng.choice(HIDDEN[:-3]) + "x", "y" * rng.randint(20_001, 90_000)))
    return ".txt", "\n\n".join(parts).encode(), f"line {2 * place + 1}"


def broken_bytes(rng: random.Random) -> Case:
    """Any good file with bytes that are no UTF-8, or in another encoding altogether."""
    text = json.dumps(good_row(rng)) + "\n" + words(rng)
    if rng.random() < 0.2:
        return rng.choice(TEXTS), text.encode(rng.choice(("utf-16", "utf-32"))), "byte 0"
    data = bytearray(text.encode())
    place = rng.randrange(len(data))
    data[place:place] = rng.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\x80", b"\xfe"))
    return rng.choice(TEXTS), bytes(data), "byte"


MAKERS = (jsonl, csv, markdown, plain, broken_bytes, tsv, array, other_tools)


def cases(count: int, seed: str) -> Iterator[Case]:
    rng = random.Random(seed)
    for _ in range(count):
        yield rng.choice(MAKERS)(rng)


def giants() -> Iterator[Case]:
    """Files that would cost a careless reader minutes or gigabytes: as large as may be, and a little larger."""
    most = MAX_BYTES
    yield ".jsonl", b"\n" * most, "line"
    yield ".jsonl", b'{"text": "' + b"[" * (most - 20), "line 1"
    yield ".jsonl", ('{"text": "' + "\U0001f600" * 200_000 + '"}\n').encode() * 20, "line 1"
    yield ".jsonl", (('{"text": "' + "\u0301\u0316" * 9990 + '"}\n') * 500).encode(), "line 1"
    yield ".jsonl", b'{"text": "a"}\n' * 10_001, "line 10001"
    yield ".txt", ("\U0001f600a\n" * (most // 6)).encode(), "line"
    yield ".txt", ("\U0001f600" + "\t" * (most - 10)).encode(), "line 1"
    yield ".md", b"# A\n" + b"ab\n" * ((most - 10) // 3), "line 2"
    yield ".csv", b"text" + b"," * (most - 100), "line 1"
    yield ".csv", b'text\n"' + b"a\n" * ((most - 100) // 2), "line"
    yield ".csv", b"text\n" + b"a\n" * 10_001, "line 10002"
    yield ".txt", b"x" * (most + 1), "bytes"
    yield ".json", b"[" * most, "line 1"
    yield ".json", b"[{" + b'"a":[{},{},' * ((most - 100) // 11), "line 1"
    yield ".json", b"[" + b'{"a":1},' * ((most - 100) // 8), "line 1"
    yield ".json", b"\n" * (most - 1) + b"x", f"line {most}"
    many = b"{" + b"".join(b'"%d":1,' % number for number in range(80_000)) + b'"79999":1}\n'
    yield ".jsonl", many * (most // len(many)), "line 1"
    yield (
        ".jsonl",
        (b'{"messages":[' + b'{"role":"assistant","content":"a"},' * 29_000 + b'{"role":"assistant","content":"a"}]}\n'),
        "line 1",
    )
    for opening in (f"# {TASK.heading}\n", f"# {TASK.heading}\n\n## Attributes\nHeight: 3\n"):
        yield ".jsonl", json.dumps({"text": f"{opening}{chr(10) * 400_000}{chr(7)}"}).encode(), "line 1"
    yield ".tsv", b"text\ta\n" + b"\t" * (most - 100), "line"
    yield ".parquet", b"PAR1" + b"\x00" * (most + 1), "bytes"


class Bench:
    """Imports files into a real workspace, and keeps what was wrong with how they were refused."""

    def __init__(self, folder: Path) -> None:
        config.create(folder / "workspace", TASK)
        self.session = Session(folder / "workspace")
        self.folder = folder
        self.wrong: list[str] = []
        self.slowest = 0.0

    def refuse(self, case: Case) -> None:
        suffix, data, place = case
        path = self.folder / f"rows{suffix}"
        path.write_bytes(data)
        self.look(path, place)

    def look(self, path: Path, place: str) -> None:
        """One import that must fail, with one clear line."""
        before, began = self.session.store.journal.seq, time.process_time()
        try:
            import_files(self.session, path)
            fault = "it was imported"
        except FlavorError as error:
            said = str(error)
            clear = path.name in said and PLACE.search(said) and place in said
            harmless = clean_line(said) == said and len(said) < 600
            fault = "" if clear and harmless and error.hint else f"unclear: {said[:300]!r}, not {place!r}"
        except Exception as error:
            fault = f"{type(error).__name__}: {str(error)[:200]}"
        self.slowest = max(self.slowest, time.process_time() - began)
        if self.session.store.journal.seq != before or self.session.store.examples:
            fault = fault or "something was imported"
            self.session.undo()
        if fault:
            head = path.read_bytes()[:120] if path.is_file() else b""
            self.wrong.append(f"{path.name}: {fault}; it begins {head!r}")


def odd_places(folder: Path) -> Iterator[Path]:
    """What is no file at all."""
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "folder.txt").mkdir()
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    (folder / "device.md").symlink_to("/dev/zero")
    (folder / "terminal.txt").symlink_to("/dev/tty")
    yield from (folder / name for name in ("pipe.jsonl", "folder.txt", "loop.csv", "device.md", "terminal.txt", "absent.md", "rows.pkl"))


def skip_what_is_wrong(source: str, task: object, choice: object) -> Reading:
    """A planted fault: an importer that leaves bad lines out, and decodes what is not UTF-8 somehow."""
    lines = Path(source).read_bytes().decode("utf-8", "replace").splitlines()
    return Reading(source, [Read("", line.strip()[:100], {}) for line in lines if line.strip()])


def main() -> None:
    count, seed, planted = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "planted"
    with tempfile.TemporaryDirectory(dir=in_memory()) as name:  # a disk that waits for each file takes ten times as long as we do
        bench = Bench(Path(name))
        if planted:
            intake.read = skip_what_is_wrong  # type: ignore[attr-defined]
        else:
            for path in odd_places(bench.folder):
                bench.look(path, "")
            for case in giants():
                bench.refuse(case)
        for case in cases(count, seed):
            bench.refuse(case)
        peak = most_memory()  # before the tables: what makes them is large, and is no part of us
        for case in tables(0 if planted else 4 + count // 1000, seed):
            bench.refuse(case)
        print(json.dumps({"wrong": len(bench.wrong), "first": bench.wrong[:20], "slowest": bench.slowest, "peak": peak}))


def most_memory():
    """The most bytes this program held. Not `ru_maxrss` where there is better: that one begins with what the process held that started us."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024


if __name__ == "__main__":
    main()
