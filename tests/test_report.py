"""The evening's report: what is gathered, told on the terminal and written as Markdown; hostile texts in every place; no model is needed."""

import asyncio
import json
import re
import subprocess
import sys
from html import unescape

import msgspec
import pytest
from markdown_it import MarkdownIt

from core.errors import FlavorError
from core.files import new_uid, now
from core.gauges.powerlaw import Law
from core.text import has_controls
from dataset.rows import Side, Tables, Vote
from runs import measured
from runs.measured import Bits, Losses
from tests.made import bake, refit, sample, write
from tests.test_curve import measured as measure_curve
from tests.test_tasting import decide
from tui.commands import cli
from tui.commands.parser import parse
from tui.commands.report import write_report
from tui.report import markdown, page, terminal
from tui.report.contents import gather
from tui.report.curve import round_lines
from tui.report.words import Table, sections, spent
from tui.session import losses
from tui.session.session import Session

HOSTILE = "</style>\u202e<script>alert(1)</script> | a | **b** [x](javascript:y) # z <!-- \x1b[2J & \"q\" 'r' `c`"


def report_of(session):
    return asyncio.run(gather(session))


def evening(session):
    """Twelve rows, two rounds, a curve."""
    write(session, 12)
    session.write_example("A pie, grim and dear.", {"Mood": "Grim", "Price": "5"})
    first = bake(session, [4.0, 3.4, 3.2])
    decide(session, first, kept=3, rejected=5)
    bake(session, [3.2, 3.1, 3.3], base=4.0)
    decide(session, "0002/epoch-01", kept=6, rejected=2)


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "tui", "report", *map(str, words)], capture_output=True, text=True, timeout=60, check=False
    )


def test_an_evening_is_gathered(session):
    evening(session)
    told = report_of(session)
    assert told.origins["imported"] == 12 and told.origins["written"] == 1
    assert [(each.checkpoint, each.kept, each.decided) for each in told.rounds] == [("0001/epoch-02", 3, 8), ("0002/epoch-01", 6, 8)]
    names = [each.name for each in told.checkpoints]
    assert names == ["0002/epoch-01", "0002/epoch-02", "0001/epoch-01", "0001/epoch-02"]
    assert [each.name for each in told.checkpoints if each.active] == ["0002/epoch-02"]
    assert {each.name: each.word for each in told.checkpoints}["0002/epoch-02"] == "overbaked"
    assert [(course.run, course.losses[0], course.chosen) for course in told.courses] == [("0001", (0, 4.0), 2), ("0002", (0, 3.2), 2)]
    (cover,) = told.coverage
    assert cover.counts["Grim", "5"] == 1 and len(cover.missing) == 9
    assert told.next.sentence and told.activity.sittings
    assert not told.rows.losses and "m on Report" in told.rows.how
    titles = [section.title for section in sections(told)]
    assert titles[:3] == ["What to do next", "The evening", "Round by round"] and "Examples by Mood and Price" in titles


def test_values_that_are_offered_no_more_are_named(session):
    """In the plan too: their rows are trained on as they are."""
    evening(session)
    mood, price, *_ = session.task.fields
    assert "does not offer" not in session.plan().line()
    offered = msgspec.structs.replace(mood, values=(*(value for value in mood.values if value != "Grim"), "Bleak"))
    for fields in ((offered, price), (offered,)):
        session.settings = msgspec.structs.replace(session.settings, task=msgspec.structs.replace(session.task, fields=fields))
        said = next(each.lines for each in sections(report_of(session)) if each.title.startswith("Examples by Mood"))
        assert said[-1] == "Not counted: 1 example with values that flavor.toml does not offer (Mood Grim)."
        assert session.plan().line().endswith("; with values that flavor.toml does not offer: Mood Grim")


def test_votes_are_told(session):
    evening(session)
    before = next(section.table for section in sections(report_of(session)) if section.title == "Checkpoints")
    assert "rating" not in before.head and not report_of(session).ratings
    for _ in range(6):
        vote = Vote(new_uid(), now(), {}, Side("0001/epoch-02", "a soup"), Side("base", "a stew"), "left")
        session.commit("vote", Tables(votes={vote.uid: vote}), "vote")
    told = report_of(session)
    assert [(rated.lane, rated.votes) for rated in told.ratings] == [("0001/epoch-02", 6), ("base", 6)]
    found = {section.title: section.table for section in sections(told)}
    assert [row[0] for row in found["Blind A/B"].rows] == ["0001/epoch-02", "base"]
    shares = {row[1]: row[5] for row in found["Checkpoints"].rows}
    assert shares["0001/epoch-02"] == found["Blind A/B"].rows[0][1] and shares["0002/epoch-01"] == "" and "base" in shares


