"""Texts from prompts, many at once: our own decode loop over the model's cache.

Each text draws from a generator of its own, so a batch's candidates differ by seed alone; finished rows leave the batch at once.
A batch sampled again with the same prompts, seeds, settings and adapter gives the same texts.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Protocol

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import DynamicLayer

from core.config import Sampling
from core.errors import FlavorError
from core.task import Segment
from core.text import clean
from core.worker.encoding import encode_prompt, encode_text
from core.worker.filters import NEVER, can_go_on, dry_penalties, end_bonus, guide, pick
from core.worker.originals import Originals, piece_bytes

LEAST = 4
"""Examples from which on their usual length means something."""
WINDOW = 8
"""Tokens in a row that make a part of a text."""
LEAST_SAVED = 64
"""Tokens that reading the beginning of all prompts once must save: the pass of its own costs as much as so many."""
SENTENCE_ENDS = (b".", b"!", b"?", b'"', b"'", b")", b"\n", b"\x9d", b"\xa6")
"""Last bytes of a finished sentence; the last two of a closing quote and an ellipsis in UTF-8."""
FULL_STOPS = (b".", b"!", b"?", "…".encode())
"""What closes a sentence."""
SURPRISED = 5.0
"""Nats below the likeliest token from which on another one would come as a surprise."""
HEADING = re.compile(r"\n[ \t]*(#+[ \t]?)")
"""Where a new heading has begun, and how: `# ` or `#`, as many as there are."""
LEAST_MARKED = 2
"""Examples that must have a line which begins as a heading does, or all where there are fewer: one of forty is a slip."""
BREAKERS = b'\n:"*'
"""llama.cpp's sequence breakers for DRY: form, not repetition."""


@dataclass(frozen=True)
class Text:
    """A finished text: the prompt's `index` in the batch, and whether it ended by itself (stop) or was cut off (length). What it begins with
    may be white space: it is for one that goes on with another."""

    index: int
    text: str
    finish: str
    tokens: int
    cut_at_heading: bool
    own: float
    """Mean log-probability of its tokens, the end token included, under the model itself, before penalties and filters; nats a token."""
    weakest: float
    """The least such mean of `WINDOW` tokens in a row."""


@dataclass(frozen=True)
class Tick:
    """One more token for every row that is still going; `first` seconds after the start came the first one."""

    first: float


@dataclass
class _Writing:
    """A text being written: its place in the batch, the tokens it may have, those it has, and what the filters look at."""

    row: int
    room: int
    tokens: list[int] = field(default_factory=list)
    breakers: list[bool] = field(default_factory=list)
    data: bytes = b""
    likelihoods: list[float] = field(default_factory=list)


class Reading(Protocol):
    """Texts as far as a model has read them."""

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Read one more token for every row; the logits after it (rows x vocabulary)."""

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only, in this order."""


class Decoder(Protocol):
    """Another way to read on than the model's own forward."""

    def read(self, cache: DynamicCache, mask: torch.Tensor) -> Reading:
        """Go on from what the model's own forward has read: `mask` (rows x positions) is 1 where a row has a token."""


class PlainReading:
    """By the model's own forward."""

    def __init__(self, model: PreTrainedModel, cache: DynamicCache, mask: torch.Tensor) -> None:
        """`mask` (rows x positions) is 1 where a row has a token, 0 where it is padded on the left."""
        self._model, self._cache, self._mask = model, cache, mask
        self._position = mask.sum(-1, keepdim=True)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], -1)
        out = self._model(
            input_ids=tokens.unsqueeze(-1), attention_mask=self._mask, position_ids=self._position, past_key_values=self._cache
        )
        self._position = self._position + 1
        logits: torch.Tensor = out.logits[:, -1]
        return logits

    def keep(self, rows: torch.Tensor) -> None:
        self._cache.reorder_cache(rows)  # which every kind of layer knows
        self._mask, self._position = self._mask[rows], self._position[rows]


