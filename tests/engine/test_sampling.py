"""Sampling: the same again from the record, ends where it should, shared beginnings, no copies."""

import itertools

import pytest
import torch
from transformers import AutoTokenizer, Gemma3TextConfig, GenerationConfig, GPT2Config, GPT2LMHeadModel, Lfm2Config

from core.config import Sampling
from core.errors import FlavorError
from core.protocol import Row
from core.worker.encoding import encode_row, encode_text
from core.worker.filters import pick
from core.worker.sampling import SURPRISED, Sampler, Text, Tick, _Writing
from tests.engine.conftest import load_engine, make_tiny

PROMPT = [("# Heading\n\n", 0.0)]


def sample(engine, seeds, tokens=24, prompt=PROMPT, **settings):
    engine._forms.sample(False, "")
    found = engine._sampler.sample([prompt] * len(seeds), list(seeds), Sampling(max_tokens=tokens, **settings))
    return {event.index: event for event in found if isinstance(event, Text)}


def test_a_batch_can_be_sampled_again(engine):
    one, two = sample(engine, range(6)), sample(engine, range(6))
    assert one == two
    assert len({text.text for text in one.values()}) == 6
    assert set(one) == set(range(6))


def test_texts_are_cut_at_the_limit(engine):
    texts = sample(engine, range(3), tokens=5)
    assert all(text.tokens <= 5 for text in texts.values())
    assert all(text.finish == "length" for text in texts.values() if text.tokens == 5)


def test_the_end_token_ends_a_text(engine):
    engine._sampler.end = engine._base.tokenizer.convert_tokens_to_ids("e")
    texts = sample(engine, range(12), tokens=400)
    ended = [text for text in texts.values() if text.finish == "stop"]
    assert len(ended) >= 6  # 79 % of them, were all tokens alike
    assert not any("e" in text.text for text in ended)


@pytest.mark.parametrize(("named", "ends"), [([1, 258], [258]), (258, [258]), ([1, 40], []), (None, [])])
def test_what_else_the_base_ends_with_ends_a_text(tmp_path, monkeypatch, named, ends):
    """As a chat model's folder says; a piece like any other is no end, whatever stands there."""
    folder = make_tiny(tmp_path / "tiny", vocabulary=264)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<end_of_turn>"]})
    tokenizer.save_pretrained(folder)
    GenerationConfig(eos_token_id=named).save_pretrained(folder)
    engine, _ = load_engine(folder, "none")
    sampler = engine._sampler
    assert sampler._other_ends == ends
    assert sampler._ends(torch.zeros(264), _Writing(0, 99, data=b"Dusk.")) == [1, *ends]
    fed = iter([*encode_text(tokenizer, "The keeper waits."), 258, *encode_text(tokenizer, "\nuser\nAnother"), 1])
    monkeypatch.setattr("core.worker.sampling.pick", lambda scores, settings, uniform, *_: torch.tensor([next(fed)] * len(uniform)))
    text = sample(engine, [1], 90)[0]
    assert (text.text, text.finish) == ("The keeper waits." if ends else "The keeper waits.\nuser\nAnother", "stop")


@pytest.mark.parametrize("written", ["A text.\n# Heading", "A text.\n\n  # Heading"])
def test_a_new_heading_ends_a_text(engine, monkeypatch, written):
    """The rows are fed a fixed text by a stand-in for the drawing of tokens, since an untrained model writes no headings."""
    ids = engine._base.tokenizer(written, add_special_tokens=False).input_ids
    fed = iter(ids)
    monkeypatch.setattr("core.worker.sampling.pick", lambda scores, settings, uniform, *_: torch.tensor([next(fed)] * len(uniform)))
    text = sample(engine, [1])[0]
    assert (text.text, text.finish, text.cut_at_heading) == ("A text.", "stop", True)


