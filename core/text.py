"""The one sanitiser. Every text that enters (typed, imported, sampled, read from a file) passes `clean`; nothing is hidden
silently: what a terminal would obey or hide is written out as a visible mark, so that shown = stored = trained."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

from core.errors import FlavorError

MAX_TEXT = 20_000
"""Characters in one text; far above any flavour text, far below what slows a screen down."""
MAX_STACK = 16
"""Combining marks on one letter; more of them only overlap its neighbours, and take quadratic time to order."""

# C0 without tab and newline, DEL, C1; lone surrogates; bidi controls; what Unicode lets a display ignore (soft hyphens, zero-width
# spaces, fillers, tags, variation selectors of ideographs); annotations, noncharacters.
_HOSTILE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_ESCAPED = re.compile(f"{_HOSTILE.pattern[:-1]}\u2028\u2029]")
_JOINERS = re.compile("[\u200c\u200d\ufe0e\ufe0f]+")
_JOINED = "[\u0590-\u1fff\u2600-\u27bf\u2b00-\u2bff\u3000-\ud7ff\uf900-\ufdff\ufe70-\uff9f\U00010000-\U000dffff]"
"""Between two of these a joiner does something: emoji, Arabic, the scripts of India. It and the next are compiled when first needed, which
takes 6 ms of a start."""
_PICTURE = "[0-9#*\xa9\xae\u203c-\u3299\U0001f000-\U0001faff]"
"""After one of these a variation selector chooses between text and picture."""
_DENSE = re.compile(rf"[^\w\x00-\u02ff]{{{MAX_STACK + 1},}}")


class _Marks:
    """Writes out what must be seen, and remembers what it was."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def mark(self, char: str) -> str:
        code = ord(char)
        self.found.append(f"U+{code:04X}")
        return chr(0x2400 + code) if code < 0x20 else f"<U+{code:04X}>"

    def hostile(self, match: re.Match[str]) -> str:
        return self.mark(match.group())

    def joiners(self, match: re.Match[str]) -> str:
        """A run of joiners and selectors as it is, where its neighbours need it: at most one selector, then at most one joiner."""
        run, text = match.group(), match.string
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        rest = run[1:] if run[0] in "\ufe0e\ufe0f" else run
        chosen = rest == run or re.match(_PICTURE, before)
        joined = not rest or (rest in ("\u200c", "\u200d") and re.match(_JOINED, before) and re.match(_JOINED, after))
        return run if chosen and joined else "".join(map(self.mark, run))

    def stacks(self, match: re.Match[str]) -> str:
        """Of a long run of high characters that are no letters, the combining marks beyond `MAX_STACK` on one letter written out."""
        out, height = [], 0
        for char in match.group():
            height = height + 1 if unicodedata.category(char)[0] == "M" else 0
            out.append(char if height <= MAX_STACK else self.mark(char))
        return "".join(out)

    def clean(self, text: str) -> str:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        text = text.replace("\u2028", "\n").replace("\u2029", "\n").replace("\x85", "\n").expandtabs(4)
        text = _DENSE.sub(self.stacks, _HOSTILE.sub(self.hostile, text))
        text = _JOINERS.sub(self.joiners, unicodedata.normalize("NFC", text))  # after NFC, which may reorder their neighbours
        return _DENSE.sub(self.stacks, unicodedata.normalize("NFC", text))


def clean(text: str) -> str:
    """`text` with Unix newlines, no tabs, in NFC, and every control, direction or invisible character as a visible mark. Idempotent."""
    return text if text.isascii() and text.isprintable() else _Marks().clean(text)


def clean_text(text: str) -> str:
    """`clean` without the white space around it. Idempotent: a joiner that stood beside such a blank has no neighbour any more, and is shown."""
    return clean(clean(text).strip())


def hidden(text: str) -> str:
    """A character of `text` that a terminal would hide or obey, as U+202E; empty where there is none."""
    marks = _Marks()
    marks.clean(text)
    return marks.found[0] if marks.found else ""


def clean_line(text: str) -> str:
    """`clean` for a name or a value: one line, runs of white space folded. Idempotent, as `clean_text` is."""
    return clean(" ".join(clean(text).split()))


def short(text: str, limit: int = 60) -> str:
    """`clean_line` of something that may be very long, for a message."""
    line = clean_line(text[: 4 * limit])
    return line if len(line) <= limit and len(text) <= 4 * limit else line[: limit - 1] + "…"


