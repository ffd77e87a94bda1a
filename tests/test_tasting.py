"""The gauges of a workspace from its files: courses over a lineage, what is cached, and what to do next."""

import fcntl
import hashlib
import random
import shutil
from dataclasses import replace

import msgspec
import pytest

from core import runfiles
from core.errors import FlavorError
from core.runfiles import Result
from dataset.folds import held_out
from tests.made import bake, refit, sample, write
from tui.session.advice import _better, _gain, next_step, retraining_pays
from tui.session.tasting import MOST_TEXTS, against


def test_verdicts_of_a_run(session):
    write(session, 12)
    bake(session, [4.0, 3.4, 3.2, 3.22, 3.5], recall=0.05)
    words = [session.tasting.readings(f"0001/epoch-{epoch:02}").verdict.word for epoch in range(1, 5)]
    assert words == ["underbaked", "good", "good", "overbaked"]
    assert session.tasting.readings("base").verdict.sentence == "This is the base: nothing was trained."
    with pytest.raises(FlavorError, match="no checkpoint '0009/epoch-01'"):
        session.tasting.readings("0009/epoch-01")
    (session.registry.folder / "0001/checkpoints/epoch-02/checkpoint.json").write_text("{")
    assert "damaged" in session.tasting.readings("0001/epoch-02").verdict.sentence


def test_a_lineage_is_one_course(session):
    """Each top-up looks well by itself; over the lineage the loss has risen. The rows held out are not the same each time."""
    write(session, 12)
    best = bake(session, [4.0, 3.2, 3.0])
    write(session, 3, 12)
    bake(session, [3.3, 3.34, 3.35], base=4.4)  # harder rows: the parent's 3.0 is 3.3 on them
    last = bake(session, [3.35, 3.38, 3.40])
    course = session.tasting.course(last)
    assert [name for name, _ in course.points] == [
        "base", "0001/epoch-01", "0001/epoch-02", "0002/epoch-01", "0002/epoch-02", "0003/epoch-01", "0003/epoch-02",
    ]  # fmt: skip
    assert course.from_base and dict(course.points)[best] == pytest.approx(3.3)
    assert dict(course.points)["base"] == pytest.approx(4.4)
    verdict = session.tasting.readings(last).verdict
    assert (
        verdict.word == "overbaked" and verdict.sentence == "Held-out loss has risen by 3 % since 0001/epoch-02, on 3 held-out rows only."
    )


def test_rows_seen_before_they_were_held_out(session):
    """As an earlier version wrote them down."""
    write(session, 12)
    last = bake(session, [3.0, 3.5], base=4.0)
    folder, rows = session.registry.folder / "0001", session.registry.rows("0001").values()
    data = runfiles.encode_rows([msgspec.structs.replace(row, seen=1.0) for row in rows])
    (folder / "rows.jsonl").write_bytes(data)
    spec = msgspec.structs.replace(session.registry.run("0001").spec, rows_sha256=hashlib.sha256(data).hexdigest())
    runfiles.write(folder / "run.json", spec)
    verdict = session.tasting.readings(last).verdict
    assert verdict.word == "cannot tell yet" and "trained on earlier in this lineage" in verdict.sentence
    assert not any(row.held_out for row in session.plan().rows)


def test_what_a_lineage_was_trained_on_is_never_held_out_in_it(session):
    write(session, 7)  # too few to hold any out
    bake(session, [None, None])
    write(session, 63, 7)
    bake(session, [3.0, 2.9], base=4.0)
    held = {uid for uid, row in session.registry.rows("0002").items() if row.held_out}
    assert held and min(held) > "row06"
    session.delete_example("row01")  # all later ones move up
    write(session, 10, 70)
    rows = {row.id: row for row in session.plan().rows}
    assert {uid for uid, row in rows.items() if row.held_out and uid < "row70"} == held
    assert any(row.held_out for uid, row in rows.items() if uid >= "row70") and not any(row.seen for row in rows.values() if row.held_out)


def test_a_row_that_was_away_for_a_run_is_known_all_the_same(session):
    write(session, 7)
    bake(session, [None, None])
    write(session, 63, 7)
    away = min(held_out(session.store.examples))
    assert away in session.registry.learned("0001/epoch-01")
    session.delete_example(away)
    bake(session, [3.0, 2.9], base=4.0)
    session.undo()
    assert session.plan().spec.parent == "0002/epoch-01"
    assert not next(row for row in session.plan().rows if row.id == away).held_out
    assert next(row for row in session.plan(fresh=True).rows if row.id == away).held_out  # nothing was trained on it then