def test_beyond_the_usual_length_a_sentence_is_finished_and_then_the_text(engine):
    """In the middle of a sentence what examples' last sentences end with becomes likelier, after its end the end token."""
    sampler, settings = engine._sampler, Sampling(end_ramp=0.5)
    tokenizer = engine._base.tokenizer
    stop, mark = (tokenizer(sign, add_special_tokens=False).input_ids[-1] for sign in ".!")
    sampler.learn_examples(["one two.", "two three!", "three four.", "four five"], settings)
    begin = sampler._usual_length

    def gains(data, step):
        after = sampler._judge(torch.zeros(1, len(sampler._pieces)), [_Writing(0, 99, data=data)], step, settings, ())
        return {token: after[0, token].item() for token in after[0].nonzero().flatten().tolist()}

    assert gains(b"one two, three", int(begin) + 4) == {stop: 2.0, mark: 2.0}
    assert gains(b"one two.", int(begin) + 4) == {sampler.end: 2.0}
    assert gains(b"one two, three", int(begin)) == {}
    assert gains(b"one two, ", int(begin) + 4) == {}  # not after a comma
    scores = torch.zeros(1, len(sampler._pieces))
    scores[0, mark] = -2 * SURPRISED  # nor with a sign that nobody would expect
    after = sampler._judge(scores.clone(), [_Writing(0, 99, data=b"one two, three")], int(begin) + 4, settings, ()) - scores
    assert after[0].nonzero().flatten().tolist() == [stop]
    sampler.learn_examples(["one", "two", "three", "four"], settings)  # they end with nothing in particular
    assert gains(b"one two, three", 40) == {}
    assert list(gains(b"one two.", 40)) == [sampler.end]


def test_hash_inside_a_line_is_no_heading(engine, monkeypatch):
    ids = engine._base.tokenizer("room #4", add_special_tokens=False).input_ids
    fed = iter([*ids, engine._sampler.end])
    monkeypatch.setattr("core.worker.sampling.pick", lambda scores, settings, uniform, *_: torch.tensor([next(fed)] * len(uniform)))
    assert sample(engine, [1])[0].text == "room #4"


def feed(engine, monkeypatch, written):
    """Let texts be `written` and then end, whatever the model says."""
    fed = iter([*encode_text(engine._base.tokenizer, written), engine._sampler.end])
    monkeypatch.setattr("core.worker.sampling.pick", lambda scores, settings, uniform, *_: torch.tensor([next(fed)] * len(uniform)))


@pytest.mark.parametrize(
    ("example", "written", "text"),
    [
        ("Dawn.\n#fog #sea", "Dusk.\n#night\n# Heading", "Dusk.\n#night"),
        ("Dawn.\n#fog #sea", "Dusk.\n#night\n## Heading", "Dusk.\n#night"),
        ("Rooms:\n#1 a hall", "Rooms:\n#1 a well\n#2 a den", "Rooms:\n#1 a well\n#2 a den"),
        ("A feat.\n## Effect\nNone.", "A trick.\n## Effect\nSome.\n# Heading\nA", "A trick.\n## Effect\nSome."),
        ("A feat.\n## Effect\nNone.", "A trick.\n#night #fog", "A trick."),
        ("A feat.", "A trick.\n#night #fog", "A trick."),
        ("# Dawn\nFog.\n# Heading two\nRain.", "# Noon\nSun.\n# Heading four\nStars.", "# Noon\nSun.\n# Heading four\nStars."),
        ("# Dawn\nFog.\n# Dusk\nRain.", "# Noon\nSun.\n# Heading", "# Noon\nSun."),
        ("# Dawn\nFog.\n# Dusk\nRain.", "# Noon\nSun.\n# Night\nStars.\n\n# Heading\n\n## Attributes", "# Noon\nSun.\n# Night\nStars."),
    ],
)
def test_a_line_that_the_examples_have_is_no_new_heading(engine, monkeypatch, example, written, text):
    engine._sampler.learn_examples([example], Sampling())
    feed(engine, monkeypatch, written)
    found = sample(engine, [1], tokens=80)[0]
    assert (found.text, found.cut_at_heading) == (text, written != text)


@pytest.mark.parametrize(("having", "text"), [(1, "Rooms:"), (2, "Rooms:\n# 2 a den")])
def test_two_examples_of_many_make_the_form_and_one_does_not(engine, monkeypatch, having, text):
    engine._sampler.learn_examples(["A feat."] * 20 + ["Rooms:\n# 1 a hall"] * having, Sampling())
    feed(engine, monkeypatch, "Rooms:\n# 2 a den")
    assert sample(engine, [1], tokens=80)[0].text == text


