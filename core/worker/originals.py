"""Anti-copy: the examples' texts, and which pieces may not come next because they would complete a copy of one of them.

A span of more than `limit` tokens that stands in only one example is never written. What two examples share is the form of the
task and stays free, and so is a span most of which is such form: "Make a Wisdom check, difficulty 15. Success:" is no copy, even
where only one example has this ability, or this difficulty. Works on bytes, so that a copy spelled with other tokens is a copy too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from transformers import PreTrainedTokenizerBase

KEY = 6
"""Bytes by which places in the examples are found."""
PART = 3
"""Tokens in a row that make form of each other, where another example has them too. With 4, a single value that only one example has
would take six tokens of the form around it for its own, and the model had to leave the form to avoid a copy of them."""
BEGINNING = b"\xff"
"""Stands before a text as a token of its own; no text in UTF-8 has this byte."""


def piece_bytes(tokenizer: PreTrainedTokenizerBase, size: int) -> list[bytes]:
    """What each of the first `size` tokens adds to a text, as bytes; nothing for special ones."""
    special = set(tokenizer.all_special_ids)
    names = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
    spaces = Counter(name[:1] for name in names if name)
    byte_level = _byte_alphabet() if spaces["Ġ"] > spaces["▁"] else None  # a Maltese letter as well, which Gemma knows by itself
    pieces = []
    for number, name in enumerate(names):
        if name is None or number in special:
            pieces.append(b"")
        elif byte_level is not None:
            pieces.append(bytes(byte_level[char] for char in name) if all(char in byte_level for char in name) else name.encode())
        elif len(name) == 6 and name.startswith("<0x"):
            pieces.append(bytes([int(name[3:5], 16)]))
        else:
            pieces.append(name.replace("▁", " ").encode())
    return pieces + [b""] * (size - len(pieces))


def _byte_alphabet() -> dict[str, int]:
    """The characters by which byte-level tokenizers (GPT-2) write the 256 bytes."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {**{chr(byte): byte for byte in shown}, **{chr(256 + place): byte for place, byte in enumerate(hidden)}}


@dataclass(frozen=True, eq=False)
class Original:
    """One example's text, and where its tokens begin; `starts[-1]` is its length."""

    data: bytes
    starts: list[int]

    @property
    def count(self) -> int:
        """Its tokens."""
        return len(self.starts) - 1

    def span(self, first: int, count: int) -> bytes:
        """The bytes of `count` tokens from token `first` on, or of fewer at the end."""
        return self.data[self.starts[first] : self.starts[min(first + count, self.count)]]

    @property
    def whole(self) -> bytes:
        """Its bytes with the beginning before them."""
        return BEGINNING + self.data

    def parts(self) -> list[bytes]:
        """Its parts of `PART` tokens, in order. The beginning is the first of these tokens."""
        starts, whole = [0, *(start + len(BEGINNING) for start in self.starts)], self.whole
        return [whole[start:end] for start, end in zip(starts, starts[PART:], strict=False)]

    def stretches(self) -> Iterator[tuple[bytes, int]]:
        """Every `KEY` bytes of it, with the place where they end."""
        for place in range(KEY, len(self.data) + 1):
            yield self.data[place - KEY : place], place