def test_readings_are_made_anew_only_when_something_changed(session, monkeypatch):
    from tui.session import tasting

    calls = []
    judge = tasting.judge
    monkeypatch.setattr(tasting, "judge", lambda *given: calls.append(given) or judge(*given))
    write(session, 12)
    last = bake(session, [4.0, 3.2, 3.18])
    first = session.tasting.readings(last)
    made = sample(session, "base", ["A soup of the base."])
    session.decide(made[0].uid, "reject")
    assert session.tasting.readings(last) is first and len(calls) == 1
    sample(session, last, [f"Soup {n} is sung by {n} cooks." for n in range(MOST_TEXTS + 5)])
    second = session.tasting.readings(last)
    assert second is not first and len(calls[-1][2]) == MOST_TEXTS
    session.decide(next(iter(session.store.pending)), "accept")
    assert session.tasting.readings(last) is second  # the text is the same, whatever was decided of it
    assert calls[-1][3] and all(source.human for source in calls[-1][3])


def test_an_accepted_text_is_no_copy_of_itself(session):
    write(session, 12)
    made = sample(session, "base", [f"Broth {n} was found under the {n} floorboards by a cat called {n}." for n in range(9)])
    for candidate in made:
        session.decide(candidate.uid, "accept")
    assert session.tasting.readings("base").number("longest span") == 0


def test_a_checkpoint_is_judged_at_its_full_strength(session):
    write(session, 12)
    name = bake(session, [4.0, 3.2])
    sample(session, name, ["never ends and"] * 9, finish="length", strength=1.2)
    assert session.tasting.readings(name).number("natural stop") is None
    sample(session, name, [f"Broth {n} was found under the {n} floorboards by a cat called {n}." for n in range(9)])
    assert session.tasting.readings(name).number("natural stop") == 1


def test_numbers_are_shown_with_what_they_are_held_against(session):
    write(session, 12)
    sample(session, "base", ["One soup."] * 3)
    reading = next(reading for reading in session.tasting.readings("base").readings if reading.name == "natural stop")
    assert against(reading) == "100 % (56 to 100 %)"


# -- what to do next


def decide(session, checkpoint, kept, rejected, edited=0):
    draw = random.Random(checkpoint)
    texts = [" ".join("".join(draw.choices("abcdefgh", k=5)) for _ in range(8)) for _ in range(kept + rejected)]
    made = sample(session, checkpoint, texts)
    for number, candidate in enumerate(made):
        change = candidate.text + " Twice." if number < edited else None
        session.decide(candidate.uid, "accept" if number < kept else "reject", change)


def test_the_first_steps(session):
    assert next_step(session).action == "write"
    write(session, 7)
    assert next_step(session).sentence == "Write more: 7 rows of yours so far, and from 8 on some can be held out to measure by."
    write(session, 5, 7)
    assert next_step(session).action == "retrain afresh"
    session.registry.live = "0001"
    assert next_step(session).sentence == "Curate or write meanwhile: 0001 is being trained."
    session.registry.current = lambda: "0001/refit-02"
    assert next_step(session).sentence == "Curate or write meanwhile: 0001/refit-02 is in use and is measured."


def test_an_interrupted_run_and_one_that_is_to_begin(session):
    write(session, 12)
    session.registry.create(session.plan().spec, session.plan().rows, ())
    assert next_step(session).sentence.startswith("Retrain: run 0001 was interrupted. A on Runs carries it out once more")
    epoch = bake(session, [4.0, 3.2])
    (session.registry.folder / "0002/result.json").unlink()  # a person took its epoch while it went on: what remained is lost
    assert next_step(session).sentence.startswith("Retrain: run 0002 was interrupted.")
    refit(session, epoch)
    (session.registry.folder / "0002/result.json").unlink()  # in its second repetition: the first was measured
    assert next_step(session).sentence.startswith("Retrain: run 0002 was interrupted.")
    shutil.rmtree(session.registry.checkpoint_folder(epoch))  # what was trained on all rows first is active, and was to be measured
    assert next_step(session).sentence.startswith("Curate: 0002/refit-01 was ready before run 0002 was interrupted. Only its measuring")
    session.wish = session.plan
    assert next_step(session).sentence == "Curate or write meanwhile: a retraining begins as soon as the model is ready."