def test_the_attributes_heading_is_a_line_of_a_text_whose_form_has_it(engine, monkeypatch):
    engine._sampler.learn_examples(["A feat.\n## Attributes\nStrong."], Sampling())
    feed(engine, monkeypatch, "A trick.\n## Attributes\nSly.")
    prompt = [("# Heading\n\n## Attributes\n\n", 0.0), ("Mood: calm\n", 0.2), ("\n## Description\n\n", 0.0)]
    assert sample(engine, [1], 80, prompt)[0].text == "A trick.\n## Attributes\nSly."


def test_a_heading_at_the_limit_is_cut_as_well(engine, monkeypatch):
    engine._sampler.learn_examples(["# Dawn\nFog.\n# Dusk\nRain."], Sampling())
    written = "# Noon\nSun.\n# Heading"
    feed(engine, monkeypatch, written + "s")
    text = sample(engine, [1], len(encode_text(engine._base.tokenizer, written)))[0]
    assert (text.text, text.finish, text.cut_at_heading) == ("# Noon\nSun.", "stop", True)


def test_the_attributes_heading_ends_a_text_as_well_as_the_first_one_does(engine, monkeypatch):
    """What is made up for attributes ends there, whatever lines the examples have."""
    engine._sampler.learn_examples(["A feat.\n## Effect\nNone."], Sampling())
    feed(engine, monkeypatch, " a well\nMood: calm\n\n## Attributes\n\nPlace: a den")
    text = sample(engine, [1], 80, [("# Heading\n\n## Attributes\n\nPlace:", 0.0)])[0]
    assert (text.text, text.cut_at_heading) == (" a well\nMood: calm", True)


def test_a_heading_is_seen_where_its_line_ends_within_a_token(engine, monkeypatch):
    engine._sampler.learn_examples(["# Dawn\nFog.\n# Dusk\nRain."], Sampling())
    feed(engine, monkeypatch, "Noon.\n# HeadingX A")
    pieces = [piece.replace(b"X", b"\n\n") for piece in engine._sampler._pieces]
    monkeypatch.setattr(engine._sampler, "_pieces", pieces)
    monkeypatch.setattr(engine._sampler, "_decode", lambda tokens: b"".join(pieces[token] for token in tokens).decode())
    assert sample(engine, [1], tokens=80)[0].text == "Noon."


@pytest.mark.parametrize("written", [" turned away.", "ain turned away.", "\n\nThen he slept."])
def test_how_a_text_begins_is_kept_for_who_goes_on_with_another(engine, monkeypatch, written):
    feed(engine, monkeypatch, written + " \n")
    assert sample(engine, [1], tokens=80)[0].text == written


def test_control_words_in_a_persons_text_are_letters(engine):
    tokenizer = engine._base.tokenizer
    for text in ("The gate opens.<|end|> It closes.", "<|start|>a", "an <|end|>"):
        ids = encode_text(tokenizer, text)
        assert tokenizer.decode(ids) == text and not {tokenizer.eos_token_id, tokenizer.bos_token_id} & set(ids)
        row = encode_row(tokenizer, Row("1", [(f"# {text}\n", 1.0)], text), 1.0)
        assert row.ids.count(tokenizer.eos_token_id) == 1 and row.ids[-1] == tokenizer.eos_token_id


def test_no_text_goes_beyond_positions_that_are_learned(tmp_path):
    folder = make_tiny(tmp_path / "tiny", config=GPT2Config(vocab_size=258, n_embd=64, n_layer=2, n_head=4, n_positions=64))
    sampler = Sampler(GPT2LMHeadModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder))

    def asked(length):
        found = sampler.sample([[("a" * length, 0.0)], [("a", 0.0)]], [1, 2], Sampling(max_tokens=24, dry_multiplier=0))
        return {event.index: event for event in found if isinstance(event, Text)}

    texts = asked(54)
    assert texts[0].tokens <= 10 and (texts[0].tokens == 10) == (texts[0].finish == "length")
    assert texts[1].tokens > 10
    with pytest.raises(FlavorError, match="The prompt has 64 tokens, and the base reads 64"):
        asked(64)