def test_an_empty_workspace_has_a_report(session):
    told = report_of(session)
    text = "".join(text for _, text in terminal.text_of(told))
    assert "Write more: 0 rows of yours so far" in text and "0 rows." in text
    assert markdown.page(told).startswith(markdown.MARK)


def test_an_active_checkpoint_that_is_gone_breaks_nothing(session):
    evening(session)
    (session.registry.folder / "0002/checkpoints/epoch-02/checkpoint.json").unlink()
    (session.registry.folder / "0001/run.json").write_text("{")
    told = report_of(session)
    assert told.next.sentence.startswith("Use 0002/epoch-01: it is good, and 0002/epoch-02 is not there") and [
        each.run for each in told.courses
    ] == ["0002"]
    assert told.rows.how == "0002/epoch-02 is not there any more."


def test_the_base_is_in_the_table_where_it_is_active(session):
    evening(session)
    assert "base" not in [each.name for each in report_of(session).checkpoints]
    session.registry.use("base")
    told = report_of(session)
    assert [each.name for each in told.checkpoints if each.active] == ["base"]
    table = next(section for section in sections(told) if section.title == "Checkpoints")
    assert table.lines[0] == "base is active." and table.table.rows[-1][:2] == ("▶", "base")


def test_the_loss_of_a_refit_is_said_to_be_that_of_its_epoch(session):
    write(session, 12)
    refit(session, bake(session, [4.0, 3.4, 3.2]))
    (table,) = (section for section in sections(report_of(session)) if section.title == "Checkpoints")
    assert [row[3] for row in table.table.rows if "/" in row[1]] == ["3.400", "3.200", "(3.200)"]
    assert table.lines[1] == "In brackets: the loss of the epoch that a refit repeats. A refit has learned the held-out rows itself."


def test_what_was_kept_is_told_of_what_was_shown(session):
    """Most candidates are passed over by their score, and nobody knows what would be kept of them."""
    evening(session)
    told = report_of(session)
    text = "".join(text for _, text in terminal.text_of(told, 200)) + page.page(told) + "".join(round_lines(told.rounds))
    assert text.count("would show you") == 5 and "would write" not in text


def keep(session, found, checkpoint=None):
    rows = {uid: (losses._hash(session, session.store.examples[uid]), loss) for uid, loss in found.items()}
    measured.keep_losses(session.folder, checkpoint or session.registry.current(), Losses("f", rows, now()))


def test_losses_are_kept_for_rows_as_they_are(session):
    write(session, 12)
    keep(session, {"row01": 3.0, "row02": 2.0})
    assert losses.known(session) == {"row01": 3.0, "row02": 2.0}
    session.change_example("row01", "Another dish.", {})
    session.delete_example("row02")
    assert losses.known(session) == {}
    session.undo()
    assert losses.known(session) == {"row02": 2.0}
    bake(session, [4.0, 3.0])
    assert losses.known(session) == {}  # of another checkpoint
    for number in range(6):
        keep(session, {"row03": 1.0}, f"{number:04}/epoch-01")
    assert list(measured.read(session.folder).losses) == [f"{number:04}/epoch-01" for number in range(2, 6)]
    (session.folder / measured.FILE).write_text("{")
    assert measured.read(session.folder).losses == {}


def test_rows_that_were_learned_are_held_against_their_own(session):
    """Those that were held out have a higher loss, and none of them stands out for that."""
    write(session, 60)
    last = bake(session, [4.0, 3.0])
    held = {uid for uid, row in session.registry.rows("0001").items() if row.held_out}
    assert len(held) >= 8
    found = {uid: (3.0 if uid in held else 1.0) + int(uid[3:]) % 5 / 50 for uid in session.store.examples}
    found["row05"], found[min(held)] = 2.2, 4.5
    assert "row05" not in held
    keep(session, found)
    told = report_of(session)
    assert [each.outlier.row for each in told.rows.odd] == [min(held), "row05"] or [each.outlier.row for each in told.rows.odd] == [
        "row05",
        min(held),
    ]
    assert f"Measured with {last}, which learned {60 - len(held)} of the 60 rows; the two kinds" in told.rows.how


def test_rows_of_one_kind_are_not_told_as_two(session):
    write(session, 12)
    keep(session, dict.fromkeys(session.store.examples, 3.0), "base")
    assert report_of(session).rows.how == "Measured with base, which learned 0 of the 12 rows."