def test_a_run_of_another_program_goes_on(session):
    write(session, 12)
    bake(session, [4.0, 3.2])
    plan = session.plan()
    folder = session.registry.create(plan.spec, plan.rows)
    with open(folder / "metrics.jsonl", "wb") as metrics:
        fcntl.flock(metrics, fcntl.LOCK_EX)  # as its worker holds it
        assert next_step(session).sentence == "Curate or write meanwhile: 0002 is being trained."
    assert next_step(session).sentence.startswith("Retrain: run 0002 was interrupted.")


def test_a_bad_checkpoint(session):
    write(session, 12)
    bake(session, [4.0, 3.2, 3.19, 3.5])
    assert next_step(session).sentence == "Use 0001/epoch-02: it is good, as far as its training tells, while 0001/epoch-03 is overbaked."
    bake(session, [3.5, 3.6])
    step = next_step(session)
    assert (step.action, step.sentence) == ("retrain afresh", "Retrain afresh (T): 0002/epoch-01 is overbaked.")
    assert step.reasons == ("Held-out loss has risen by 13 % since 0001/epoch-02, on 3 held-out rows only.",)


def test_an_overbaked_checkpoint_that_was_trained_afresh(session):
    """To train it afresh once more would give the same."""
    write(session, 12)
    bake(session, [4.0, 4.4, 4.9])
    step = next_step(session)
    assert step.action == "write" and step.sentence.startswith("Write more: 0001/epoch-02 is overbaked, though it was trained afresh.")
    write(session, 12, 12)
    assert next_step(session).sentence == "Retrain afresh (T): 0001/epoch-02 is overbaked."


def test_an_underbaked_checkpoint(session):
    write(session, 12)
    bake(session, [4.0, 3.2])
    assert next_step(session).sentence == "Bake on (t): 0001/epoch-01 is underbaked."


def stay(session, losses):
    """A run from the active checkpoint that ends with it: there was nothing new to learn."""
    parent = session.registry.current()
    rejected = bake(session, losses, base=4.0)
    runfiles.write(session.registry.folder / rejected.split("/")[0] / "result.json", Result("done", checkpoint=parent))
    session.registry.use(parent)
    return rejected


def test_baking_on_that_brought_nothing_is_not_asked_for_again(session):
    write(session, 12)
    first = bake(session, [4.0, 3.2])
    stay(session, [3.2, 3.5, 3.6])
    end = "Write more: 0001/epoch-01 is underbaked, and baking it on brought nothing."
    assert next_step(session).sentence == end
    rejected = stay(session, [3.2, 3.24, 3.24])
    assert session.tasting.readings(rejected).verdict.word == "good"  # by itself: its run knew better
    assert next_step(session).sentence == end
    session.registry.use("base")
    sentence = f"Use {first}, and write more: it is underbaked, baking it on brought nothing, and the base is active."
    assert next_step(session).sentence == sentence
    session.registry.use(first)
    write(session, 1, 12)
    assert next_step(session).sentence == f"Retrain (t): {first} is underbaked."


def test_a_choice_that_cannot_be_read_is_not_advised(session):
    write(session, 12)
    damaged = bake(session, [4.0, 3.2])
    (session.registry.checkpoint_folder(damaged) / "checkpoint.json").write_text("{")
    session.registry.use("base")
    assert next_step(session).sentence == "Retrain (t): 12 examples, and the base is active."


def test_a_good_checkpoint(session):
    write(session, 12)
    good = bake(session, [4.0, 3.2, 3.19])
    assert next_step(session).sentence.startswith("Curate more: 0 decisions on candidates")
    decide(session, good, kept=2, rejected=22)
    assert next_step(session).sentence == "Write more: only 2 of 24 kept; rows of your own teach most."
    for _ in range(24):
        session.undo()
    decide(session, good, kept=5, rejected=4)
    assert next_step(session).sentence == "Curate more: 5 of 9 kept, 5 new rows so far; from 6 on a retrain pays."
    write(session, 1, 12)
    assert next_step(session).sentence == "Retrain (t): 6 rows of the dataset are new to 0001/epoch-02."


def test_when_to_stop(session):
    write(session, 12, ids="00")  # before those of what is edited later, as ids that sort by time are
    good = bake(session, [4.0, 3.2, 3.19])
    decide(session, good, kept=10, rejected=2, edited=2)
    better = bake(session, [3.19, 3.18], base=4.0)
    decide(session, better, kept=10, rejected=2)
    step = next_step(session)
    assert step.action == "stop" and step.sentence.startswith("Stop here: 10 of 12 kept, no more than the 10 of 12 before")
    assert step.reasons[0] == session.tasting.readings(better).verdict.sentence
    assert "10 of 12 were kept: 61 % to 95 % of what it shows you; the edited ones were changed by 11 %." in step.reasons[1]