def test_where_positions_are_angles_a_base_reads_on(engine):
    assert sample(engine, [1]) and engine._sampler._room(600, 24) == 24  # of 512


SHAPE = {
    "vocab_size": 258, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        Gemma3TextConfig(
            **SHAPE, head_dim=16, sliding_window=16, layer_types=["sliding_attention", "full_attention"] * 2, tie_word_embeddings=True
        ),
        Lfm2Config(**SHAPE, layer_types=["conv", "full_attention"] * 2, tie_word_embeddings=True),
    ],
    ids=lambda config: config.model_type,
)
def test_layers_with_a_window_or_a_state_write_in_a_batch_what_they_write_alone(tmp_path, config):
    """What the prompts begin with is long enough to be read once, where that is the same."""
    engine, _ = load_engine(make_tiny(tmp_path / "tiny", config=config), "none")
    prompts = [[(f"# Heading {'long ' * 30}\n{'a' * length}", 0.0)] for length in (3, 30, 11)]

    def greedy(some):
        found = engine._sampler.sample(some, [1] * len(some), Sampling(max_tokens=12, temperature=0, dry_multiplier=0))
        return [text.text for text in sorted((event for event in found if isinstance(event, Text)), key=lambda text: text.index)]

    engine._forms.sample(False, "")
    assert greedy(prompts) == [text for prompt in prompts for text in greedy([prompt])]
    ends = engine._sampler.sample(prompts * 4, list(range(12)), Sampling(max_tokens=60))
    assert sum(isinstance(event, Text) for event in ends) == 12  # rows leave the batch one by one


def test_how_likely_a_text_was_is_the_models_own_view(engine, monkeypatch):
    """At temperature 0 the likeliest token is drawn, whatever the filters cut; a penalty that changes the draw is not in the numbers."""
    plain = sample(engine, [1], tokens=12, temperature=0, dry_multiplier=0, end_ramp=0)[0]
    assert sample(engine, [1], tokens=12, temperature=0, dry_multiplier=0, end_ramp=0, min_p=0.5, top_k=1)[0] == plain
    assert plain.weakest <= plain.own < 0
    ids = engine._base.tokenizer("# Heading\n\n" + plain.text, add_special_tokens=False).input_ids
    with torch.inference_mode():
        scores = engine._base.model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
    likely = [scores[place - 1, ids[place]].item() for place in range(len(ids) - 12, len(ids))]
    if len(ids) - 12 == len("# Heading\n\n"):  # the text is the bytes that were drawn, one a token
        assert plain.own == pytest.approx(sum(likely) / 12, abs=0.05)
    forced = itertools.cycle([5, 6])
    monkeypatch.setattr("core.worker.sampling.pick", lambda scores, settings, uniform, *_: torch.tensor([next(forced)] * len(uniform)))
    assert sample(engine, [1], tokens=12)[0].own < plain.own  # what the model did not want


def test_sampling_stops_when_iteration_stops(engine):
    engine._forms.sample(False, "")
    events = engine._sampler.sample([PROMPT] * 2, [1, 2], Sampling(max_tokens=400))
    assert isinstance(next(event for event in events if isinstance(event, Tick)), Tick)
    events.close()
    assert next(events, None) is None


def greedy(engine, prompts, **settings):
    engine._forms.sample(False, "")
    events = engine._sampler.sample(prompts, list(range(len(prompts))), Sampling(max_tokens=12, temperature=0, **settings))
    return {event.index: event.text for event in events if isinstance(event, Text)}


def test_a_shared_beginning_read_once_changes_nothing(engine):
    beginning = [("The examples that all prompts of this batch begin with, long enough.\n\n", 0.0)]
    prompts = [[*beginning, (tail, 0.0)] for tail in ("# One\n\n", "# Another, longer one\n\n", "# 3\n\n")]
    together = greedy(engine, prompts)
    assert together == {place: greedy(engine, [prompt])[0] for place, prompt in enumerate(prompts)}


