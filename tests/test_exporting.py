"""What is exported is read by plain `datasets` and pandas, and by `import` without loss."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import config
from core.errors import FlavorError
from core.exports.order import GGUF_FILE
from core.files import EXPORTING, stale
from core.task import Field, Task
from dataset.exporting import FORMS, files, preferences, split_rows, table, write_disk, write_file, write_folder
from dataset.exporting.files import new_folder
from dataset.importing import Choice, read, read_data
from dataset.importing.reading import guess
from dataset.importing.shapes import records
from dataset.rows import Example
from tests.made import sample, write
from tui.commands import exporting
from tui.commands.dataset_export import export
from tui.commands.output import Progress
from tui.session.intake import bring, look
from tui.session.session import Session

TASK = Task("Tiny Tavern Menu", fields=(Field("Mood"), Field("Price")))
LOAD = """
import json, sys
from datasets import load_dataset, load_from_disk
from pathlib import Path
where = Path(sys.argv[1])
told = {}
for path in sorted(where.glob("rows.*")):
    kind = {"jsonl": "json", "tsv": "csv"}.get(path.suffix[1:], path.suffix[1:])
    more = {"sep": "\\t"} if path.suffix == ".tsv" else {}
    told[path.name] = load_dataset(kind, data_files=str(path), split="train", **more)
for form in ("prompt", "chat", "raw", "dpo", "kto"):
    told[form] = load_dataset("parquet", data_files=str(where / f"{form}.parquet"), split="train")
for name, split in load_from_disk(str(where / "disk")).items():
    told[f"disk {name}"] = split
for name, split in load_dataset(str(where / "folder")).items():
    told[f"folder {name}"] = split
for name in ("dpo", "kto"):
    told[f"folder {name}"] = load_dataset(str(where / "folder"), name, split="train")