@pytest.mark.parametrize(
    ("losses", "base", "action"), [([4.4, 3.52, 3.51], 4.4, "stop"), ([4.4, 3.2, 3.19], 4.4, "retrain"), ([4.4, 3.5], None, "retrain")]
)
def test_runs_afresh_are_held_against_the_base(session, losses, base, action):
    """Of 4.0 the first left 3.19, four fifths. What the second leaves of its own base tells, other rows or not; and nothing where none is known."""
    write(session, 12)
    good = bake(session, [4.0, 3.2, 3.19], base=4.0)
    decide(session, good, kept=10, rejected=2)
    better = bake(session, losses, base=base, fresh=True)
    assert session.registry.run("0002").spec.parent is None
    decide(session, better, kept=10, rejected=2)
    assert next_step(session).action == action


@pytest.mark.parametrize(("kept_before", "loss_before"), [(3, 3.19), (10, 3.6)])
def test_when_not_to_stop(session, kept_before, loss_before):
    """More is kept than in the round before, or the last run lowered the loss: it is still getting better."""
    write(session, 12)
    good = bake(session, [4.0, 3.2, 3.19])
    decide(session, good, kept=kept_before, rejected=12 - kept_before)
    better = bake(session, [loss_before, 3.19, 3.18], base=4.4)
    decide(session, better, kept=10, rejected=2)
    assert session.tasting.readings(better).verdict.word == "good"
    assert next_step(session).action == "retrain"


def test_write_more_ends_when_it_was_done(session):
    write(session, 12)
    good = bake(session, [4.0, 3.2, 3.19])
    decide(session, good, kept=2, rejected=22)
    assert next_step(session).action == "write"
    write(session, 20, 12)
    assert next_step(session).sentence == f"Retrain (t): 22 rows of the dataset are new to {good}." and retraining_pays(session) == 22


def test_the_line_of_activity_offers_no_retraining_before_some_can_be_held_out(session):
    """Machine rows are no rows of yours."""
    write(session, 7)
    decide(session, "base", kept=8, rejected=0)
    assert next_step(session).action == "write" and retraining_pays(session) == 0
    write(session, 1, 7)
    assert next_step(session).action == "retrain afresh" and retraining_pays(session) == 16


def test_the_line_of_activity_counts_what_a_run_would(session):
    write(session, 12)
    good = bake(session, [4.0, 3.2, 3.19])
    said = {uid: example.text for uid, example in session.store.examples.items()}
    for uid, text in list(said.items())[:7]:
        session.change_example(uid, f"{text} Again.", {})
    assert retraining_pays(session) == session.planner.new_rows(good) == session.plan().spec.new_rows == 7
    for _ in range(7):
        session.undo()
    assert retraining_pays(session) == session.planner.new_rows(good) == 0
    task = msgspec.structs.replace(session.settings.task, heading="Another")
    session.settings = msgspec.structs.replace(session.settings, task=task)
    assert retraining_pays(session) == session.planner.new_rows(good) == 12


def alike(session, checkpoint, count=9):
    """Texts that all begin alike, which condemns a checkpoint whose loss no longer falls."""
    draw = random.Random(checkpoint)
    sample(session, checkpoint, ["Once upon a " + " ".join("".join(draw.choices("abcdefgh", k=5)) for _ in range(8)) for _ in range(count)])


def apart(session, checkpoint, count=9):
    draw = random.Random(checkpoint)
    sample(session, checkpoint, [" ".join("".join(draw.choices("abcdefgh", k=5)) for _ in range(11)) for _ in range(count)])


def test_texts_condemn_and_only_one_with_texts_is_better(session):
    write(session, 12)
    older = bake(session, [4.0, 3.3, 3.2, 3.19])
    bake(session, [4.0, 3.3, 3.2, 3.19], base=4.0, fresh=True)
    name = refit(session, "0002/epoch-03")
    alike(session, name)
    assert session.tasting.readings(name).verdict.decided == ("openings",)
    assert session.tasting.readings("0002/epoch-02").verdict.word == session.tasting.readings("0002/epoch-03").verdict.word == "good"
    assert next_step(session).action == "write"  # the unsampled ones have no texts to be judged by
    apart(session, "0002/epoch-03")
    assert next_step(session).action == "write"  # the same training on fewer rows
    apart(session, older)
    assert next_step(session).sentence == f"Use {older}: it is good, while {name} is overbaked."
    apart(session, "0002/epoch-02")
    assert next_step(session).sentence == f"Use 0002/epoch-02: it is good, while {name} is overbaked."