def test_the_curve_goes_before_the_active_checkpoint(session):
    write(session, 24)
    measure_curve(session, Law(3.0, 4.0, 0.5))
    told = report_of(session)
    assert set(told.rows.losses) == set(session.store.examples) and "never saw it" in told.rows.how
    table = next(section for section in sections(told) if section.picture == "curve")
    assert "n^-0." in table.lines[-1] and len(table.table.rows) == len(told.outlook.forecast.levels)


def test_the_best_texts_are_new_whole_and_unlike_one_another(session):
    write(session, 12)
    copy = session.store.examples["row01"].text
    fresh = "The baker keeps a second oven for promises, and it is never cold in the morning."
    for candidate in sample(session, "base", [copy, fresh, "Pie.", "An odd pot that sings, at noon, of ships."]):
        session.decide(candidate.uid, "accept")
    session.decide(sample(session, "base", ["Changed by hand, after all, into another thing."])[0].uid, "accept", "Changed by hand.")
    told = report_of(session)
    assert [best.text for best in told.best] == [fresh, "An odd pot that sings, at noon, of ships."]
    shared = "A kettle that is a stew of nothing but rain and one old hymn, sung flat."
    session.decide(sample(session, "base", [shared])[0].uid, "accept")
    notes = [quote.note for quote in sections(report_of(session))[-2].quotes]
    assert notes[0].endswith("accepted as it came; no other row has four words of it in a row.")
    assert notes[-1].endswith("accepted as it came; no other row has more than 8 % of it.")


def test_a_stub_in_a_script_without_blanks_is_none_of_the_best(session):
    write(session, 4)
    session.import_rows([(f"{number}号厨师把老汤熬了整整一夜，第二天早上却没有一个客人愿意先尝一口。", {}) for number in range(8)], "rows")
    whole = "面包师在炉边留了一个位子，专等那些说好要来却从来不曾来过的人。"
    for candidate in sample(session, "base", ["好汤一碗。", whole]):
        session.decide(candidate.uid, "accept")
    assert [best.text for best in report_of(session).best] == [whole]


def test_that_contradictions_are_cut_is_said(session):
    session.import_rows([(f"Soup {n} is for {n} guests.", {"Cook": "Ada"}) for n in range(3)], "rows")
    told = report_of(session)
    assert told.all_conflicts == len(told.conflicts) == 3
    session.import_rows([(f"Soup {n} is for {n} guests.", {"Cook": "Ada"}) for n in range(3, 7)], "rows")
    told = report_of(session)
    section = next(section for section in sections(told) if section.title == "Rows that contradict each other")
    assert section.lines == ("The first 12 of 21.",) and len(section.table.rows) == 12


def test_what_4_bits_cost(session):
    write(session, 8)
    measured.keep_bits(session.folder, Bits("starter", 4.25, 4.125, 8, now()))
    assert "+0.125 nats a token on 8 of your rows" in "".join(text for _, text in terminal.text_of(report_of(session)))
    measured.keep_bits(session.folder, Bits("another", 4.25, 4.125, 8, now()))
    assert report_of(session).bits is None


def test_markdown_shows_data_and_obeys_none(session):
    session.write_example(HOSTILE, {"Cook": "\u202e" + HOSTILE[:60]})
    session.write_example(HOSTILE + ".", {"Mood": "Grim", "Cook": HOSTILE[8:60]})
    for candidate in sample(session, "base", ["1. one\n# two\n- three\nA pot of ink, and so on <b>every</b> day & night `here`."]):
        session.decide(candidate.uid, "accept")
    text = markdown.page(report_of(session))
    body = text.replace(markdown.MARK, "")
    assert not re.search(r"(?<!\\)[<`]", body) and "<U+202E>" in body.replace("\\", "") and "\x1b" not in body
    assert "\\| a \\| \\*\\*b\\*\\*" in body
    assert "\n> 1\\. one\\\n> \\# two\\\n> \\- three\\\n> A pot" in body
    lines = [line for line in body.splitlines() if line.startswith("|")]
    table = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
    assert table and all(count in (7, 8, 4, 5) for count in table)


def test_a_quote_shows_its_lines_and_links_nowhere():
    text = "One line,\n    another, far in\n\n- a third\\\nsee http://example.com/a or WWW.example.com\n     and *that*,"
    text += " ask cook@example.com, mailto:a@b.com or xmpp:a@b.com/x"
    shown = MarkdownIt("gfm-like").render("\n".join(markdown._quoted(text)))
    assert set(re.findall("<[a-z]+", shown)) == {"<blockquote", "<p", "<br"}
    assert unescape(re.sub("<[^>]+>", "", shown)).replace("\xa0", " ").strip() == text.replace("\n\n", "\n")