def test_guidance_reads_every_text_after_either_prompt(engine, monkeypatch):
    """Guided away from its own prompt a text is what it is unguided; away from another's, what the difference of the two wants. Texts
    that end before others take both of their rows along."""
    monkeypatch.setattr("core.worker.products.DENSE_ROWS", 10**9)
    engine._sampler.decoder = None  # these two round a row alike, whatever rows are beside it
    engine._forms.sample(False, "")
    prompts = [[(f"# {heading}\n\n", 0.0)] for heading in ("One", "Another, longer one", "3", "Four", "Fifth")]
    others = [*prompts[1:], prompts[0]]
    engine._sampler.end = engine._base.tokenizer.convert_tokens_to_ids("e")

    def write(places, without, **settings):
        some, settings = [prompts[at] for at in places], Sampling(max_tokens=60, dry_multiplier=0, **settings)
        events = engine._sampler.sample(some, list(places), settings, without=without)
        return [text for _, text in sorted((event.index, event.text) for event in events if isinstance(event, Text))]

    def begin(texts):  # later another number of rows, rounded otherwise, may draw another byte
        return [text[:20] for text in texts]

    unguided = write(range(5), [])
    assert len({len(text) for text in unguided}) > 1
    assert begin(write(range(5), prompts, guidance=1.0)) == begin(unguided)
    led = write(range(5), others, guidance=3.0, min_p=0.0)
    assert led != unguided
    alone = [write([at], [others[at]], guidance=3.0, min_p=0.0)[0] for at in range(5)]
    assert begin(led) == begin(alone)


def test_what_the_model_would_copy_is_not_written(engine, monkeypatch):
    """The model, by a stand-in for its logits, wants to write one text; made an example, it is followed for eight tokens at most."""
    text = "A tower that looks at itself"
    ids = engine._base.tokenizer(text, add_special_tokens=False).input_ids

    def wants_the_text(logits, texts, *rest):
        for place, writing in enumerate(texts):
            logits[place, ids[len(writing.tokens) % len(ids)]] = 1e4
        return judge(logits, texts, *rest)

    judge = engine._sampler._judge
    monkeypatch.setattr(engine._sampler, "_judge", wants_the_text)
    assert greedy(engine, [PROMPT])[0] == text[:12]  # bytes are tokens here
    engine._sampler.learn_examples([text], Sampling())
    other = greedy(engine, [PROMPT])[0]
    assert other[:8] == text[:8] and other[8:9] != text[8]
    engine._sampler.learn_examples([text, "x" + text], Sampling())  # what two have is the form of the task
    assert greedy(engine, [PROMPT])[0] == text[:12]
    engine._sampler.learn_examples([text], Sampling(max_copied_tokens=0))
    assert greedy(engine, [PROMPT])[0] == text[:12]


def test_a_copy_that_is_all_guidance_leaves_gives_way_to_what_the_model_wants_without_it(engine, monkeypatch):
    """A row known by heart: min-p keeps one token after its prompt, and that one may not come. The text goes on with another, unguided."""
    text = "A tower that looks at itself"
    ids = engine._base.tokenizer(text, add_special_tokens=False).input_ids
    sampler = engine._sampler
    sampler.learn_examples([text], Sampling())

    class ByHeart:
        """Reads on in the text, of which it is sure."""

        def __init__(self, rows):
            self.rows, self.place = rows, 0

        def logits(self):
            scores = torch.randn(self.rows, len(sampler._pieces), generator=torch.Generator().manual_seed(self.place))
            scores[:, :2], scores[:, ids[self.place]] = -50.0, 50.0
            return scores

        def step(self, tokens):
            self.place += 1
            return self.logits()

    def read(prompts):
        reading = ByHeart(len(prompts))
        return reading.logits(), reading

    def recorded(*args):
        picked.append(pick(*args).tolist())
        return torch.tensor(picked[-1])

    picked = []
    monkeypatch.setattr(sampler, "_read", read)
    monkeypatch.setattr("core.worker.sampling.pick", recorded)
    for temperature in (0.0, 1.0):
        settings = Sampling(max_tokens=12, guidance=1.0, temperature=temperature)
        picked.clear()
        list(sampler.sample([PROMPT] * 2, [1, 2], settings, without=[PROMPT] * 2))
        assert [tokens[0] for tokens in picked[:8]] == ids[:8] and len(picked) == 12
        assert not {0, sampler.end, ids[8]} & set(picked[8])
