"""The figures of docs/performance.md: `python -m bench.performance run [PART ...]`, then `python -m bench.performance write`.

Runs every contender in a process of its own, by turns, keeps what each printed in docs/performance.jsonl (one line a contender, the last
run of it), and writes the tables and the picture from that file. Nothing else should run meanwhile. `sampling` needs the environment that
`bench/llama_env.sh` makes, `training` needs `pip install trl`; what is not there is left out, and said.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

from bench.common import HERE, measure
from core.files import cache_folder
from core.worker import starter

DOCS = HERE.parent / "docs"
FOUND, PAGE, PICTURE = DOCS / "performance.jsonl", DOCS / "performance.md", DOCS / "performance.svg"
TEXTS = (1, 8, 16)
Found = dict[str, Any]
Contender = tuple[str, Callable[[], Found]]
NAMES = {
    "ours": "ours",
    "plain": "plain",
    "trl": "TRL's defaults",
    "continuous": "transformers' continuous batching",
    "llama": "llama.cpp, Q4_1",
}


def _contender(what: str, who: str, bits: str, *more: str) -> Contender:
    return f"{what} {who} {bits}{''.join(' ' + word for word in more)}", lambda: measure("bench.contenders", what, who, bits, *more)


def _llama(texts: int) -> Contender:
    """llama.cpp without an adapter, which is to its advantage."""
    python = Path(os.environ.get("FLAVOR_TUI_LLAMA", cache_folder() / "llama-cpp")) / "bin/python"

    def run() -> Found:
        from bench.contenders import prompts_of

        with tempfile.TemporaryDirectory() as scratch:
            prompts = Path(scratch) / "prompts.json"
            prompts.write_text(json.dumps(["".join(text for text, _ in row.prompt) for row in prompts_of(texts)]))
            words = [str(python), str(HERE / "llama_speed.py"), str(starter.find()), str(texts), str(prompts)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
        found: Found = json.loads(done.stdout.strip().splitlines()[-1])
        return found

    return f"sample llama-{texts} q4", run


def sampling(rounds: int) -> Iterator[Contender]:
    """Each several times, by turns: ratios within one round are what counts."""
    for number in range(rounds):
        for texts in TEXTS:
            for who in ("ours", "plain"):
                for bits in ("nf4", "bf16"):
                    if number == 0 or (who, bits) == ("ours", "nf4"):
                        yield _contender("sample", f"{who}-{texts}", bits)
            yield _llama(texts)
    yield _contender("sample", "continuous-16", "nf4")


def training(rounds: int) -> Iterator[Contender]:
    """32 rows, four epochs: ours, TRL's, and what a product of training's shapes allows, by turns; the others for one epoch, once."""
    for _ in range(rounds):
        yield _contender("train", "ours", "nf4")
        if find_spec("trl"):
            yield _contender("train", "trl", "nf4")
        yield "limit", lambda: measure("bench.contenders", "limit", "product", "bf16")
    for who, bits in (("plain", "nf4"), ("ours", "bf16"), ("plain", "bf16")):
        yield _contender("train", who, bits, "--epochs", "1")


def scaling(rounds: int) -> Iterator[Contender]:
    """Training speed by what varies: rows, lengths of texts, ranks; sampling by rank."""
    varied = [("--rows", ("10", "50")), ("--tokens", ("50", "500", "2000")), ("--rank", ("4", "64", "128"))]
    for name, value in ((name, value) for name, values in varied for value in values):
        rows = [] if name == "--rows" else ["--rows", "4" if value == "2000" else "10"]
        yield _contender("train", "ours", "nf4", "--epochs", "1", *rows, name, value)
    for rank in ("4", "64", "128"):
        yield _contender("sample", "ours-8", "nf4", "--rank", rank)


def ready(rounds: int) -> Iterator[Contender]:
    yield "ready", lambda: measure("bench.ready")


PARTS: dict[str, Callable[[int], Iterator[Contender]]] = {
    "sampling": sampling,
    "training": training,
    "scaling": scaling,
    "ready": ready,
}


def read() -> dict[str, list[Found]]:
    """By contender, every run of it."""
    lines = FOUND.read_text().splitlines() if FOUND.exists() else []
    return {each["who"]: each["runs"] for each in map(json.loads, lines)}


def run(parts: list[str], rounds: int) -> None:
    found = read()
    for part in parts:
        fresh: set[str] = set()
        for who, work in PARTS[part](rounds):
            try:
                got = work()
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"{who}: left out, {error}", flush=True)
                continue
            found[who] = [*(found.get(who, []) if who in fresh else []), got]
            fresh.add(who)
            print(who, got, flush=True)
            FOUND.write_text("".join(json.dumps({"who": name, "runs": runs}) + "\n" for name, runs in found.items()))


# -- the page ----------------------------------------------------------------------------------------------------------------


def value(found: dict[str, list[Found]], who: str, what: str = "tokens_a_second") -> float | None:
    """The median of a contender's runs."""
    return median(run[what] for run in found[who]) if who in found else None