def test_a_checkpoint_of_which_clearly_more_was_kept(session):
    write(session, 12, ids="00")
    first = bake(session, [4.0, 3.2, 3.19])
    decide(session, first, kept=13, rejected=7)
    second = bake(session, [4.0, 3.2, 3.19], base=4.0, fresh=True)
    decide(session, second, kept=0, rejected=15)
    assert next_step(session).sentence == f"Use {first}: 13 of 20 of its texts were kept, 0 of 15 of this one's."
    session.registry.use(first)  # to learn the thirteen once more would give the second again
    assert next_step(session).sentence == "Curate more: 13 of 20 kept, 0 new rows so far; from 6 on a retrain pays."
    assert retraining_pays(session) == 0
    session.registry.use(second)
    (session.registry.folder / "0001/checkpoints/epoch-02/checkpoint.json").unlink()
    assert next_step(session).action == "write"


def test_stop_says_what_is_true(session):
    write(session, 12, ids="00")
    decide(session, "base", kept=8, rejected=2)
    good = bake(session, [4.0, 3.2, 3.19])
    decide(session, good, kept=6, rejected=4)
    assert next_step(session).action == "retrain"  # the base's is no round before
    better = bake(session, [3.19, 3.2], base=4.0)
    decide(session, better, kept=8, rejected=2)
    assert (
        next_step(session).sentence
        == "Stop here: 8 of 10 kept, not clearly more than the 6 of 10 before, and the last run did not lower the loss."
    )
    write(session, 6, 12, ids="00")
    assert next_step(session).action == "retrain"  # rows of yours that were never learned
    session.registry.use(good)
    assert next_step(session).action == "retrain"  # what came later is no round before


def test_no_stop_by_a_run_that_is_not_the_last_or_by_one_of_another_base(session):
    write(session, 12, ids="00")
    decide(session, bake(session, [4.0, 3.2, 3.19]), kept=8, rejected=2)
    better = bake(session, [3.19, 3.2], base=4.0)
    decide(session, better, kept=8, rejected=2)
    assert next_step(session).action == "stop"
    stay(session, [3.19, 3.5, 3.6])  # it came out of the last run as the better one
    assert next_step(session).sentence.endswith("and the last run did not lower the loss.")
    last = bake(session, [3.2, 2.9, 2.89], base=4.0)
    session.registry.use(better)
    assert next_step(session).action != "stop" and _gain(session, better) is None
    model = msgspec.structs.replace(session.settings.model, base="another")
    session.settings = msgspec.structs.replace(session.settings, model=model)
    other = bake(session, [4.0, 3.3, 3.29], base=4.0, fresh=True)  # it leaves more of its base than the last one did of the other
    assert _gain(session, other) is None
    decide(session, other, kept=8, rejected=2)
    assert not any("0001" in reason or "0002" in reason for reason in next_step(session).reasons)
    assert session.planner.fits(other) and not session.planner.fits(last) and session.tasting.readings(other).verdict.word == "good"
    assert next_step(session).action != "stop"


def test_what_came_out_of_a_bake_on_is_the_refit_that_it_began_with(session):
    write(session, 12)
    kept = refit(session, bake(session, [4.0, 3.2]))
    assert session.plan().spec.parent == "0001/epoch-01"
    bake(session, [3.2, 3.5, 3.6], base=4.0)
    runfiles.write(session.registry.folder / "0002/result.json", Result("done", checkpoint="0001/epoch-01"))
    session.registry.use("base")
    assert next_step(session).sentence.startswith(f"Use {kept}, and write more")


def test_an_interrupted_run_whose_refit_is_measured_left_nothing_to_be_missed(session):
    write(session, 12)
    bake(session, [4.0, 3.4, 3.2, 3.19])
    refit(session, "0001/epoch-02")
    (session.registry.folder / "0001/result.json").unlink()
    assert "interrupted" not in next_step(session).sentence


