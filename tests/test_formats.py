"""What other tools write is read: pandas, pyarrow and `datasets` write it here; Kiln, Argilla and Prodigy files follow their documented forms."""

import json

import pytest

from core import tables
from core.errors import FlavorError
from core.task import Field, Task
from dataset.importing import Choice, read, read_data
from dataset.pairs import find_pairs, labelled
from dataset.rounds import rounds
from tui.session.intake import bring, import_files, look, look_at_text

SOUP = ("Soup of the day before.", {"Mood": "Grim", "Price": "2"})
PIE = ("A pie with a past.", {"Mood": "Calm"})


def rows(reading):
    assert not reading.faults, reading.faults
    return [(row.text, row.fields) for row in reading.rows]


def write_json(path, *objects):
    path.write_text("".join(json.dumps(one) + "\n" for one in objects))
    return str(path)


def test_prompt_forms(tmp_path, task):
    prompt = task.prompt(SOUP[1])
    for name, row in {
        "prompt and completion": {"prompt": prompt, "completion": SOUP[0]},
        "conversational": {"prompt": [{"role": "user", "content": prompt}], "completion": [{"role": "assistant", "content": SOUP[0]}]},
        "raw": {"text": prompt + SOUP[0] + "\n"},
        "raw, written on Windows": {"text": (prompt + SOUP[0]).replace("\n", "\r\n")},
        "prompt and completion, written on Windows": {"prompt": prompt.replace("\n", "\r\n"), "completion": SOUP[0]},
        "a prompt beside a text": {"prompt": prompt, "response": SOUP[0]},
        "a prompt beside a text that holds one": {"prompt": prompt, "text": prompt + SOUP[0]},
        "openai": {
            "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": prompt}, {"role": "assistant", "content": SOUP[0]}]
        },
        "sharegpt": {"conversations": [{"from": "human", "value": prompt}, {"from": "gpt", "value": SOUP[0]}]},
        "alpaca": {"instruction": prompt, "input": "", "output": SOUP[0]},
        "alpaca, by name": {"instruction": "Write a dish.", "input": "", "output": SOUP[0], "mood": "grim", "price": 2.0},
        "ours": {"text": SOUP[0], "fields": SOUP[1]},
    }.items():
        assert rows(read(write_json(tmp_path / "x.jsonl", row), task)) == [SOUP], name


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        ({"messages": [{"role": "assistant", "content": "One."}, {"role": "assistant", "content": "Two."}], "text": "<s>One. Two."}, ["One.", "Two."]),
        ({"messages": [{"role": "assistant", "content": "One."}], "description": "Of a dish."}, ["One."]),
        ({"instruction": "A dish.", "input": "", "output": "One.", "text": "### Response: One."}, ["One."]),
        ({"input": '{"text": "A dish."}', "output": {"output": "One."}}, ["One."]),
        ({"prompt": "", "chosen": "One.", "rejected": "None.", "text": "<s>One."}, ["One."]),
    ],
)  # fmt: skip
def test_the_text_that_a_form_names_counts_more_than_a_column_called_text(tmp_path, task, row, texts):
    assert [row.text for row in read(write_json(tmp_path / "x.jsonl", row), task).rows] == texts


def test_an_attribute_that_is_called_as_the_text_of_a_form_is_not_it(tmp_path):
    task = Task("Dish", fields=(Field("Instruction"), Field("Output")))
    row = {"text": "Soup.", "instruction": "Stir", "output": "One bowl"}
    assert rows(read(write_json(tmp_path / "x.jsonl", row), task)) == [("Soup.", {"Instruction": "Stir", "Output": "One bowl"})]


def test_prompts_before_plain_texts_are_no_text(tmp_path, task):
    (tmp_path / "x.txt").write_text("\n\n---\n\n".join(task.prompt(fields) + text for text, fields in (SOUP, PIE)))
    assert rows(read(str(tmp_path / "x.txt"), task)) == [SOUP, PIE]
    (tmp_path / "x.txt").write_text("# Tiny Tavern Menu\n\n## Attributes\n\nMood Grim\n\n---\n\nPie.")
    (fault,) = read(str(tmp_path / "x.txt"), task).faults
    assert "line 1: its prompt is not in the heading form" in str(fault)