def ratio(found: dict[str, list[Found]], one: str, two: str, what: str = "tokens_a_second") -> float | None:
    """The median of the ratios of runs made one after the other."""
    if one not in found or two not in found:
        return None
    return median(a[what] / b[what] for a, b in zip(found[one], found[two], strict=False))


def _cell(number: float | None, form: str = "{:.0f}") -> str:
    return "" if number is None else form.format(number)


def targets(found: dict[str, list[Found]]) -> str:
    """What was to be reached, against what was."""
    trained = "train ours nf4"
    share = None
    if "limit" in found and trained in found:
        share = ratio(found, trained, "limit")
    rows = [
        (
            "16 texts at once with the adapter on, over llama.cpp's single stream",
            3,
            ratio(found, "sample ours-16 nf4", "sample llama-1 q4"),
        ),
        ("the same, over llama.cpp with 16 parallel sequences", 1.5, ratio(found, "sample ours-16 nf4", "sample llama-16 q4")),
        ("32 rows, 4 epochs: seconds of TRL's defaults over ours", 2.5, ratio(found, "train trl nf4", trained, "seconds")),
        ("training, of what a bare product of its shapes allows", 0.6, share),
        ("decisions that found the next card ready, one every 6 s, retraining beside", 0.95, value(found, "ready", "ready")),
    ]
    lines = ["| what | to reach | measured | |", "|---|---|---|---|"]
    for what, least, got in rows:
        lines.append(f"| {what} | {least} | {_cell(got, '{:.2f}')} | {'' if got is None else 'reached' if got >= least else 'missed'} |")
    return "\n".join(lines)