class Index:
    """Which originals have a part, wherever their tokens begin. A text that comes or goes costs what it touches, not a new index."""

    def __init__(self) -> None:
        self.places: dict[bytes, list[tuple[Original, int]]] = {}
        """For every `KEY` bytes where they end, and in which originals."""
        self._originals: set[Original] = set()
        self._having: dict[bytes, set[Original]] = {}
        """Those that have it, for every part of an original."""

    def add(self, new: Sequence[Original]) -> set[Original]:
        """Take `new` in. Gives the originals that were alone in having a part, and are no more."""
        for part in {part for original in new for part in original.parts()} - self._having.keys():
            self._having[part] = self.find(part)
        touched: set[Original] = set()
        for original, having in self._known(new):
            touched |= having if len(having) == 1 else set()
            having.add(original)
        for original in new:
            self._originals.add(original)
            for key, place in original.stretches():
                self.places.setdefault(key, []).append((original, place))
        return touched

    def remove(self, gone: Sequence[Original]) -> set[Original]:
        """Forget `gone`. Gives the originals that are now alone in having a part."""
        touched: set[Original] = set()
        for original, having in self._known(gone):
            having.discard(original)
            touched |= having if len(having) == 1 else set()
        self._having = {part: having for part, having in self._having.items() if having}
        self._originals.difference_update(gone)
        for key in {key for original in gone for key, _ in original.stretches()}:
            self.places[key] = [place for place in self.places[key] if place[0] in self._originals]
            if not self.places[key]:
                del self.places[key]
        return touched

    def _known(self, originals: Sequence[Original]) -> Iterator[tuple[Original, set[Original]]]:
        """Each of `originals` with those that have it, for every known part that stands somewhere in it."""
        sizes = {len(part) for part in self._having} if originals else set()
        for original in originals:
            whole = original.whole
            for size in sizes:
                for part in {whole[start : start + size] for start in range(len(whole) - size + 1)} & self._having.keys():
                    yield original, self._having[part]

    def shared(self, part: bytes) -> bool:
        """Whether two originals have this part of one."""
        return len(self._having[part]) > 1

    def find(self, span: bytes) -> set[Original]:
        """Those that have any bytes, or begin with them after a `BEGINNING`."""
        if len(span) < KEY or span.startswith(BEGINNING):
            return {original for original in self._originals if span in original.whole}
        first, last = (self.places.get(key, []) for key in (span[:KEY], span[-KEY:]))
        if len(first) <= len(last):
            return {original for original, place in first if original.data.startswith(span, place - KEY)}
        return {original for original, place in last if original.data.endswith(span, 0, place)}


