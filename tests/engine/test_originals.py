"""Anti-copy: whatever a writer that wants to copy is left to write, it is no long copy of one example."""

import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from core.worker import originals as module
from core.worker.originals import BEGINNING, PART, Index, Original, Originals, piece_bytes

PIECES = [b"", b"a", b"b", b"c", b" ", b"ab", b"bc", b"abc", b" a", b"ca", b"aa", b"cab ca", b"abcabcabcab"]


def encode(text):
    """The longest piece first, as a tokenizer would not always do it: any cutting will do."""
    data, ids = text.encode(), []
    while data:
        token = max((n for n, piece in enumerate(PIECES) if piece and data.startswith(piece)), key=lambda n: len(PIECES[n]))
        ids.append(token)
        data = data[len(PIECES[token]) :]
    return ids


def cut_anyhow(text):
    """Any piece, another one in another text."""
    rng, data, ids = random.Random(text), text.encode(), []
    while data:
        ids.append(rng.choice([token for token, piece in enumerate(PIECES) if piece and data.startswith(piece)]))
        data = data[len(PIECES[ids[-1]]) :]
    return ids


def spans(text, limit, examples):
    """Every span of `limit` + 1 tokens of a text that is its own: no other example has it, and most of its tokens stand in no part that
    another has too."""
    ids = encode(text)
    others = [other.encode() for other in examples if other != text]

    def spell(first, last):
        return b"".join(PIECES[token] for token in ids[max(first, 0) : last])

    def form(at):
        parts = [first for first in range(at - PART + 1, at + 1) if -1 <= first <= len(ids) - PART]
        return any(
            other.startswith(spell(first, first + PART)) if first < 0 else spell(first, first + PART) in other
            for first in parts
            for other in others
        )

    found = set()
    for first in range(len(ids) - limit):
        span = spell(first, first + limit + 1)
        shared = sum(form(at) for at in range(first, first + limit + 1))
        if not any(span in other for other in others) and shared < (limit + 1) / 2:
            found.add(span)
    return found


def copy_greedily(originals, text, free, seed):
    """A writer that continues `text` from any place of it, wherever it may, with whatever pieces spell it."""
    rng, written, data = random.Random(seed), b"", text.encode()
    for _ in range(60):
        forbidden = originals.forbidden(written, free)
        allowed = [token for token, piece in enumerate(PIECES) if piece and token not in forbidden]
        copying = [token for token in allowed if any(written[-n:] + PIECES[token] in data for n in (9, 5, 1))]
        written += PIECES[rng.choice(copying or allowed or [0])]
    return written


texts = st.text("abc ", min_size=1, max_size=60)


common = st.sampled_from(["", "abcabc", "cab cab a"])


class Plain(Originals):
    """By looking for every part and every span in every other text, from the first to the last, whenever a text comes or goes."""

    def update(self, texts, limit):
        super().update([], 0)
        super().update(texts, limit)

    def _find_form(self, original):
        form = [False] * original.count
        others = [other.data for other in self._texts.values() if other is not original]
        for first in range(-1, original.count - PART + 1):
            part = original.span(max(first, 0), PART + min(first, 0))
            if any(other.startswith(part) if first < 0 else part in other for other in others):
                form[max(first, 0) : first + PART] = [True] * (first + PART - max(first, 0))
        return form

    def _own(self, original, first):
        count = self._limit + 1
        span = original.span(first, count)
        form = sum(self._find_form(original)[first : first + count])
        return 2 * form < count and sum(span in other.data for other in self._texts.values()) < 2


@given(
    st.lists(st.builds("{}{}{}".format, common, st.text("abc ", min_size=1, max_size=20), common), min_size=1, max_size=8, unique=True),
    st.lists(st.tuples(st.sets(st.integers(0, 7)), st.integers(0, 4)), min_size=1, max_size=6),
)
def test_texts_that_come_and_go_leave_what_all_anew_would_find(pool, updates):
    found, plain = Originals(PIECES, cut_anyhow), Plain(PIECES, cut_anyhow)
    for places, limit in updates:
        examples = [pool[place] for place in places if place < len(pool)]
        found.update(examples, limit)
        plain.update(examples, limit)
        for text, original in found._texts.items():
            for first in range(original.count - limit):
                assert found._own(original, first) == plain._own(plain._texts[text], first)
            assert found._form.get(original) in (None, plain._find_form(plain._texts[text]))
        assert sorted(found._early) == sorted(plain._early)
        for text in pool:
            written = text.encode()
            for end in range(len(written) + 1):
                assert found.forbidden(written[:end], [b"abc a"]) == plain.forbidden(written[:end], [b"abc a"])