def test_the_command_tells_and_writes(there, tmp_path):
    with Session(there) as session:
        evening(session)
    said = run(there)
    assert said.returncode == 0 and "Round by round" in said.stdout and "├" in said.stdout
    out = tmp_path / "evening.md"
    assert run(there, "--md", out).stdout.strip() == f"The report is in {out}."
    assert "## Checkpoints" in out.read_text()
    assert run(there, "--md", out).returncode == 0  # written again
    refused = run(there, "--md", there / "flavor.toml")
    assert refused.returncode == 1 and "is no report" in refused.stderr and refused.stderr.count("\n") == 1
    assert "cannot be written" in run(there, "--md", tmp_path / "no" / "x.md").stderr
    lines = [json.loads(line) for line in run(there, "--json").stdout.splitlines()]
    assert lines[-1]["rows"] == len(lines[-1]["odd"]) + 22 and lines[-1]["next"]["sentence"]
    assert next(line for line in lines if line.get("section") == "Checkpoints")["rows"]


@pytest.mark.parametrize("form", ["html", "md"])
def test_standard_output_has_what_the_file_would_have(there, tmp_path, monkeypatch, capsys, form):
    with Session(there) as session:
        evening(session)
    made = now()
    monkeypatch.setattr("tui.report.contents.now", lambda: made)
    other = {"html": "md", "md": "html"}[form]
    assert cli.run(parse(["report", str(there), f"--{form}", "-", f"--{other}", str(tmp_path / "other")])) == 0
    said = capsys.readouterr().out
    assert cli.run(parse(["report", str(there), f"--{form}", str(tmp_path / "one")])) == 0
    assert said == (tmp_path / "one").read_text() and (tmp_path / "other").exists()


@pytest.mark.parametrize(("place", "said"), [("tavern/flavor.toml", "is no report"), ("no/r.html", "its folder is not there")])
def test_where_it_cannot_be_written_is_said_before_it_measures(there, tmp_path, monkeypatch, capsys, place, said):
    async def start(session):
        raise FlavorError("The model is loaded now.")
        yield

    monkeypatch.setattr("tui.commands.report.start", start)
    assert cli.run(parse(["report", str(there), "--measure", "--html", str(tmp_path / place)])) == 1
    assert said in capsys.readouterr().err


def test_numbers_keep_their_names():
    """In columns under their head, though the row's name is long; or beside each, where a row is told in a paragraph."""
    cover = Table(
        ("Mood \\ Price", "1", "2"), (("As calm as a pond in winter, or as nearly so as ponds are", "3", "·"),), frozenset({1, 2})
    )
    assert not terminal.of_texts(cover)
    odd = Table(("loss", "far", "row"), (("2.20", "3.1", "A pot of its own, whose cook has left for the sea."),), frozenset({0, 1}))
    assert terminal.of_texts(odd) and terminal.told(odd, 60)[0].startswith("· loss 2.20 far 3.1 A pot")


def test_no_text_reaches_the_terminal_as_it_is(session):
    session.write_example(HOSTILE, {})
    for candidate in sample(session, "base", ["A dish.\n" + HOSTILE]):
        session.decide(candidate.uid, "accept")
    for section, text in terminal.text_of(report_of(session), 60):
        assert not any(map(has_controls, text.splitlines())), section.title
        assert all(len(line) <= 60 for line in text.splitlines()), (section.title, text)


def test_durations_in_words():
    assert [spent(seconds) for seconds in (0, 29, 60, 3599, 3600, 7500)] == [
        "under a minute",
        "under a minute",
        "1 min",
        "1 h 00 min",
        "1 h 00 min",
        "2 h 05 min",
    ]


def test_a_report_does_not_overwrite_what_it_cannot_read(session, tmp_path):
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(FlavorError, match="cannot be written"):
        write_report(report_of(session), tmp_path / "folder.md", "md")


def test_of_very_many_checkpoints_the_newest_and_the_decided_are_judged(session):
    write(session, 12)
    for _ in range(6):
        bake(session, [4.0] + [3.5] * 9)
    decide(session, "0001/epoch-03", kept=1, rejected=1)
    session.registry.use("0001/epoch-01")
    told = report_of(session)
    assert len(told.checkpoints) == 42 and told.left_out == 12
    assert [each.name for each in told.checkpoints][-2:] == ["0001/epoch-01", "0001/epoch-03"]
    assert any("12 older ones are on Runs" in text for _, text in terminal.text_of(told))
