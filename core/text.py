"""The one sanitiser. Every text that enters (typed, imported, sampled, read from a file) passes `clean`; nothing is hidden
silently: what a terminal would obey or hide is written out as a visible mark, so that shown = stored = trained."""

from __future__ import annotations

import re
import unicodedata

from core.errors import FlavorError

MAX_TEXT = 20_000
"""Characters in one text; far above any flavour text, far below what slows a screen down."""

# C0 without tab and newline, DEL, C1; lone surrogates; bidi controls, the byte order mark and the invisible tag block. ZWJ and
# ZWNJ stay: emoji and Persian need them.
_HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")


def _mark(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else f"<U+{code:04X}>"


def clean(text: str) -> str:
    """`text` with Unix newlines, no tabs, in NFC, and every control or direction character as a visible mark. Idempotent."""
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\u2028", "\n").replace("\u2029", "\n").replace("\x85", "\n").expandtabs(4)
    return unicodedata.normalize("NFC", _HOSTILE.sub(_mark, text))


def clean_line(text: str) -> str:
    """`clean` for a name or a value: one line, runs of white space folded."""
    return " ".join(clean(text).split())


def check_text(text: str) -> str:
    """`text` as it may be stored. Raises FlavorError where it is empty or huge."""
    text = clean(text).strip()
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
    return _HOSTILE.sub("", text)


def words(text: str) -> list[str]:
    """The words of `text`, lower case, without punctuation: the unit of every text gauge."""
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())