def sampled(found: dict[str, list[Found]]) -> str:
    lines = ["| tokens a second | 1 text | 8 texts | 16 texts |", "|---|---|---|---|"]
    for who, bits in (("ours", "nf4"), ("ours", "bf16"), ("plain", "nf4"), ("plain", "bf16"), ("continuous", "nf4"), ("llama", "q4")):
        cells = [_cell(value(found, f"sample {who}-{texts} {bits}")) for texts in TEXTS]
        if any(cells):
            name = "plain `generate()`" if who == "plain" else NAMES[who]
            kind = {"nf4": ", NF4", "bf16": ", 16 bits", "q4": ""}[bits]
            lines.append(f"| {name}{kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def trained(found: dict[str, list[Found]]) -> str:
    lines = ["| | epochs | seconds | tokens a second | peak memory, GB | held-out loss |", "|---|---|---|---|---|---|"]
    for who in ("ours", "trl", "plain"):
        for bits in ("nf4", "bf16"):
            for epochs, more in (("4", ""), ("1", " --epochs 1")):
                name = f"train {who} {bits}{more}"
                if name in found:
                    cells = [_cell(value(found, name, what), form) for what, form in (("seconds", "{:.0f}"), ("tokens_a_second", "{:.0f}"), ("peak_memory", "{}"), ("held_out_loss", "{:.2f}"))]  # fmt: skip
                    cells[2] = f"{(value(found, name, 'peak_memory') or 0) / 1e9:.2f}"
                    kind = "NF4" if bits == "nf4" else "16 bits"
                    lines.append(f"| {'the plainest loop' if who == 'plain' else NAMES[who]}, {kind} | {epochs} | {' | '.join(cells)} |")
    return "\n".join(lines)


def scaled(found: dict[str, list[Found]]) -> str:
    lines = ["| | training, tokens a second | peak memory, GB |", "|---|---|---|"]
    for name, runs in found.items():
        if name.startswith("train ours nf4 --epochs 1 --"):
            words = name.removeprefix("train ours nf4 --epochs 1 ").replace("--", "").split()
            told = ", ".join(
                f"{number} {what}" if what != "rank" else f"rank {number}" for what, number in zip(words[::2], words[1::2], strict=True)
            )
            told = told.replace("tokens", "tokens a text")
            lines.append(
                f"| {told} | {median(run['tokens_a_second'] for run in runs):.0f} | {median(run['peak_memory'] for run in runs) / 1e9:.2f} |"
            )
    sampling = [(name.split()[-1], value(found, name)) for name in found if name.startswith("sample ours-8 nf4 --rank")]
    if len(lines) == 2 and not sampling:
        return "How it scales with rows, lengths and ranks is not measured yet (`python -m bench.performance run scaling`)."
    if sampling:
        lines += ["", "Sampling 8 texts: " + ", ".join(f"rank {rank} {_cell(speed)} tokens a second" for rank, speed in sampling) + "."]
    return "\n".join(lines)


def evening(found: dict[str, list[Found]]) -> str:
    if "ready" not in found:
        return ""
    got = found["ready"][-1]
    first = got.get("seconds_to_the_first_new_candidate")
    return (
        f"A simulated person, one decision every 6 s: {got['decisions']} decisions, {got['ready']:.0%} of them found the next card ready, "
        f"{got['beside_training']} of them were made beside {got['retrains']} retrainings."
        + (f" From `t` to the first new candidate: {first:.0f} s (median)." if first else "")
    )


def picture(found: dict[str, list[Found]]) -> str:
    """Bars: tokens a second of sampling 16 texts, and of training."""
    bars = [
        ("sampling 16 texts", [("ours", "sample ours-16 nf4"), ("llama.cpp, 16 parallel", "sample llama-16 q4"), ("plain generate()", "sample plain-16 nf4"), ("llama.cpp, one stream", "sample llama-1 q4"), ("plain generate(), one by one", "sample plain-1 nf4")]),
        ("training", [("ours", "train ours nf4"), ("the plainest loop", "train plain nf4 --epochs 1"), ("TRL's defaults", "train trl nf4")]),
    ]  # fmt: skip
    most = max((value(found, who) or 0 for _, each in bars for _, who in each), default=1) or 1
    y, parts = 10, []
    for title, each in bars:
        y += 18
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{escape(title)}, tokens a second</text>')
        for name, who in each:
            speed = value(found, who)
            if speed is None:
                continue
            y += 20
            colour = "#1f5fa8" if name == "ours" else "#b08a4a"
            parts.append(f'<text x="180" y="{y}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="190" y="{y - 11}" width="{360 * speed / most:.1f}" height="14" fill="{colour}"/>')
            parts.append(f'<text x="{196 + 360 * speed / most:.1f}" y="{y}">{speed:.0f}</text>')
        y += 12
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 620 {y + 8}" width="620" height="{y + 8}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="620" height="{y + 8}" fill="white"/>', *parts, "</svg>", ""])


SECTIONS = {"targets": targets, "sampling": sampled, "training": trained, "scaling": scaled, "evening": evening}


def write() -> None:
    """Put what was found between the page's marks."""
    found, page = read(), PAGE.read_text()
    for name, section in SECTIONS.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, rest = page.split(begin)
        page = before + begin + "\n" + section(found) + "\n" + end + rest.split(end)[1]
    PAGE.write_text(page)
    PICTURE.write_text(picture(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run")
    runs.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all, if none is named")
    runs.add_argument("--rounds", type=int, default=3)
    commands.add_parser("write")
    args = parser.parse_args()
    if args.command == "run":
        print(f"{os.cpu_count()} cores, {platform.machine()}")
        run(args.parts or list(PARTS), args.rounds)
    write()


if __name__ == "__main__":
    main()