@pytest.mark.parametrize("after", ["", "\n\n# Tiny Tavern Menu\n\nPie.\n"])
def test_prompts_that_blank_lines_would_part_are_refused_in_plain_texts(tmp_path, task, after):
    """They look like texts of their own, and where a text ends nobody can tell."""
    text = f"Stew.\n\n#  Tiny Tavern Menu\n\n## Attributes\n\nMood: Grim\n\n## Description\n\nSoup.{after}"
    (tmp_path / "x.txt").write_text(text)
    (fault,) = read(str(tmp_path / "x.txt"), task).faults
    assert "x.txt, line 3: '# Tiny Tavern Menu', and blank lines part texts here. Read it with --format md" in str(fault)
    (tmp_path / "x.txt").write_text(text.replace("#  Tiny Tavern Menu", "# Old Heading"))
    (fault,) = read(str(tmp_path / "x.txt"), task).faults
    assert "line 5: '## Attributes'" in str(fault)
    (tmp_path / "x.txt").write_text(text.partition("Stew.")[2])
    assert rows(read(str(tmp_path / "x.txt"), task, Choice(form="md")))[0] == ("Soup.", {"Mood": "Grim"})


def test_a_prompt_beside_a_text_that_is_another_one_refuses_nothing(tmp_path, task):
    for prompt in ("# Tiny Tavern Menu\nWrite a dish.\n# Rules\nbe short", "# Tiny Tavern Menu\n\n## Attributes\n\nColour: red"):
        reading = read(write_json(tmp_path / "x.jsonl", {"text": "Soup.", "prompt": prompt}), task)
        assert rows(reading) == [("Soup.", {})] and reading.prompts == 1 and reading.unused == ["prompt"]
        assert read(write_json(tmp_path / "x.jsonl", {"completion": "Soup.", "prompt": prompt}), task).faults


def test_attributes_that_a_task_without_any_does_not_have_are_named(tmp_path):
    (tmp_path / "x.md").write_text("# Dish\n\n## Attributes\n\nMood: Grim\n\n## Description\n\nSoup.\n")
    (fault,) = read(str(tmp_path / "x.md"), Task("Dish")).faults
    assert "no field 'Mood'" in str(fault)


def test_all_of_a_list_is_a_value_or_is_refused(tmp_path, task):
    assert rows(read(write_json(tmp_path / "x.jsonl", {"text": "Soup.", "Cook": ["An owl", "a cat"], "Mood": ["grim"]}), task)) == [
        ("Soup.", {"Mood": "Grim", "Cook": "An owl, a cat"})
    ]
    (fault,) = read(write_json(tmp_path / "y.jsonl", {"text": "Soup.", "Mood": ["Grim", "Calm"]}), task).faults
    assert "Mood cannot be 'Grim, Calm'" in str(fault)


def test_turns_of_preferences(tmp_path, task):
    asked, answer = {"role": "user", "content": task.prompt(SOUP[1])}, {"role": "assistant", "content": SOUP[0]}
    worse = {"role": "assistant", "content": "Bad soup."}
    within = read(write_json(tmp_path / "x.jsonl", {"chosen": [asked, answer], "rejected": [asked, worse]}), task)
    assert rows(within) == [SOUP] and within.rows[0].before == "Bad soup."
    labelled = [{"prompt": [asked], "completion": [answer], "label": label} for label in (True, 0.0)]
    kto = read(write_json(tmp_path / "y.jsonl", *labelled), task)
    assert rows(kto) == [SOUP, SOUP] and [row.rejected for row in kto.rows] == [False, True]


def test_only_columns_that_nothing_was_taken_from_are_not_used(tmp_path, task):
    prompt = task.prompt(SOUP[1])
    for row, unused in (
        ({"prompt": prompt, "completion": "Soup."}, []),
        ({"prompt": prompt, "chosen": "Soup.", "rejected": "Bad."}, []),
        ({"prompt": prompt, "completion": "Soup.", "label": True}, []),
        ({"prompt": "A dish?", "completion": "Soup."}, ["prompt"]),
        ({"prompt": "A dish?", "text": "Soup."}, ["prompt"]),
    ):
        reading = read(write_json(tmp_path / "x.jsonl", row), task)
        assert reading.unused == unused and reading.prompts == len(unused)
    assert read(write_json(tmp_path / "x.jsonl", {"text": "Soup."}, {"story": "Pie.", "Mood": "Calm"}), task).unused == []