def other_ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The other tokens by which the base ends what it writes: a chat model often has two (Gemma's `<end_of_turn>` beside `<eos>`), and writes the
    next turn after either. Only control tokens: where a folder does not say, transformers takes a number that may be any piece."""
    found = getattr(model.generation_config, "eos_token_id", None)
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}.union(tokenizer.all_special_ids)
    named = {found} if isinstance(found, int) else set(found or ())
    return sorted(named.intersection(special) - {tokenizer.eos_token_id})


def _learned_positions(model: PreTrainedModel) -> int:
    """How many positions there are, where each has a vector of its own as in GPT-2, so that the next one would be a fault; else 0: what turns
    by an angle reads on, if worse."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 0
    tables = [module for module in model.modules() if isinstance(module, torch.nn.Embedding) and module is not model.get_input_embeddings()]
    return positions if any(positions <= table.num_embeddings <= positions + 2 for table in tables) else 0  # OPT's has two before the first


class Sampler:
    """Samples from one model. Made once for a loaded base; holds what is known of its tokenizer, and the examples' texts."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, decoder: Decoder | None = None) -> None:
        """Without a `decoder` by the model's own forward."""
        self.model = model
        self.decoder = decoder
        self.tokenizer = tokenizer
        self.end = tokenizer.eos_token_id
        """What training teaches a text to end with."""
        self._other_ends = other_ends(model, tokenizer)
        self._pieces = piece_bytes(tokenizer, model.get_input_embeddings().weight.shape[0])
        self._positions = _learned_positions(model)
        self._originals = Originals(self._pieces, self._encode)
        self._usual_length = 0.0
        self._closing: list[int] = []
        self._marks: set[str] = set()
        """How lines of the examples begin that begin as a heading does: in this task these are none."""
        self._headings: set[str] = set()
        """Those that the prompts of a batch begin with: where one comes again the next text has begun, whatever lines the examples have."""
        self._learned: tuple[list[str], int] = ([], 0)

    def _encode(self, text: str) -> list[int]:
        return encode_text(self.tokenizer, text)

    def learn_examples(self, texts: list[str], settings: Sampling) -> None:
        """The examples as they are now: what may not be copied, how long texts are (their 90th percentile, in tokens), and with which tokens
        their last sentences end."""
        if (texts, settings.max_copied_tokens) == self._learned:
            return
        self._learned = (list(texts), settings.max_copied_tokens)
        self._originals.update(texts, settings.max_copied_tokens)
        marks = Counter(chain.from_iterable({_mark(found) for found in HEADING.finditer(text)} for text in texts))
        self._marks = {mark for mark, count in marks.items() if count >= min(len(texts), LEAST_MARKED)}
        encoded = [self._encode(text) for text in texts]
        lengths = sorted(map(len, encoded))
        last = {ids[-1] for ids in encoded if ids}
        self._closing = sorted(token for token in last if any(sign in self._pieces[token] for sign in FULL_STOPS))
        self._usual_length = lengths[min(len(lengths) - 1, int(0.9 * len(lengths)))] if len(lengths) >= LEAST else 0.0

    @torch.inference_mode()
    def sample(
        self,
        prompts: list[list[Segment]],
        seeds: list[int],
        settings: Sampling,
        free: Sequence[str] = (),
        without: Sequence[list[Segment]] = (),
    ) -> Iterator[Text | Tick]:
        """A `Tick` for every step of the batch and a `Text` for every prompt as it ends. To cancel, stop iterating.

        `free` are texts that may be copied from: what the person gave. `without` are the same prompts with other values, or none, which
        guidance leads away from: every text is then read twice, after either prompt.
        """
        began = time.perf_counter()
        device = self.model.device
        self._headings = _headings(prompts[0])
        allowed = [text.encode() for text in free]
        uniform = torch.stack([torch.rand(2, settings.max_tokens, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        guided = bool(without) and settings.guidance > 0
        asked = [encode_prompt(self.tokenizer, prompt)[0] for prompt in [*prompts, *(without if guided else ())]]
        rooms = [self._room(max(map(len, asked[row :: len(prompts)])), settings.max_tokens) for row in range(len(prompts))]
        logits, reading = self._read(asked)
        texts = [_Writing(row, room) for row, room in enumerate(rooms)]
        ends = [self.end, *self._other_ends]
        for step in range(settings.max_tokens):
            rows = [text.row for text in texts]
            own = logits[: len(texts)].to("cpu", torch.float32, copy=True)
            norms = own[:, 0] - own.log_softmax(-1)[:, 0]  # twice as fast as logsumexp
            if guided:
                scores = self._judge(guide(own, logits[len(texts) :].float().cpu(), settings), texts, step, settings, allowed)
                if stuck := (~can_go_on(scores)).nonzero().flatten().tolist():  # all that guidance left would be a copy: without it, then
                    scores[stuck] = self._judge(own[stuck], [texts[place] for place in stuck], step, settings, allowed)
            else:
                scores = self._judge(own, texts, step, settings, allowed)  # in place
            picked = pick(scores, settings, uniform[rows, 0, step], uniform[rows, 1, step], ends)
            likelihoods = logits[: len(texts)].gather(-1, picked.to(device).unsqueeze(-1)).squeeze(-1).float().cpu() - norms
            going = []
            for place, (text, token, likelihood) in enumerate(zip(texts, picked.tolist(), likelihoods.tolist(), strict=True)):
                if not math.isfinite(likelihood):
                    hint = "Choose a lower strength, another checkpoint, or another base."
                    raise FlavorError("What the model computes is no longer a number.", hint, "nan")
                text.likelihoods.append(likelihood)
                ended = self._write(text, token)
                if ended:
                    yield ended
                else:
                    going.append(place)
            yield Tick(time.perf_counter() - began)
            if not going:
                return
            if len(going) < len(texts):
                reading.keep(torch.tensor([*going, *(len(texts) + place for place in going if guided)], device=device))
                texts = [texts[place] for place in going]
                picked = picked[going]
            logits = reading.step(picked.to(device).repeat(1 + guided))

    def _room(self, prompt: int, most: int) -> int:
        """Tokens that a text may have after a prompt of so many. Raises FlavorError where the base has no position left for one."""
        if not self._positions:
            return most
        if prompt >= self._positions:
            hint = "Show fewer or shorter examples ([sampling] few_shot and shown), or choose a base that reads more."
            raise FlavorError(f"The prompt has {prompt} tokens, and the base reads {self._positions}.", hint, "length")
        return min(most, self._positions - prompt)

    def _read(self, prompts: list[list[int]]) -> tuple[torch.Tensor, Reading]:
        """Logits after each prompt, and how to go on. What all prompts begin with is read once, the rest padded on the left."""
        device = self.model.device
        cache = DynamicCache(config=self.model.config)
        shared = next((at for at, tokens in enumerate(zip(*prompts, strict=False)) if len(set(tokens)) > 1), min(map(len, prompts)) - 1)
        # The padding then lies between what is shared and the rest: a layer with a window, or with a state, would read it.
        if shared * (len(prompts) - 1) < LEAST_SAVED or any(type(layer) is not DynamicLayer for layer in cache.layers):
            shared = 0
        if shared:
            self.model(
                input_ids=torch.tensor([prompts[0][:shared]], device=device), past_key_values=cache, logits_to_keep=torch.tensor([0])
            )
            cache.batch_repeat_interleave(len(prompts))
        width = max(map(len, prompts)) - shared
        pads = [width - len(row) + shared for row in prompts]
        ids = torch.tensor([[self.end] * pad + row[shared:] for pad, row in zip(pads, prompts, strict=True)], device=device)
        mask = torch.tensor([[1] * shared + [0] * pad + [1] * (width - pad) for pad in pads], device=device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, shared:]
        # The last place by its index: a slice leaves a view, for which torch copies the output matrix once a row.
        last = torch.tensor([width - 1], device=device)
        out = self.model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=last)
        return out.logits[:, -1], self.decoder.read(cache, mask) if self.decoder else PlainReading(self.model, cache, mask)

    def _judge(self, logits: torch.Tensor, texts: list[_Writing], step: int, settings: Sampling, free: Sequence[bytes]) -> torch.Tensor:
        """The logits after everything that looks at what a text already says: DRY, the end ramp, anti-copy."""
        for place, text in enumerate(texts):
            penalties = dry_penalties(text.tokens, text.breakers, settings)
            if penalties:
                logits[place, list(penalties)] -= torch.tensor(list(penalties.values()))
            if bonus := end_bonus(step, self._usual_length, settings):
                logits[place, self._ends(logits[place], text)] += bonus
            forbidden = self._originals.forbidden(text.data, free)
            if forbidden:
                logits[place, list(forbidden)] = NEVER
        return logits

    def _ends(self, logits: torch.Tensor, text: _Writing) -> list[int]:
        """The tokens that bring a text nearer to its end: an end token after a sentence; after a word the signs that close one, where the
        model itself would not be surprised by them."""
        if text.data[-1:] in SENTENCE_ENDS:
            return [self.end, *self._other_ends]
        least = logits.max() - SURPRISED
        return [token for token in self._closing if text.data[-1:].isalnum() and logits[token] >= least]

    def _write(self, text: _Writing, token: int) -> Text | None:
        """Append a token; the finished text, where it ends with it."""
        if token == self.end or token in self._other_ends:
            return self._finish(text, "stop", self._cut(text.tokens, whole=True) if self._marks else None)
        piece = self._pieces[token]
        written = piece if not self._marks else text.data.rpartition(b"\n")[2] + piece  # a line may end within a piece
        text.tokens.append(token)
        text.breakers.append(any(byte in BREAKERS for byte in piece))
        text.data += piece
        if b"#" in written and (cut := self._cut(text.tokens)) is not None:
            return self._finish(text, "stop", cut)
        if len(text.tokens) < text.room:
            return None
        cut = self._cut(text.tokens, whole=True) if self._marks else None
        return self._finish(text, "length" if cut is None else "stop", cut)

    def _finish(self, text: _Writing, finish: str, cut: str | None = None) -> Text:
        content = (self._decode(text.tokens) if cut is None else cut).strip()
        if content:
            before = text.data[: len(text.data) - len(text.data.lstrip())].decode()  # of which a tokenizer's own decoder may leave out some
            content = clean(before) + content
        sums = [0.0, *accumulate(text.likelihoods)]
        width = min(WINDOW, len(text.likelihoods))
        weakest = min(end - start for start, end in zip(sums, sums[width:], strict=False)) / width
        return Text(text.row, content, finish, len(text.tokens), cut is not None, sums[-1] / len(text.likelihoods), weakest)

    def _decode(self, tokens: list[int]) -> str:
        return clean(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def _cut(self, tokens: list[int], whole: bool = False) -> str | None:
        """The text before a new heading, if one has begun: the task's next heading is an end as good as the end token. `whole`: nothing comes after
        these tokens."""
        text = self._decode(tokens)
        for found in HEADING.finditer(text):
            line, ended, _ = text[found.start(1) :].partition("\n")
            if self._marks and found.end() == len(text) and not whole:
                return None  # it may go on as a line of the examples does
            if _mark(found) not in self._marks or ((ended or whole) and line.strip() in self._headings):
                return text[: found.start()]
        return None


def _headings(prompt: Sequence[Segment]) -> set[str]:
    """The lines of a prompt that say, where they come again, that the next text has begun: the first, as of every example. A list of values, which is of
    one piece, has another one between them."""
    opening = prompt[0][0].split("\n")
    return {line.strip() for line in (opening if len(prompt) == 1 else opening[:1]) if line.startswith("#")}


def _mark(found: re.Match[str]) -> str:
    """How the line of a `HEADING` begins."""
    return found.group(1).replace("\t", " ")