def test_what_is_found_wherever_it_stands():
    index, one, two = Index(), Original(b"abcabca", [0, 3, 7]), Original(b" abcabca", [0, 8])
    index.add([one])
    index.add([two])
    assert index.find(b"abcabca") == index.find(b"bc") == {one, two}
    assert index.find(BEGINNING + b"abcabc") == {one}
    index.remove([one])
    assert index.find(b"abcabca") == {two} and index.find(BEGINNING + b"abcabc") == set()


def work(originals, texts):
    """The instructions of `core.worker.originals` that an update takes."""
    counted = 0

    def count(frame, event, _):
        nonlocal counted
        if frame.f_code.co_filename != module.__file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        counted += event == "opcode"
        return count

    sys.settrace(count)
    try:
        originals.update(texts, 8)
    finally:
        sys.settrace(None)
    return counted


def test_the_work_grows_with_the_texts_and_that_of_one_more_hardly_with_them():
    def unlike(number):
        return "".join(random.Random(number).choices("abc ", k=80))

    first, more = {}, {}
    for count in (20, 80):
        originals = Originals(PIECES, encode)
        first[count] = work(originals, [unlike(number) for number in range(count)])
        more[count] = work(originals, [unlike(number) for number in range(count + 1)])
    assert first[80] < 6 * first[20]  # four times the texts; looked for in every other one, eleven times the work
    assert more[80] < 2 * more[20]


@given(st.lists(texts, min_size=1, max_size=4, unique=True), st.integers(1, 5), st.integers(0, 1000))
def test_no_long_span_of_one_example_is_written(examples, limit, seed):
    originals = Originals(PIECES, encode)
    originals.update(examples, limit)
    for example in examples:
        written = copy_greedily(originals, example, [], seed)
        for text in examples:
            for span in spans(text, limit, examples):
                assert span not in written


def test_what_two_examples_share_and_what_is_free_may_be_written():
    form, limit = "abc cab abc", 3
    originals = Originals(PIECES, encode)
    originals.update([form + " b", form + " c", "ccc aaa bbb"], limit)
    written = b""
    for token in encode(form):
        assert token not in originals.forbidden(written)
        written += PIECES[token]
    alone = encode("ccc aaa bbb")
    written = b"".join(PIECES[token] for token in alone[:limit])
    assert alone[limit] in originals.forbidden(written)
    assert alone[limit] not in originals.forbidden(written, [b"x ccc aaa bbb x"])


def test_the_limit_can_be_lifted_and_examples_change():
    originals = Originals(PIECES, encode)
    originals.update(["ccc aaa"], 2)
    assert originals.forbidden(b"cc")
    originals.update(["ccc aaa"], 0)
    assert not originals.forbidden(b"cc")
    originals.update(["bbb"], 2)
    assert not originals.forbidden(b"cc")
    assert originals.forbidden(b"bb")


def test_a_value_that_only_one_example_has_does_not_make_the_form_around_it_a_copy():
    """A slot in a fixed sentence: around a value of its own the sentence is form; around as much text of its own it is not."""
    sentence = "{}a aab b cac {}a aab b c"
    originals = Originals(PIECES, encode)
    one = sentence.format("bb b", "ccc")
    others = [sentence.format("cc ", "aca"), sentence.format("cab", "aca")]
    for examples, form in (([one, *others], True), ([one, "b b b b b"], False)):
        originals.update(examples, 8)
        written = b""
        for token in encode(one):
            if token in originals.forbidden(written):
                break
            written += PIECES[token]
        assert (written == one.encode()) == form


@pytest.mark.parametrize(
    ("names", "pieces"),
    [
        (["a", "Ġ", "Ġcaf", "Ã©"], [b"a", b" ", b" caf", "é".encode()]),
        (["▁", "▁caf", "é", "<0xE2>", "Ġ"], [b" ", b" caf", "é".encode(), b"\xe2", "Ġ".encode()]),  # Gemma's, which has this letter too
    ],
)
def test_pieces_are_read_in_the_way_in_which_the_tokenizer_writes_spaces(names, pieces):
    words = {name: number for number, name in enumerate(["<|end|>", *names])}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab=words, merges=[])), eos_token="<|end|>")
    assert piece_bytes(tokenizer, len(words) + 1) == [b"", *pieces, b""]
