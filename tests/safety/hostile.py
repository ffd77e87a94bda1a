"""Texts that a screen should show and not obey: escape sequences, invisible and turning characters, markup, stacks of marks."""

from __future__ import annotations

import random

PIECES = [
    "\x1b]52;c;aGFjaw==\x07", "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "\x1b[2J", "\x1b[31;8m", "\x1b[?1049l", "\x1bc", "\x1bP1$q\x1b\\",
    "\x1b]0;title\x07", "\x1b_apc\x1b\\", "\x1b[6n", "\x9b2J", "\x9d52;c;aGk=\x9c", "\x90q\x9c", "\x84\x85\x8d", "\x00", "\x07\x08\x08", "\x0b\x0c", "\x0e", "\x7f\x7f",
    "\r", "\r\n", "\t\t", "\u2028", "\u202e", "\u202d\u2066", "\u2067\u2069", "\u200b\u200c\u200d", "\u2060\ufeff", "\xad", "\u3164\u115f", "\ufe0f\ufe01",
    "\U000e0041\U000e0042", "\U000e0100", "\ufff9\ufffb", "\ufffe", "\u034f\u180e", "e" + "\u0301\u0316" * 20, "\ud800", "\udfff",
    "[/]", "[bold]", "[/bold]", "[b", "[/b", "[@click=app.quit]", "[@click='app.bell']", "[link='https://evil.example']", "[black on black]", "[[", "]]", "\\[", "\\",
    "[$primary]", "{}", "%s %d", "<b>&amp;</b>", "$(id)", "`id`", "漢字かな", "👩‍🚀", "مرحبا", "ελληνικά", "ﷺ", "\xa0\u2003", "🏴", "1️⃣", "**bold**", "# heading",
    "\u0e01\u0e34\u0e49", "x" * 90, "-" * 60,
]  # fmt: skip


def text(rng: random.Random, number: int, pieces: int = 5) -> str:
    """A hostile text whose first word is its own, and in which every plain word is followed by something else."""
    out = [f"id{number:05}z "]
    for place in range(rng.randint(1, pieces)):
        out.append(f"w{place}q" + rng.choice(PIECES) + rng.choice(("", " ")) + rng.choice(PIECES) + " ")
    return "".join(out) + "endz"