def test_what_comes_without_a_name_is_decoded_whatever_its_form(task):
    for form in ("csv", "tsv", "json", "txt"):
        with pytest.raises(FlavorError, match="standard input is not UTF-8 at byte 8"):
            read_data("text\ncaf\xe9\n".encode("latin-1"), "standard input", task, Choice(form=form))
    with pytest.raises(FlavorError, match="Parquet is none"):
        read_data(b"PAR1", "standard input", task, Choice(form="parquet"))


@pytest.mark.parametrize(
    "raw",
    [
        "# Tiny Tavern Menu\n\n## Attributes\n\nMood: Grim\n\nPrice: 2\n\n## Description\n\nSoup of the day before.",
        "# Tiny Tavern Menu\n\n## Attributes\n\nMood: Grim\nPrice: 2\n\n## Text\n\nSoup of the day before.",
        "# Tiny Tavern Menu\n##  Attributes\n \nMood: Grim\nPrice: 2\n##\tDescription\nSoup of the day before.\n",
    ],
)
def test_prompts_as_a_person_writes_them_are_taken_apart(tmp_path, task, raw):
    assert rows(read(write_json(tmp_path / "x.jsonl", {"text": raw}), task)) == [SOUP]
    assert rows(read(write_json(tmp_path / "x.jsonl", {"what": raw}), task, Choice(text="what"))) == [SOUP]
    beside = {"text": raw, "Cook": "An owl"}
    assert rows(read(write_json(tmp_path / "x.jsonl", beside), task)) == [(SOUP[0], {**SOUP[1], "Cook": "An owl"})]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("Mood Grim\n\n## Description\n\nSoup.", "not in the heading form"),
        ("Mood: Grim\n\nSoup.", "not in the heading form"),
        ("Mood: Grim\nMood: Calm\n\n## Description\n\nSoup.", "names an attribute twice"),
        ("Mood: Grim\n\n## Description\n", "The text is empty"),
        ("Mood: Grim\n", "The text is empty"),
    ],
)
def test_attributes_that_are_not_written_as_such_are_no_text(tmp_path, task, attributes, said):
    raw = "# Tiny Tavern Menu\n\n## Attributes\n\n" + attributes
    reading = read(write_json(tmp_path / "x.jsonl", {"text": raw}), task)
    assert not reading.rows and said in str(reading.faults[0])


def test_a_heading_with_nothing_behind_it_is_a_text_whatever_lines_follow(tmp_path, task):
    for end in ("", "\n", "\n\n \n"):
        assert rows(read(write_json(tmp_path / "x.jsonl", {"text": f"# Tiny Tavern Menu{end}"}), task)) == [("# Tiny Tavern Menu", {})]


def test_every_answer_of_a_chat_is_a_text(tmp_path, task):
    said = [("human", "One dish."), ("gpt", "Soup."), ("human", "And another."), ("gpt", "Pie.")]
    source = write_json(tmp_path / "x.jsonl", {"conversations": [{"from": who, "value": what} for who, what in said]})
    reading = read(source, task)
    assert [row.text for row in reading.rows] == ["Soup.", "Pie."] and reading.prompts == 2
    mapped = read(source, task, Choice(fields={"Cook": "prompt"}))
    assert [row.fields for row in mapped.rows] == [{"Cook": "One dish."}, {"Cook": "And another."}] and not mapped.prompts