def test_the_base_is_active_and_a_good_checkpoint_is_there(session):
    write(session, 12)
    good = bake(session, [4.0, 3.2, 3.19])
    bake(session, [3.19, 3.6], base=4.0)
    session.registry.use("base")
    assert next_step(session).sentence == f"Use {good}: it is good, and the base is active." and retraining_pays(session) == 0
    write(session, 6, 12)
    assert next_step(session).sentence == "Retrain (t): 18 examples, and the base is active." and retraining_pays(session) == 6


def few_rows(session):
    """As the settings have it by themselves: that many rows are few, and trained afresh."""
    training = msgspec.structs.replace(session.settings.training, topup_from=64)
    session.settings = msgspec.structs.replace(session.settings, training=training)


@pytest.mark.parametrize(
    ("losses", "action", "sentence"),
    [
        ([4.0, 3.2], "use another", "Use 0001/epoch-01, and bake it on (t): it is underbaked, and the base is active."),
        ([4.0, 4.4, 4.9], "write", "Write more: 0001/epoch-02 is overbaked, and of the same rows the next one would be."),
    ],
)
def test_the_base_is_active_and_every_row_is_known(session, losses, action, sentence):
    """Who trained on them once more would get the same."""
    write(session, 12)
    bad = bake(session, losses)
    session.registry.use("base")
    assert (next_step(session).action, next_step(session).sentence) == (action, sentence) and retraining_pays(session) == 0
    few_rows(session)
    session.delete_example(next(iter(session.store.examples)))  # what is trained then is something else
    word = "underbaked" if action == "use another" else "overbaked"
    assert next_step(session).sentence == f"Retrain (t): {bad} is {word}, and the base is active."


def test_who_went_back_to_a_bad_checkpoint_is_sent_to_the_newest(session):
    write(session, 12)
    older = bake(session, [4.0, 3.2])
    write(session, 12, 12)
    newest = bake(session, [4.0, 3.2, 3.19], base=4.0, fresh=True)
    session.registry.use(older)
    sentence = f"Use {newest}, the newest run's choice, against which nothing speaks: {older} is underbaked."
    assert next_step(session).sentence == sentence and retraining_pays(session) == 0


def test_an_underbaked_checkpoint_of_which_a_row_is_gone_is_not_baked_on(session):
    write(session, 12)
    bake(session, [4.0, 3.2])
    session.delete_example(next(iter(session.store.examples)))
    assert next_step(session).sentence == "Bake on (t): 0001/epoch-01 is underbaked."  # with many rows it goes on all the same
    few_rows(session)
    assert next_step(session).sentence == "Retrain (t): 0001/epoch-01 is underbaked."


def test_what_was_trained_on_another_base_is_of_no_use(session):
    """Its run would fail, and it cannot be sampled."""
    write(session, 12)
    good = bake(session, [4.0, 3.2, 3.19])
    assert session.plan().spec.parent == good
    session.settings = msgspec.structs.replace(session.settings, lora=msgspec.structs.replace(session.settings.lora, r=32))
    assert session.plan().spec.parent is None and retraining_pays(session) == 12
    sentence = f"Retrain afresh (T): {good} was trained on another base, or with another [lora], and no other will do."
    assert next_step(session).sentence == sentence
    session.registry.use("base")
    assert next_step(session).sentence == "Retrain (t): 12 examples, and the base is active."


def test_the_epoch_of_a_refit_that_recites_is_better(session):
    write(session, 12)
    bake(session, [4.0, 3.3, 3.2, 3.6])
    name = refit(session, "0001/epoch-02")
    verdict = replace(session.tasting.readings(name).verdict, word="overbaked", decided=("recitation",))
    assert _better(session, name, verdict) == "0001/epoch-02"
    assert not _better(session, name, replace(verdict, decided=("held-out loss",)))  # which is the epoch's


def test_the_active_checkpoint_is_gone(session):
    write(session, 12)
    bake(session, [4.0, 3.4, 3.2])
    shutil.rmtree(session.registry.folder / "0001/checkpoints/epoch-02")
    assert next_step(session).sentence == "Choose another checkpoint on Runs: 0001/epoch-02 is not there any more."
    shutil.rmtree(session.registry.folder / "0001/checkpoints")
    assert next_step(session).sentence == "Retrain afresh (T): 0001/epoch-02 is not there any more, and no other will do."
    bake(session, [4.0, 3.4, 3.2, 3.19], fresh=True)
    shutil.rmtree(session.registry.folder / "0002/checkpoints/epoch-03")
    assert next_step(session).sentence == "Use 0002/epoch-02: it is good, and 0002/epoch-03 is not there any more."
