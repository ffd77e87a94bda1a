"""Files in and out: what is exported is imported again unchanged; what is malformed is named, and nothing of it is kept."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import FlavorError
from core.text import clean_line, clean_text
from dataset.exporting import table, write_file
from dataset.importing import read_rows
from dataset.importing.objects import _no_doubles
from dataset.rows import Example
from tui.session.intake import import_files

TEXT = st.text(min_size=1, max_size=200).map(clean_text).filter(bool)
ROWS = st.lists(st.tuples(TEXT, st.sampled_from(["", "Calm", "Grim"]), st.text(max_size=20).map(clean_line)), min_size=1, max_size=8)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_export_and_import_are_inverse(tmp_path, task, ending, rows):
    path = tmp_path / f"rows.{ending}"
    path.unlink(missing_ok=True)  # of the case before
    examples = [
        Example(str(n), text, task.check({"Mood": mood, "Cook": cook}), "written", "now") for n, (text, mood, cook) in enumerate(rows)
    ]
    assert write_file(table(examples, task), path) == len(rows)
    assert read_rows(path, task) == [(e.text, e.fields) for e in examples]


def test_the_heading_form(tmp_path, task):
    path = tmp_path / "rows.md"
    examples = [
        Example("1", "Two lines.\n\nTwo paragraphs.", {"Mood": "Calm", "Cook": "An owl: retired"}, "written", ""),
        Example("2", "Plain.", {}, "written", ""),
    ]
    write_file(table(examples, task, "raw"), path)
    assert read_rows(path, task) == [(e.text, e.fields) for e in examples]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("one\n\ntwo\nlines\n\n\nthree", ["one", "two\nlines", "three"]), ("one\n\nstill one\n---\ntwo\n", ["one\n\nstill one", "two"])],
)
def test_plain_text(tmp_path, task, text, expected):
    (tmp_path / "rows.txt").write_text(text)
    assert [row for row, _ in read_rows(tmp_path / "rows.txt", task)] == expected


def test_jsonl_fields_may_stand_beside_the_text(tmp_path, task):
    (tmp_path / "rows.jsonl").write_text('\ufeff{"text": "Soup", "Mood": "grim", "Price": 3, "other": 1}\n\n')
    assert read_rows(tmp_path / "rows.jsonl", task) == [("Soup", {"Mood": "Grim", "Price": "3"})]


@pytest.mark.parametrize(
    "text",
    [
        "text,Mood,,\nSoup,Calm,,\n",
        "\n \n;;\ntext;Mood;\nSoup;Calm;\n",
        ",text,Mood\n0,Soup,Calm\n",
        "text,,column 2,Mood\nSoup,a,b,Calm\n",
    ],
)
def test_columns_without_a_name_are_left_out_and_so_are_blank_lines_above_the_names(tmp_path, task, text):
    (tmp_path / "rows.csv").write_text(text)
    assert read_rows(tmp_path / "rows.csv", task) == [("Soup", {"Mood": "Calm"})]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.jsonl", b"", "holds no rows"),
        ("x.jsonl", b'{"text": "a"}\n{"text": ""}\n', "line 2: The text is empty"),
        ("x.jsonl", b'{"text": "a"}\n{"txt": "b"}\n', "line 2: it has no text"),
        ("x.jsonl", b'{"text": "a"}\n{"text": "b"\n', "line 2: not JSON"),
        ("x.jsonl", b"[" * 100_000, "line 1: not JSON"),
        ("x.jsonl", b'["text"]\n', "line 1: it is no object"),
        ("x.jsonl", b'{"text": "a", "fields": {"Mood": "Loud"}}', "one of Calm, Grim"),
        ("x.jsonl", b'{"text": "a", "fields": [1]}', "fields must be"),
        ("x.jsonl", b'{"text": "' + b"x" * 20_001 + b'"}', "limit is 20000"),
        ("x.jsonl", b'{"text": "\xff"}', "not UTF-8 at byte 10"),
        ("x.csv", b"txt,Mood\na,Calm\n", "line 2: it has no text"),
        ("x.csv", b"text,text\na,b\n", "line 1: two columns are called 'text'"),
        pytest.param("x.csv", b"\ntext" + b",a" * 1000 + b"\n", "line 2: more than 1000 columns", id="too many columns"),
        ("x.csv", b"\n\ntext,Mood\na,Calm,b\n", "line 4 has more cells than columns"),
        ("x.csv", b"text,Mood\na,Calm,b\n", "more cells than columns"),
        ("x.csv", b'text\n"a\n', "unexpected end"),
        ("x.md", b"no heading\n", "there is no `# Heading`"),
        ("x.md", b"# A\n\n## Attributes\n\nMood\n\n## Description\n\ntext\n", "line 5: not `Name: value`"),
        ("x.pdf", b"", "unknown ending; known are .jsonl"),
        ("absent.jsonl", None, "cannot be opened"),
    ],
)
def test_malformed_files_are_named(tmp_path, session, name, data, said):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(FlavorError) as error:
        import_files(session, tmp_path / name)
    assert said in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 400
    assert not session.store.examples


def test_a_name_that_stands_twice_is_found_in_one_pass(tmp_path, task):
    class Name(str):
        compared = 0
        __hash__ = str.__hash__

        def __eq__(self, other):
            Name.compared += 1
            return str.__eq__(self, other)

    with pytest.raises(ValueError, match="names 'last' twice"):
        _no_doubles([(Name(name), 1) for name in (*map(str, range(5000)), "last", "last")])
    assert Name.compared < 50_000


def test_what_is_no_regular_file_is_refused(tmp_path, task):
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    for name in ("pipe.jsonl", "folder.jsonl"):
        with pytest.raises(FlavorError, match="not a regular file"):
            read_rows(tmp_path / name, task)


def test_many_files_are_one_step(tmp_path, session):
    for name, count in (("a.txt", 2), ("b.txt", 3)):
        (tmp_path / name).write_text("\n\n".join(f"text {n} of {name}" for n in range(count)))
    assert import_files(session, tmp_path / "a.txt", tmp_path / "b.txt") == 5
    session.undo()
    assert not session.store.examples
    (tmp_path / "c.jsonl").write_text("{")
    with pytest.raises(FlavorError):
        import_files(session, tmp_path / "a.txt", tmp_path / "c.jsonl")
    assert not session.store.examples