def test_json_arrays_and_objects_one_after_the_other(tmp_path, task):
    objects = [{"text": SOUP[0], "fields": SOUP[1]}, {"text": PIE[0], "Mood": "Calm", "extra": 1}]
    for text in (json.dumps(objects, indent=2), "\n".join(map(json.dumps, objects)), "".join(json.dumps(one, indent=1) for one in objects)):
        (tmp_path / "x.json").write_text(text)
        assert rows(read(str(tmp_path / "x.json"), task)) == [SOUP, PIE]
    for text, said in [
        ("[1]", "line 1"),
        ('[{"text": "a"}\n{"text": "b"}]', "no comma"),
        ('[{"text": "a"}\n', "no comma"),
        ('[{"text": "a"}] 1', "more follows"),
        ('[{"text": "a"},\n', "does not end"),
    ]:
        (tmp_path / "x.json").write_text(text)
        (fault,) = read(str(tmp_path / "x.json"), task).faults
        assert said in str(fault)


def test_what_pandas_writes(tmp_path, task):
    import pandas

    table = pandas.DataFrame({"Dish": [SOUP[0], PIE[0]], "mood": ["grim", "Calm"], "price": [2.0, None], "id": [7, 8]})
    table.to_csv(tmp_path / "x.csv", index=False)
    table.to_csv(tmp_path / "semicolons.csv", index=False, sep=";")
    table.to_csv(tmp_path / "x.tsv", index=False, sep="\t")
    table.to_parquet(tmp_path / "x.parquet")
    table.to_json(tmp_path / "x.jsonl", orient="records", lines=True)
    table.to_json(tmp_path / "x.json", orient="records")
    for name in ("x.csv", "semicolons.csv", "x.tsv", "x.parquet", "x.jsonl", "x.json"):
        reading = read(str(tmp_path / name), task, Choice(text="Dish"))
        assert rows(reading) == [SOUP, PIE], name
        assert reading.unused == ["id"]
        asked = read(str(tmp_path / name), task).faults[0]
        assert asked.kind == "columns" and "Dish, mood, price, id" in str(asked) and "--text COLUMN" in str(asked)


def test_what_datasets_saves(tmp_path, task):
    from datasets import Dataset, DatasetDict

    both = DatasetDict(
        {"test": Dataset.from_list([{"text": PIE[0], "Mood": "Calm"}]), "train": Dataset.from_list([{"text": SOUP[0], "Mood": "Grim"}])}
    )
    both.save_to_disk(tmp_path / "both")
    both["train"].save_to_disk(tmp_path / "one")
    both["train"].to_parquet(tmp_path / "hub/data/train-00000-of-00001.parquet")
    both["test"].to_json(tmp_path / "hub/data/test.jsonl")
    (tmp_path / "hub/README.md").write_text("# A card\n")
    assert [row.text for row in read(str(tmp_path / "both"), task).rows] == [SOUP[0], PIE[0]]
    assert [row.text for row in read(str(tmp_path / "both"), task, Choice(split="test")).rows] == [PIE[0]]
    assert [row.text for row in read(str(tmp_path / "one"), task).rows] == [SOUP[0]]
    assert [row.text for row in read(str(tmp_path / "hub"), task).rows] == [PIE[0], SOUP[0]]
    assert [row.text for row in read(str(tmp_path / "hub"), task, Choice(split="train")).rows] == [SOUP[0]]
    with pytest.raises(FlavorError, match="no split 'dev'"):
        read(str(tmp_path / "both"), task, Choice(split="dev"))


def kiln_run(folder, number, text, **more):
    run = {
        "v": 1, "id": str(number), "created_at": "2026-01-01T00:00:00", "created_by": "someone", "model_type": "task_run", "input": '{"Mood": "Grim"}',
        "output": {"v": 1, "output": text, "source": {"type": "synthetic", "properties": {"model_name": "m"}}, "rating": None}, "tags": ["a"],
    }  # fmt: skip
    run["output"]["rating"] = more.pop("rating", None)
    where = folder / f"tasks/1 - dishes/runs/{number}"
    where.mkdir(parents=True)
    (where / "task_run.kiln").write_text(json.dumps(run | more, indent=2))