def counted(number: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """`seconds` as 0:41 or 1:02:03."""
    whole = max(0, math.ceil(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def assigned(values: Mapping[str, str]) -> str:
    """`Danger Level = 4, Disposition = Aloof`."""
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def check_text(text: str) -> str:
    """`text` as it may be stored. Raises FlavorError where it is empty or huge."""
    if len(text) <= 2 * MAX_TEXT:  # else it need not even be looked at
        text = clean_text(text)
    if not text:
        raise FlavorError("The text is empty.", "Write something first.", "empty")
    if len(text) > MAX_TEXT:
        raise FlavorError(f"The text has {len(text)} characters.", f"The limit is {MAX_TEXT}.", "huge")
    return text


def is_clean(text: str) -> bool:
    """Whether `clean` would leave `text` as it is."""
    return clean(text) == text


def strip_controls(text: str) -> str:
    """Drop what must never reach a terminal. The last line of defence, for output that did not pass `clean`."""
    return _HOSTILE.sub("", text).replace("\n", " ").replace("\t", " ")


def has_controls(text: str) -> bool:
    """Whether `strip_controls` would change `text`."""
    return bool(_HOSTILE.search(text)) or "\n" in text or "\t" in text


def to_json(value: object) -> str:
    """`value` as one line of JSON that is readable and holds nothing that a terminal would hide or obey, nor what some readers take for a line's end."""
    return _ESCAPED.sub(lambda match: json.dumps(match.group())[1:-1], json.dumps(value, ensure_ascii=False, allow_nan=False))


WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_OTHER_SCRIPT = "[\u0300-\u036f\u0483-\u0489\u0591-\u1dff\u20d0-\u20ff\u2cef-\U0010ffff]"
"""Without one of these every word is a `WORD`: no combining mark, and a script with blanks. Compiled when first needed."""
_WITHOUT_BLANKS = (
    range(0x0E00, 0x0F00), range(0x1000, 0x10A0), range(0x1780, 0x1800), range(0x2E80, 0x3100), range(0x31F0, 0x3200), range(0x3400, 0x4DC0),
    range(0x4E00, 0xA000), range(0xA9E0, 0xAA00), range(0xAA60, 0xAA80), range(0xF900, 0xFB00), range(0xFF66, 0xFFA0),
    range(0x1B000, 0x1B170), range(0x20000, 0x40000),
)  # fmt: skip
"""Thai, Lao, Myanmar, Khmer, Han, Hiragana and Katakana."""
_WORD_OF_KINDS = re.compile("CM*|L[LM]*(?:'L[LM]*)*")
_PIECE_OF_KINDS = re.compile("CM*|[^C]+")


class _Kinds(dict[int, str]):
    """What a character is in a word, each looked up once: a letter or digit (L), a word by itself (C), a combining mark or joiner (M), an
    apostrophe, or nothing of a word (a blank)."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        category = unicodedata.category(char)
        if category[0] == "M" or char in "\u200c\u200d":
            kind = "M"
        elif char.isalnum():
            kind = "C" if category[0] == "L" and any(code in block for block in _WITHOUT_BLANKS) else "L"
        else:
            kind = "'" if char in "'’" else " "
        self[code] = kind
        return kind


_KINDS = _Kinds()


def words(text: str) -> list[str]:
    """The words of `text`, lower case, without punctuation: the unit of every text gauge. Of scripts without blanks every character is one."""
    text = text.lower()
    return WORD.findall(text) if _plain(text) else list(_words_of_any_script(text))


@lru_cache(2048)
def _words_of_any_script(text: str) -> tuple[str, ...]:
    """Takes ten times as long as `WORD` does, and the same texts are asked for again and again."""
    return tuple(text[start:end] for start, end in _spans(text))


def word_places(text: str) -> list[tuple[str, int, int]]:
    """The words of `text` as `words` has them, each with the places in it where it begins and ends."""
    if _plain(text):
        return [(match.group().lower(), match.start(), match.end()) for match in WORD.finditer(text)]
    return [(text[start:end].lower(), start, end) for start, end in _spans(text)]


def _plain(text: str) -> bool:
    """Whether `WORD` finds the words of `text`. Asked for every text, so that English with its dashes and quotes is known the fast way."""
    try:
        return text.isascii() or bool(text.encode("cp1252"))
    except UnicodeEncodeError:
        return not re.search(_OTHER_SCRIPT, text)


def _spans(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _WORD_OF_KINDS.finditer(text.translate(_KINDS))]


def is_character(word: str) -> bool:
    """Whether one of `words` is a character of a script without blanks."""
    return not word.isascii() and _KINDS[ord(word[0])] == "C"


def pieces(text: str) -> list[str]:
    """What stands between blanks, and of scripts without blanks every character: what can be changed by itself."""
    found = []
    for chunk in text.split():
        found += [chunk] if chunk.isascii() else [chunk[slice(*each.span())] for each in _PIECE_OF_KINDS.finditer(chunk.translate(_KINDS))]
    return found


def per_word(found: Sequence[str]) -> int:
    """How many of some words are one as English counts: two where most are single characters of a script without blanks, else one."""
    if "".join(found).isascii():
        return 1
    return 2 if 2 * sum(map(is_character, found)) > len(found) else 1