print(json.dumps({name: {"columns": split.column_names, "rows": [str(row) if "created" not in row else row["text"] for row in split]} for name, split in told.items()}))
"""


@pytest.fixture
def filled(session):
    """Twelve rows, one of them accepted, one edited; one rejected text."""
    for number in range(10):
        session.write_example(
            f"Dish {number}: =SUM of {number} roots.\n\nAnd a line.", {"Mood": "Grim", "Cook": "An owl"} if number % 2 else {}
        )
    for verdict, candidate in zip(
        ("accept", "accept", "reject"), sample(session, "base", ["Kept soup.", "Odd soup", "Bad soup."]), strict=True
    ):
        session.decide(candidate.uid, verdict, "Odd soup, mended." if candidate.text == "Odd soup" else None)
    return session


@pytest.mark.parametrize(
    "texts",
    [
        ["One.", "Two\nlines."],
        ["Alone.\n\nIn two parts."],
        ["One.", "Two\n\nparts.", "Three."],
        ["- One.", "# Two."],
        ["# Tiny Tavern Menu", "Two."],
        ["## Attributes\nMood"],
    ],
)
def test_texts_alone_are_read_again(tmp_path, session, texts):
    for text in texts:
        session.write_example(text, {"Mood": "Grim"})
    assert write_file(table(session.store.examples.values(), session.task), tmp_path / "x.txt") == len(texts)
    assert [row.text for row in read(str(tmp_path / "x.txt"), session.task).rows] == texts
    session.write_example("Parted\n***\nby itself.", {})
    with pytest.raises(FlavorError, match="would part it"):
        write_file(table(session.store.examples.values(), session.task), tmp_path / "y.txt")
    with pytest.raises(FlavorError, match="Plain text"):
        write_file(table(session.store.examples.values(), session.task, "chat"), tmp_path / "y.txt")
    assert not (tmp_path / "y.txt").exists()


async def test_rows_of_some_origins_alone(tmp_path, filled):
    async def exported(name, *origins, how=""):
        return [line async for line in export(filled.folder, "dataset", tmp_path / name, "rows", how, "all", "cc0-1.0", origins)]

    await exported("made.txt", "accepted", "edited")
    assert (tmp_path / "made.txt").read_text() == "Kept soup.\n\nOdd soup, mended.\n"
    for name, origins, how in (("none.csv", ["imported"], ""), ("folder", ["written"], ""), ("disk.csv", ["written"], "disk")):
        with pytest.raises(FlavorError, match=r"--origin goes|the origin imported\. Leave --origin out"):
            await exported(name, *origins, how=how)
    with pytest.raises(FlavorError, match=r"No row of test has the origin accepted\. Leave --split or --origin out"):
        [line async for line in export(filled.folder, "dataset", tmp_path / "x.csv", "rows", "", "test", "", ["accepted"])]


async def test_a_licence_is_asked_for_when_a_folder_could_be_written(tmp_path, filled, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes").write_text("a person's own")
    asked = []
    monkeypatch.setattr("tui.commands.dataset_export.ask_licence", lambda *given: asked.append(given) or "cc0-1.0")
    with pytest.raises(FlavorError, match="is there already"):
        [line async for line in export(filled.folder, "dataset", tmp_path / "mine", "rows", "", "all", "")]
    assert not asked
    [line async for line in export(filled.folder, "dataset", tmp_path / "new", "rows", "", "all", "", as_json=True)]
    assert asked == [("", True)] and "license: cc0-1.0" in (tmp_path / "new/README.md").read_text()


@pytest.mark.parametrize("how", ["folder", "disk"])
async def test_the_folder_that_somebody_is_in_is_not_replaced(tmp_path, filled, monkeypatch, how):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for dest in (Path(), tmp_path / "empty"):
        with pytest.raises(FlavorError, match="is the folder you are in"):
            [line async for line in export(filled.folder, "dataset", dest, "rows", how, "all", "mit")]
    assert not list((tmp_path / "empty").iterdir())


async def test_an_unknown_ending_may_be_that_of_a_folder(tmp_path, filled):
    with pytest.raises(FlavorError, match=r"unknown ending\. Known: .*\. For a folder of that name: --as folder\."):
        [line async for line in export(filled.folder, "dataset", tmp_path / "dishes-v1.2", "rows", "", "all", "")]


def test_a_table_is_synced_before_it_is_put_in_its_place(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(files, "_by_process", lambda form, staged, splits, dest: staged.write_bytes(b"PAR1"))
    monkeypatch.setattr("core.files.sync", lambda handle: steps.append(("file", (tmp_path / "x.parquet").exists())))
    monkeypatch.setattr("core.files.sync_folder", lambda folder: steps.append((folder, (tmp_path / "x.parquet").exists())))
    write_file(table([], TASK), tmp_path / "x.parquet")
    assert steps == [("file", False), (tmp_path, True)] and [path.name for path in tmp_path.iterdir()] == ["x.parquet"]
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging" / GGUF_FILE).write_bytes(b"GGUF")
    exporting.publish(tmp_path / "staging", tmp_path / "x.gguf", single=True)
    assert steps[2:] == [("file", True), (tmp_path, True)] and not (tmp_path / "staging").exists()


def test_plain_datasets_loads_every_form(tmp_path, filled):
    store, task = filled.store, filled.task
    examples = store.examples.values()
    for ending in ("jsonl", "csv", "tsv", "parquet"):
        assert write_file(table(examples, task), tmp_path / f"rows.{ending}") == 12
    for form in ("prompt", "chat", "raw"):
        write_file(table(examples, task, form), tmp_path / f"{form}.parquet")
    for form in ("dpo", "kto"):
        write_file(preferences(store, task, form), tmp_path / f"{form}.parquet")
    splits = split_rows(store.examples)
    write_disk({name: table(rows, task) for name, rows in splits.items()}, tmp_path / "disk")
    counts = write_folder(store, task, tmp_path / "folder", "cc-by-4.0")
    own = {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", LOAD, str(tmp_path)], capture_output=True, text=True, env=own, check=False)
    assert not done.returncode, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    for name in ("rows.jsonl", "rows.csv", "rows.tsv", "rows.parquet"):
        assert len(told[name]["rows"]) == 12
    assert told["rows.jsonl"]["rows"] == told["rows.parquet"]["rows"] == [row.text for row in examples]
    assert (
        told["prompt"]["columns"] == ["prompt", "completion"]
        and told["chat"]["columns"] == ["messages"]
        and told["raw"]["columns"] == ["text"]
    )
    assert told["dpo"]["columns"] == ["prompt", "chosen", "rejected"] and "Odd soup, mended." in told["dpo"]["rows"][0]
    assert told["kto"]["columns"] == ["prompt", "completion", "label"] and sum("False" in row for row in told["kto"]["rows"]) == 2
    assert len(splits["test"]) >= 1
    for where in ("disk", "folder"):
        for name, rows in splits.items():
            assert told[f"{where} {name}"]["rows"] == [row.text for row in rows]
    assert {path: count for path, count in counts.items() if path.startswith("pref")} == {
        f"preferences/{form}.jsonl": len(told[f"folder {form}"]["rows"]) for form in ("dpo", "kto")
    }


def test_the_held_out_rows_are_those_of_every_run(filled):
    plan = filled.plan(seed=1)
    for split, held in (("test", True), ("train", False)):
        assert {row.id for row in plan.rows if row.held_out == held} == {row.uid for row in split_rows(filled.store.examples)[split]}


def test_every_form_is_imported_again_as_it_was(tmp_path, filled, task):
    rows = [(row.text, row.fields) for row in filled.store.examples.values()]
    for form in FORMS:
        for ending in (
            "jsonl",
            *(("parquet",) if form in ("rows", "chat") else ()),
            *(("csv", "tsv") if form != "chat" else ()),
            *(("md",) if form == "raw" else ()),
        ):
            path = tmp_path / f"{form}.{ending}"
            write_file(table(filled.store.examples.values(), task, form), path)
            found = read(str(path), task)
            assert not found.faults and [(row.text, row.fields) for row in found.rows] == rows, path.name
    write_disk({name: table(kept, task) for name, kept in split_rows(filled.store.examples).items()}, tmp_path / "disk")
    write_folder(filled.store, task, tmp_path / "folder", "mit")
    for folder in ("disk", "folder/data"):
        assert sorted((row.text, sorted(row.fields.items())) for row in read(str(tmp_path / folder), task).rows) == sorted(
            (text, sorted(fields.items())) for text, fields in rows
        )


def test_preferences_survive_the_way_out_and_in(tmp_path, filled, there, task):
    from core import config

    write_file(preferences(filled.store, task, "dpo"), tmp_path / "dpo.jsonl")
    config.create(tmp_path / "other", task)
    with Session(tmp_path / "other") as other:
        bring(other, look(other, [str(tmp_path / "dpo.jsonl")]))
        again = {(row["chosen"], row["rejected"]) for row in preferences(other.store, task, "dpo").rows}
    assert {(row["chosen"], row["rejected"]) for row in preferences(filled.store, task, "dpo").rows} <= again


def test_what_preferences_cannot_be_written_as_is_told_with_what_they_can(tmp_path, filled):
    found = preferences(filled.store, filled.task, "kto")
    for name in ("x.md", "x.txt"):
        with pytest.raises(FlavorError, match=r"Export \.jsonl, \.csv or \.parquet"):
            write_file(found, tmp_path / name)
    with pytest.raises(FlavorError, match=r"unknown ending\. Known: .*\.parquet\.$"):
        write_file(found, tmp_path / "x")


def test_no_cell_is_a_formula(tmp_path, session):
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "'=1", "plain; =2", "＝1", "a\n=3"]
    for text in texts:
        session.write_example(text, {"Cook": "=cook"})
    for ending, mark in (("csv", ","), ("tsv", "\t")):
        path = tmp_path / f"x.{ending}"
        write_file(table(session.store.examples.values(), session.task), path)
        raw = path.read_text("utf-8-sig")
        for cells in csv.reader(raw.splitlines(keepends=True), delimiter=mark):
            assert not any(cell[:1] in tuple("=+-@＝") for cell in cells)
        assert all(cell.startswith('"') for cell in raw.splitlines()[1].split(mark) if cell)  # no other separator can begin a cell
        assert [row.text for row in read(str(path), session.task).rows] == texts


def test_a_spreadsheet_sees_that_it_is_utf_8(tmp_path, session):
    session.write_example("Käse für alle.", {"Cook": "Jörg"})
    found = table(session.store.examples.values(), session.task)
    for ending in ("csv", "tsv", "jsonl"):
        write_file(found, tmp_path / f"x.{ending}")
        data = (tmp_path / f"x.{ending}").read_bytes()
        assert data.startswith(b"\xef\xbb\xbf") == (ending == "csv")
        for again in (read(str(tmp_path / f"x.{ending}"), session.task), read_data(data, "standard input", session.task)):
            assert [(row.text, row.fields) for row in again.rows] == [("Käse für alle.", {"Cook": "Jörg"})]


def test_the_card_says_where_rows_come_from(tmp_path, filled):
    write_folder(filled.store, filled.task, tmp_path / "dishes", "cc-by-4.0")
    card = (tmp_path / "dishes/README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    for said in ("12 short texts under the heading *Tiny Tavern Menu*", "| written | 10 |", "| accepted | 1 |", "| edited | 1 |", "1 text was rejected",
                 "| Mood | one of Calm, Grim | 5 | 1 |", "| `data/train.jsonl` |", "config_name: dpo", "load_dataset(", "`refit` were trained on all rows"):  # fmt: skip
        assert said in card, said
    with pytest.raises(FlavorError, match="is there already"):
        write_folder(filled.store, filled.task, tmp_path / "dishes", "cc-by-4.0")
    for licence in ("", "My Own"):
        with pytest.raises(FlavorError, match="--license cc-by"):
            write_folder(filled.store, filled.task, tmp_path / "other", licence)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "tavern" and path.name != "state") == ["dishes"]


def test_a_task_without_fields_and_few_rows(tmp_path):
    from core import config
    from core.task import Task

    config.create(tmp_path / "bare", Task("Riddle"))
    with Session(tmp_path / "bare") as session:
        session.write_example("What has keys?", {})
        write_file(table(session.store.examples.values(), session.task), tmp_path / "x.parquet")
        write_folder(session.store, session.task, tmp_path / "folder", "mit")
        assert [(row.text, row.fields) for row in read(str(tmp_path / "x.parquet"), session.task).rows] == [("What has keys?", {})]
    assert (
        sorted(path.name for path in (tmp_path / "folder/data").iterdir()) == ["train.jsonl"]
        and not (tmp_path / "folder/preferences").exists()
    )


def brought(session, tmp_path, *sources, name="other"):
    """The examples of a new workspace of the same task that holds what the sources hold, and the rejected texts."""
    config.create(tmp_path / name, session.task)
    with Session(tmp_path / name) as other:
        bring(other, look(other, list(map(str, sources))))
        rejected = [candidate.text for candidate in other.store.candidates.values() if candidate.state == "rejected"]
        return list(other.store.examples.values()), rejected


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_what_was_rejected_comes_back_as_rejected(tmp_path, filled, ending):
    write_file(preferences(filled.store, filled.task, "kto"), tmp_path / f"kto.{ending}")
    examples, rejected = brought(filled, tmp_path, tmp_path / f"kto.{ending}")
    assert (
        "Bad soup." in rejected and "Bad soup." not in {example.text for example in examples} and "Kept soup." in {e.text for e in examples}
    )


OPENS = ("# Tiny Tavern Menu\n\nSoup.", "# Tiny Tavern Menu", "# Tiny Tavern Menu\n\n## Attributes\n\nMood: Calm\n\n## Description\n\nPie.")


@pytest.mark.parametrize("form", [form for form in FORMS if form != "chat"])
@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv", "parquet"])
def test_texts_that_open_as_prompts_do_stay_whole(tmp_path, session, form, ending):
    for text in (*OPENS, "One.\n# Two\nthree.", "# Another\n\nstew."):
        for fields in ({}, {"Mood": "Grim", "Cook": "An owl: retired"}):
            session.write_example(text, fields)
    write_file(table(session.store.examples.values(), session.task, form), tmp_path / f"x.{ending}")
    found = read(str(tmp_path / f"x.{ending}"), session.task)
    kept = [(row.text, row.fields) for row in session.store.examples.values()]
    assert not found.faults and [(row.text, row.fields) for row in found.rows] == kept


def test_values_of_attributes_that_are_no_more_are_columns_that_nothing_takes(tmp_path, session):
    session.write_example("Soup.", {"Mood": "Grim", "Cook": "An owl"})
    session.write_example("Pie.", {})
    for ending in ("jsonl", "parquet"):
        write_file(table(session.store.examples.values(), session.task), tmp_path / f"x.{ending}")
        task = Task("Tiny Tavern Menu", fields=(Field("Mood"), Field("Chef")))
        found = read(str(tmp_path / f"x.{ending}"), task)
        assert not found.faults and [(row.text, row.fields) for row in found.rows] == [("Soup.", {"Mood": "Grim"}), ("Pie.", {})]
        assert found.unused == ["Cook"]
    for ending in ("jsonl", "parquet"):
        found = read(str(tmp_path / f"x.{ending}"), task, Choice(fields={"Chef": "Cook"}))
        assert not found.faults and [row.fields for row in found.rows] == [{"Mood": "Grim", "Chef": "An owl"}, {}]
    (fault,) = read(str(tmp_path / "x.jsonl"), task, Choice(fields={"Chef": "Cok"})).faults
    assert "x.jsonl has no column 'Cok'" in str(fault)


def test_a_folder_is_loaded_where_rows_have_different_attributes(tmp_path):
    """The rows that are held out may have one that no other row has, as may some of the others."""
    config.create(tmp_path / "heroes", Task("Hero", fields=(Field("Mood"), Field("Home"))))
    with Session(tmp_path / "heroes") as session:
        write(session, 12)
        held = split_rows(session.store.examples)["test"][0].uid
        for uid, row in list(session.store.examples.items()):
            session.change_example(uid, row.text, {"Home": "Mars"} if uid == held else {"Mood": "Grim"} if row.text[5] == "1" else {})
        write_folder(session.store, session.task, tmp_path / "folder", "mit")
        kept = {row.text: row.fields for row in session.store.examples.values()}
        assert {row.text: row.fields for row in read(str(tmp_path / "folder/data"), session.task).rows} == kept
    own = {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"}
    code = "import datasets, json, sys; print(json.dumps({k: v.to_list() for k, v in datasets.load_dataset(sys.argv[1]).items()}))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "folder")], capture_output=True, text=True, env=own, check=False)
    assert not done.returncode, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert {tuple(row["fields"]) for rows in found.values() for row in rows} == {("Mood", "Home")}
    assert "Mars" in {row["fields"]["Home"] for row in found["test"]}


@pytest.mark.parametrize(("name", "kept"), [("x.jsonl", True), ("x.csv", False), ("folder", True), ("disk", False)])
async def test_values_of_attributes_that_are_no_more_are_named(tmp_path, session, name, kept):
    session.write_example("Soup.", {"Mood": "Grim", "Cook": "An owl"})
    session.write_example("Pie.", {"Mood": "Grim"})
    session.close()
    path = session.folder / config.FILE
    path.write_text(path.read_text().replace('name = "Cook"', 'name = "Chef"'))
    how = name if name == "disk" else ""
    (line,) = [line async for line in export(session.folder, "dataset", tmp_path / name, "rows", how, "all", "mit")]
    said = f"1 row has values of attributes that are no more{'' if kept else ', left out here'}: Cook"
    assert line.data["no_more"] == ["Cook"] and line.text.splitlines()[-1] == said


def test_values_are_kept_where_no_attribute_is_left(tmp_path, session):
    session.write_example("Soup.", {"Mood": "Grim", "Cook": "An owl"})
    session.write_example("Pie.", {})
    task = Task("Tiny Tavern Menu")
    for ending in ("jsonl", "csv", "parquet"):
        write_file(table(session.store.examples.values(), task), tmp_path / f"x.{ending}")
        assert [(row.text, row.fields) for row in read(str(tmp_path / f"x.{ending}"), task).rows] == [("Soup.", {}), ("Pie.", {})]
    again = read(str(tmp_path / "x.jsonl"), session.task)
    assert [row.fields for row in again.rows] == [{"Mood": "Grim", "Cook": "An owl"}, {}]
    renamed = read(str(tmp_path / "x.jsonl"), Task("Tiny Tavern Menu", fields=(Field("Chef"),)), Choice(fields={"Chef": "Cook"}))
    assert not renamed.faults and [row.fields for row in renamed.rows] == [{"Chef": "An owl"}, {}]


def test_an_older_attribute_that_is_called_text_is_not_the_text(tmp_path):
    example = Example("1", "Soup.", {"text": "A broth", "Mood": "Grim"}, "written", "now")
    write_file(table([example], TASK), tmp_path / "x.csv")
    assert [(row.text, row.fields) for row in read(str(tmp_path / "x.csv"), TASK).rows] == [("Soup.", {"Mood": "Grim"})]


def test_labels_of_cells_and_numbers():
    kinds = [
        next(iter(records({"prompt": "p", "completion": "c", "label": label}))).verdict for label in ("TRUE", "false", 1, 0, "0", True)
    ]
    assert kinds == ["accept", "reject", "accept", "reject", "reject", "accept"]
    assert next(iter(records({"prompt": "p", "completion": "c", "label": "sci-fi"}))).kind == "prompt and completion"


def test_headings_within_texts_are_text(tmp_path, session):
    text = "First part.\n\n## The second part\n\nMore of it.\n\n## Attributes\n\nNone."
    session.write_example(text, {"Mood": "Grim"})
    session.write_example("A dish without any.", {})
    write_file(table(session.store.examples.values(), session.task, "raw"), tmp_path / "x.md")
    assert [row.text for row in read(str(tmp_path / "x.md"), session.task).rows] == [text, "A dish without any."]
    (tmp_path / "y.md").write_text("# Hero\n\nFirst.\n\n## The second part\n\nSecond.\n")
    assert [row.text for row in read(str(tmp_path / "y.md"), session.task).rows] == ["First.\n\n## The second part\n\nSecond."]
    session.write_example("Line one.\n# Another\nline two.", {})
    with pytest.raises(FlavorError, match="begins with # itself, as a heading does: “# Another”"):
        write_file(table(session.store.examples.values(), session.task, "raw"), tmp_path / "z.md")


@pytest.mark.parametrize("text", ["## Description\nfoo", "##  Attributes\nMood: Grim\n## Description\nfoo", "## Attributes\nfoo"])
def test_texts_that_begin_as_a_section_are_not_written_raw_where_no_values_stand_before(tmp_path, session, text):
    """Behind the bare heading they would be read as a part of the prompt."""
    example = Example("1", text, {"Mood": "Grim"}, "written", "now")
    for ending in ("md", "jsonl", "csv", "txt"):
        write_file(table([example], session.task, "raw"), path := tmp_path / f"x.{ending}")
        assert [(row.text, row.fields) for row in read(str(path), session.task).rows] == [(text, example.fields)]
    with pytest.raises(FlavorError, match="begins with a ## line"):
        table([Example("1", text, {}, "written", "now")], session.task, "raw")


@pytest.mark.parametrize("name", ["origin", "Origin"])
def test_a_value_of_an_attribute_that_is_called_origin_is_its_own(tmp_path, name):
    task = Task("Hero", fields=(Field(name),))
    write_file(table([Example("1", "A man of dust.", {name: "written"}, "imported", "now")], task), tmp_path / "x.csv")
    assert [(row.fields, row.origin) for row in read(str(tmp_path / "x.csv"), task).rows] == [({name: "written"}, "")]
    write_file(table([Example("1", "A man of dust.", {}, "accepted", "now")], task), tmp_path / "x.jsonl")
    assert [(row.fields, row.origin) for row in read(str(tmp_path / "x.jsonl"), task).rows] == [({}, "accepted")]


def test_attributes_that_are_called_as_our_own_columns(tmp_path):
    task = Task("Hero", fields=(Field("Origin"), Field("Created")))
    config.create(tmp_path / "heroes", task)
    with Session(tmp_path / "heroes") as session:
        session.write_example("A man of dust.", {"Origin": "Mars", "Created": "by hand"})
        for ending in ("jsonl", "parquet"):
            write_file(table(session.store.examples.values(), task), tmp_path / f"x.{ending}")
            (example,), _ = brought(session, tmp_path, tmp_path / f"x.{ending}", name=ending)
            assert example.fields == {"Origin": "Mars", "Created": "by hand"}


def test_a_models_words_stay_a_models_and_an_exported_folder_is_read_once(tmp_path, filled):
    write_folder(filled.store, filled.task, tmp_path / "folder", "cc0-1.0")
    examples, rejected = brought(filled, tmp_path, tmp_path / "folder")
    assert rejected.count("Bad soup.") == 1 and not set(rejected) & {e.text for e in examples}
    assert sorted(e.text for e in examples) == sorted(e.text for e in filled.store.examples.values())
    assert {e.text for e in examples if not e.human} == {"Kept soup."} and {e.depth for e in examples if not e.human} == {1}


def test_a_models_words_in_a_task_without_attributes_and_what_a_person_makes_of_them(tmp_path):
    config.create(tmp_path / "plain", task := Task("Hero"))
    with Session(tmp_path / "plain") as session:
        (candidate,) = sample(session, "base", ["A man of dust."])
        session.decide(candidate.uid, "accept")
        write_file(table(session.store.examples.values(), task), tmp_path / "x.jsonl")
    config.create(tmp_path / "other", task)
    with Session(tmp_path / "other") as other:
        bring(other, look(other, [str(tmp_path / "x.jsonl")]))
        (example,) = other.store.examples.values()
        assert (example.origin, example.human) == ("accepted", False)
        assert other.change_example(example.uid, example.text, {}).origin == "accepted"
        assert other.change_example(example.uid, "A man of dust and rain.", {}).origin == "edited"


def test_names_that_begin_as_those_beside_data_are_data(tmp_path, session):
    (tmp_path / "many").mkdir()
    for name in ("statements", "State dinners", "packages", "license plates", "ordinary", "README", "LICENSE", ".hidden"):
        (tmp_path / "many" / f"{name}.txt").write_text(f"Text of {name}, which is like no other {len(name)}.\n")
    assert len(read(str(tmp_path / "many"), session.task).rows) == 5


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("text;Mood\nabc;Grim\n", "csv"), ('"Mood","text"\nGrim,abc\n', "csv"), ("text\tMood\n", "tsv"), ("text\tChef's mood (1-5)\n", "tsv"), ("Text, and more of it, said she.\n", "txt"),
        ("text,\nabc\n", "txt"), ("{}\n", "json"), ("# A\n", "md"), ("description,mood\n", "csv"), ("story;id\r\n", "csv"), ("Price\tBody\n", "tsv"),
        ("Story, and rain, and light.\n", "txt"), ("Story, light\nfades\n", "txt"), ("Mood,light\n", "txt"),
    ],
)  # fmt: skip
def test_what_comes_without_a_name_is_known_by_its_beginning(text, form):
    assert guess(text, TASK) == form


def test_columns_that_were_named_are_looked_for_in_what_comes_without_a_name():
    text = "what,Mood\nA dish.,Grim\n"
    assert (
        guess(text, TASK) == "txt" and guess(text, TASK, Choice(text="what")) == "csv" and guess(text, TASK, Choice(text="which")) == "txt"
    )
    assert guess("what\nA dish, cold.\n", TASK, Choice(text="what")) == "tsv" and guess("# A\n%%\n# B\n", TASK, Choice(mark="%%")) == "txt"
    assert guess('{"text": "One."}\n', TASK, Choice(mark="%%")) == guess('[{"text": "One."}]', TASK, Choice(mark="%%")) == "json"
    read_again = read_data(text.encode(), "standard input", TASK, Choice(text="what"))
    assert [(row.text, row.fields) for row in read_again.rows] == [("A dish.", {"Mood": "Grim"})]


def test_cells_and_columns_that_begin_as_formulas(tmp_path):
    task = Task("Hero", fields=(Field("-Style"),))
    config.create(tmp_path / "heroes", task)
    with Session(tmp_path / "heroes") as session:
        session.write_example("=SUM of heroes.", {"-Style": "+Grim"})
        write_file(table(session.store.examples.values(), task), tmp_path / "x.csv")
        assert [(row.text, row.fields) for row in read(str(tmp_path / "x.csv"), task).rows] == [("=SUM of heroes.", {"-Style": "+Grim"})]


def test_prompts_are_texts_where_nothing_answers_them(tmp_path, session):
    (tmp_path / "x.csv").write_text("Mood,prompt\nGrim,A dish of regrets\n")
    assert [(row.text, row.fields) for row in read(str(tmp_path / "x.csv"), session.task).rows] == [("A dish of regrets", {"Mood": "Grim"})]
    (tmp_path / "y.csv").write_text("prompt,output\nA dish?,Of regrets.\n")
    assert [row.text for row in read(str(tmp_path / "y.csv"), session.task).rows] == ["Of regrets."]


async def test_an_export_that_fails_at_its_end_leaves_nothing(tmp_path, session, monkeypatch):
    async def carry_out(asked):
        Path(asked.staging).mkdir(parents=True)
        yield Progress("merging")

    def modelfile(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "carry_out", carry_out)
    monkeypatch.setattr(exporting, "modelfile", modelfile)
    session.close()
    with pytest.raises(OSError):
        [step async for step in exporting.export(session.folder, "ollama", tmp_path / "out/model", "base", None, None, "bfloat16")]
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_is_put_together_where_a_start_spares_it(tmp_path):
    with new_folder(tmp_path / "out") as staged:
        assert int(EXPORTING.fullmatch(staged.name)[1]) == os.getpid() and not stale(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