class Originals:
    """The texts that may not be copied. `encode` gives a text's token ids, `pieces` each token's bytes."""

    def __init__(self, pieces: Sequence[bytes], encode: Callable[[str], list[int]], limit: int = 8) -> None:
        self._pieces = pieces
        self._encode = encode
        self._limit = limit
        order = sorted((piece, token) for token, piece in enumerate(pieces) if piece)
        self._sorted = [piece for piece, _ in order]
        self._tokens = [token for _, token in order]
        self._longest = max(map(len, self._sorted), default=0)
        self._by_length = sorted(self._sorted, key=len, reverse=True)
        self._long: dict[int, list[bytes]] = {}
        """The pieces of at least so many bytes."""
        self._joined: dict[int, bytes] = {}
        self._texts: dict[str, Original] = {}
        self._index = Index()
        self._form: dict[Original, list[bool]] = {}
        self._soon: dict[Original, list[tuple[int, bytes, list[int]]]] = {}
        self._early: list[tuple[bytes, list[int], bytes]] = []
        self._judged: dict[tuple[Original, int], bool] = {}

    def update(self, texts: Iterable[str], limit: int) -> None:
        """Make `texts` the originals, and `limit` the tokens that may be copied (0: any number)."""
        wanted = set(texts) if limit else set()
        if wanted == self._texts.keys() and limit == self._limit:
            return
        if limit != self._limit:
            self._limit = limit
            self._soon.clear()
        gone = [self._texts.pop(text) for text in self._texts.keys() - wanted]
        new = {text: self._original(text) for text in wanted - self._texts.keys()}
        self._texts |= new
        for original in {*gone, *self._index.remove(gone), *self._index.add(list(new.values()))}:
            self._form.pop(original, None)
        for original in gone:
            self._soon.pop(original, None)
        self._judged.clear()
        self._early = []
        for original in self._texts.values():
            if original not in self._soon:
                self._soon[original] = list(self._completed_soon(original))
            for first, before, tokens in self._soon[original]:
                if self._own(original, first):
                    self._early.append((before, tokens, original.span(first, self._limit + 1)))

    def _original(self, text: str) -> Original:
        starts, data = [0], b""
        for token in self._encode(text):
            data += self._pieces[token]
            starts.append(len(data))
        return Original(data, starts)

    def _completed_soon(self, original: Original) -> Iterator[tuple[int, bytes, list[int]]]:
        """Spans that one piece could complete before `KEY` bytes of them are written: there the places cannot be looked up. Each by its
        first token, with what is written of it and the tokens that complete it."""
        for first in range(original.count - self._limit):
            span = original.span(first, self._limit + 1)
            for cut in range(min(KEY, len(span))):
                if len(span) - cut > self._longest:
                    continue
                tokens = self.beginning_with(span[cut:]) if cut else self._holding(span)
                if tokens:
                    yield first, span[:cut], tokens

    def _holding(self, span: bytes) -> list[int]:
        """The tokens whose bytes hold all of `span`."""
        if len(span) not in self._long:
            self._long[len(span)] = list(takewhile(lambda piece: len(piece) >= len(span), self._by_length))
            self._joined[len(span)] = BEGINNING.join(self._long[len(span)])
        if span not in self._joined[len(span)]:  # nearly always
            return []
        return [token for piece in self._long[len(span)] if span in piece for token in self.beginning_with(piece)]

    def _find_form(self, original: Original) -> list[bool]:
        """For each token, whether it stands in a part that another example has too. A text's beginning counts as a token before it."""
        form = [False] * original.count
        for first, part in enumerate(original.parts(), -1):
            if self._index.shared(part):
                form[max(first, 0) : first + PART] = [True] * (first + PART - max(first, 0))
        return form

    def _own(self, original: Original, first: int) -> bool:
        """Whether the span of `limit` + 1 tokens from token `first` on is this example's own: no other has it, and most of it is no form."""
        key = (original, first)
        if key not in self._judged:
            if original not in self._form:
                self._form[original] = self._find_form(original)
            count = self._limit + 1
            form = sum(self._form[original][first : first + count])
            self._judged[key] = 2 * form < count and len(self._index.find(original.span(first, count))) < 2
        return self._judged[key]

    def beginning_with(self, start: bytes) -> list[int]:
        """The tokens whose bytes begin with `start`."""
        low = bisect_left(self._sorted, start)
        high = low
        while high < len(self._sorted) and self._sorted[high].startswith(start):
            high += 1
        return self._tokens[low:high]

    def forbidden(self, written: bytes, free: Sequence[bytes] = ()) -> set[int]:
        """The tokens that may not follow `written`. Spans within one of `free` (what the person gave) are allowed."""
        found: set[int] = set()
        for before, tokens, span in self._early:
            if written.endswith(before) and not any(span in text for text in free):
                found.update(tokens)
        for original, place in self._index.places.get(bytes(written[-KEY:]), ()) if len(written) >= KEY else ():
            rest = self._completion(written, original, place, free)
            if rest:
                found.update(self.beginning_with(rest))
        return found

    def _completion(self, written: bytes, original: Original, place: int, free: Sequence[bytes]) -> bytes:
        """What would complete the first forbidden span of `original`, of which `written` ends with a part before `place`."""
        data, starts = original.data, original.starts
        same = KEY
        while same < min(place, len(written)) and written[-same - 1] == data[place - same - 1]:
            same += 1
        first = bisect_left(starts, place - same)
        while first + self._limit + 1 < len(starts) and starts[first + self._limit + 1] - place <= self._longest:
            end = starts[first + self._limit + 1]
            if end > place and starts[first] < place:
                span = data[starts[first] : end]
                if self._own(original, first) and not any(span in text for text in free):
                    return data[place:end]
            first += 1
        return b""