def test_a_kiln_project(tmp_path, session):
    stars = lambda value: {"v": 1, "type": "five_star", "value": value}  # noqa: E731
    kiln_run(tmp_path, 1, "A soup of five stars.", rating=stars(5.0))
    kiln_run(tmp_path, 2, "A soup of one star.", rating=stars(1.0))
    kiln_run(tmp_path, 3, "A soup, broken", repair_instructions="End it.", repaired_output={"output": "A soup, mended.", "rating": None})
    (tmp_path / "project.kiln").write_text('{"model_type": "project", "name": "x"}')
    bring(session, look(session, [str(tmp_path)]))
    assert {(row.text, tuple(row.fields.items())) for row in session.store.examples.values()} == {
        ("A soup of five stars.", (("Mood", "Grim"),)),
        ("A soup, mended.", (("Mood", "Grim"),)),
    }
    pairs = {(pair.origin, pair.chosen, pair.rejected) for pair in find_pairs(session.store, session.task)}
    assert ("edit", "A soup, mended.", "A soup, broken") in pairs
    assert ("written", "A soup of five stars.", "A soup of one star.") in pairs


ARGILLA = [
    {
        "id": "1", "status": "completed", "_server_id": "a1", "fields": {"dish": "A draft of soup."}, "metadata": {"Price": 2}, "vectors": {},
        "suggestions": {"Mood": {"value": "Calm", "score": 0.4, "agent": "m"}},
        "responses": {"dish": [{"value": SOUP[0], "user_id": "u", "status": "submitted"}], "Mood": [{"value": "Grim", "user_id": "u", "status": "submitted"}]},
    },
    {
        "id": "2", "status": "completed", "_server_id": "a2", "fields": {"dish": "Spam."}, "metadata": {}, "vectors": {}, "suggestions": {},
        "responses": {"dish": [{"value": "Spam.", "user_id": "u", "status": "discarded"}], "Mood": [{"value": "Calm", "user_id": "u", "status": "discarded"}]},
    },
]  # fmt: skip


def test_argilla(tmp_path, task):
    """Its own JSON; and its flat form as `datasets` carries it."""
    from datasets import Dataset

    (tmp_path / "records.json").write_text(json.dumps(ARGILLA))
    flat = {
        "id": ["1", "2"], "status": ["completed"] * 2, "_server_id": ["a1", "a2"], "dish": ["A draft of soup.", "Spam."], "Price": [2, None],
        "dish.responses": [[SOUP[0]], ["Spam."]], "dish.responses.users": [["u"], ["u"]], "dish.responses.status": [["submitted"], ["discarded"]],
        "Mood.responses": [["Grim"], ["Calm"]], "Mood.responses.users": [["u"], ["u"]], "Mood.responses.status": [["submitted"], ["discarded"]],
        "Mood.suggestion": ["Calm", None], "Mood.suggestion.score": [0.4, None], "Mood.suggestion.agent": ["m", None],
    }  # fmt: skip
    Dataset.from_dict(flat).save_to_disk(tmp_path / "flat")
    for source in ("records.json", "flat"):
        reading = read(str(tmp_path / source), task, Choice(text="dish.responses"))
        assert rows(reading) == [SOUP] and reading.ignored == 1
    assert rows(read(str(tmp_path / "flat"), task, Choice(text="dish", fields={"Mood": "", "Price": ""}))) == [("A draft of soup.", {})]
    renamed = json.dumps(ARGILLA).replace("dish", "text")
    assert rows(read_data(renamed.encode(), "x", task)) == [SOUP]  # what people answered counts more than the draft


@pytest.mark.parametrize("nobody", [None, []])
def test_an_argilla_question_that_nobody_answered_leaves_the_draft(tmp_path, task, nobody):
    draft = {"text": "A draft.", "Mood": "calm", "text.responses": nobody, "Mood.responses": nobody, "text.responses.status": nobody}
    answered = {**draft, "text.responses": [SOUP[0]], "Mood.responses": ["Grim", "Calm"], "text.responses.status": ["submitted"]}
    reading = read(write_json(tmp_path / "x.jsonl", answered, draft), task)
    assert rows(reading) == [(SOUP[0], {"Mood": "Grim"}), ("A draft.", {"Mood": "Calm"})] and not reading.unused


def test_prodigy_keeps_what_was_decided(tmp_path, session):
    task = lambda text, answer, **meta: {"text": text, "meta": meta, "_input_hash": 1, "_task_hash": 2, "answer": answer}  # noqa: E731
    write_json(tmp_path / "x.jsonl", task("Kept soup.", "accept", Mood="Calm"), task("Thrown soup.", "reject"), task("Odd soup.", "ignore"))
    preview = look(session, [str(tmp_path / "x.jsonl")])
    assert preview.counts() == "1 example, 1 rejected text, 1 ignored, as their tool says (Prodigy)"
    bring(session, preview)
    assert [(row.text, row.fields) for row in session.store.examples.values()] == [("Kept soup.", {"Mood": "Calm"})]
    assert [(text, wanted) for _, text, wanted in labelled(session.store, session.task)] == [("Kept soup.", True), ("Thrown soup.", False)]
    assert session.status()["rejected"] == 0 and not session.store.pending  # nothing was decided here
    assert not rounds(session.store.decisions.values())  # no checkpoint of ours wrote them
    (thrown,) = session.store.candidates
    taken = session.store.examples[session.decide(thrown, "accept").example]
    assert (taken.text, taken.origin, taken.depth) == ("Thrown soup.", "imported", 0)
    assert all(wanted for _, _, wanted in labelled(session.store, session.task)) and not rounds(session.store.decisions.values())
    for _ in range(2):
        session.undo()
    assert not session.ranking.held
    assert not session.store.examples and not session.store.candidates and not session.store.decisions


def test_preferences_are_read_again(tmp_path, session):
    prompt = session.task.prompt({"Mood": "Grim"})
    write_json(
        tmp_path / "x.jsonl",
        {"prompt": prompt, "chosen": "Good soup.", "rejected": "Bad soup."},
        {"prompt": prompt, "completion": "Other soup.", "label": True},
        {"prompt": prompt, "completion": "No soup.", "label": False},
    )
    bring(session, look(session, [str(tmp_path / "x.jsonl")]))
    assert [row.text for row in session.store.examples.values()] == ["Good soup.", "Other soup."]
    assert all(row.fields == {"Mood": "Grim"} for row in session.store.examples.values())
    assert ("Good soup.", "Bad soup.") in {(pair.chosen, pair.rejected) for pair in find_pairs(session.store, session.task)}


def test_from_the_clipboard(session):
    def texts(pasted):
        return [row.text for row in look_at_text(session, pasted).rows]

    assert texts("One.\n\nTwo.") == ["One.", "Two."]
    assert texts("text\tMood\nOne.\tCalm\nTwo.\tGrim") == ["One.", "Two."]
    assert texts('{"text": "One."}\n{"text": "Two."}') == ["One.", "Two."]
    assert texts("# Tiny Tavern Menu\n\nOne.\n\n# Tiny Tavern Menu\n\nTwo.") == ["One.", "Two."]


def test_a_mark_between_texts(tmp_path, task):
    (tmp_path / "x.txt").write_text("One\n\nstill one\n%%\nTwo\n---\nstill two")
    assert [row.text for row in read(str(tmp_path / "x.txt"), task, Choice(mark="%%")).rows] == ["One\n\nstill one", "Two\n---\nstill two"]


def test_near_duplicates_are_shown_and_can_be_left_out(tmp_path, session):
    old = "The soup is made of old regrets and a spoon of salt."
    session.write_example(old, {})
    (tmp_path / "x.txt").write_text(f"{old.upper()}\n\n{old} Twice.\n\nA pie.\n\nA pie.\n\nSomething else altogether.")
    preview = look(session, [str(tmp_path / "x.txt")])
    assert [(twin.row, bool(twin.of), twin.first, twin.same) for twin in preview.twins] == [
        (0, True, None, True),
        (1, True, None, False),
        (3, False, 2, True),
    ]
    assert preview.twins_line() == "3 near-duplicates (2 of examples that are here, 1 of other rows, 2 word for word)"
    bring(session, preview, skip_twins=True)
    assert [row.text for row in session.store.examples.values()] == [old, "A pie.", "Something else altogether."]


def test_what_was_rejected_makes_nothing_that_is_wanted_a_duplicate(tmp_path, session):
    draft, better = "The soup is made of old regrets and a spoon of salt.", "The soup is made of old regrets and a spoon of ash."
    kept = {"prompt": "", "completion": better, "label": True}
    thrown = [{"prompt": "", "completion": text, "label": False} for text in (draft, f"{draft} Again.", f"{better} Worse.")]
    write_json(tmp_path / "x.jsonl", thrown[0], kept, *thrown[1:], kept)
    preview = look(session, [str(tmp_path / "x.jsonl")])
    assert [(twin.row, twin.first, twin.same) for twin in preview.twins] == [(2, 0, False), (3, 0, False), (4, 1, True)]
    assert preview.twins_line() == "3 near-duplicates (3 of other rows, 1 word for word)"
    bring(session, preview, skip_twins=True)
    assert [row.text for row in session.store.examples.values()] == [better]
    assert [row.text for row in session.store.candidates.values()] == [draft]
    assert not look(session, [write_json(tmp_path / "y.jsonl", thrown[0])]).twins  # nor is it one of an example


def test_a_choice_that_says_nothing_of_what_is_read_is_refused(tmp_path, session):
    (tmp_path / "a.txt").write_text("One.\n\nTwo.")
    source = write_json(tmp_path / "b.jsonl", {"text": "Three."})
    for choice, sources, said in [
        (Choice(text="body"), ["a.txt"], "--text says nothing of"), (Choice(fields={"Mood": "xyz"}), ["a.txt"], "--field says nothing of"),
        (Choice(split="nope"), ["b.jsonl"], "--split says nothing of"), (Choice(mark="zzz"), ["b.jsonl"], "--mark says nothing of"),
    ]:  # fmt: skip
        with pytest.raises(FlavorError, match=said):
            look(session, [str(tmp_path / name) for name in sources], choice)
    assert len(look(session, [str(tmp_path / "a.txt"), source], Choice(text="text", mark="%%")).rows) == 2


def test_a_preview_shows_the_first_faults_and_nothing_is_imported(tmp_path, session):
    write_json(tmp_path / "x.jsonl", *({"text": text} for text in ("fine", "", "fine too", "\u202ehidden", "x" * 20_001)))
    preview = look(session, [str(tmp_path / "x.jsonl")])
    assert [row.text for row in preview.rows] == ["fine", "fine too"]
    assert [str(fault).partition("x.jsonl, ")[2][:7] for fault in preview.faults] == ["line 2:", "line 4:", "line 5:"]
    with pytest.raises(FlavorError, match="line 2"):
        bring(session, preview)
    assert not session.store.examples


def test_tables_that_unpack_to_gigabytes_are_refused(tmp_path, session):
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    many = arrow.table({"text": ["a"] * 200_000})
    long = arrow.table({"text": arrow.array(["x" * 1_000_000]).dictionary_encode().take(arrow.array([0] * 50_000))})
    for table, said in ((many, "200000 rows"), (long, "1000000 characters")):
        parquet.write_table(table, tmp_path / "x.parquet")
        assert (tmp_path / "x.parquet").stat().st_size < 2_000_000
        with pytest.raises(FlavorError, match=said):
            import_files(session, tmp_path / "x.parquet")


def test_pictures_are_left_out_of_tables(tmp_path, task):
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    parquet.write_table(arrow.table({"text": ["One."], "image": [b"\x00\x01"], "tags": [["a"]]}), tmp_path / "x.parquet")
    reading = read(str(tmp_path / "x.parquet"), task)
    assert rows(reading) == [("One.", {})] and reading.unused == ["tags"]


def test_pictures_of_the_hub_are_left_out_of_tables(tmp_path, task):
    """They are bytes beside a path."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    picture = {"bytes": b"\x00\x01", "path": "a.png"}
    rich = {"text": ["One."], "image": [picture], "images": [[picture]], "more": [{"a": "b", "image": picture}], "plain": [{"a": "b"}]}
    parquet.write_table(arrow.table(rich), tmp_path / "x.parquet")
    [row, _] = tables.read([tmp_path / "x.parquet"])
    assert row == {"row": {"text": "One.", "plain": {"a": "b"}}}
