"""Readings from what training measured: the held-out loss and its course, recitation, the end token, drift."""

from __future__ import annotations

from core.gauges.reading import NO_COURSE, Course, Evidence, Measured, Reading, Says, percent, shown
from core.gauges.thresholds import THRESHOLDS, Thresholds
from core.text import counted


def of_training(measured: Measured, course: Course = NO_COURSE, held_out: int | None = None, at: Thresholds = THRESHOLDS) -> list[Reading]:
    """All readings that need no sampled text, for what was measured. `held_out` rows are held out; None where nobody knows."""
    found = [_held_out(measured, course, held_out, at), _recall(measured, at), *_end(measured, at)]
    if measured.loss is not None:
        beside = f", {measured.held_out_loss:.3f} on held-out rows" if measured.held_out_loss is not None else ""
        found.append(
            Reading(
                "training loss", measured.loss, f"On the trained rows the loss is {measured.loss:.3f} nats a token{beside}.", unit="nats"
            )
        )
    if measured.drift is not None:
        sentence = f"On texts of other kinds its guesses have moved from the base's by {measured.drift:.3f} nats a token."
        found.append(Reading("drift", measured.drift, sentence, unit="nats"))
    if measured.seen is not None:
        found.append(
            Reading("seen", measured.seen, f"Half of the rows were seen for {shown(measured.seen, 'epochs')} or more.", unit="epochs")
        )
    return [reading for reading in found if reading]


def _held_out(measured: Measured, course: Course, rows: int | None, at: Thresholds) -> Reading | None:
    loss = measured.held_out_loss
    if loss is None:
        return None
    says, sentence = _course(measured.name, loss, course, at)
    if course.leaked:
        says = ""
        some = "One held-out row was" if course.leaked == 1 else f"{course.leaked} of the held-out rows were"
        sentence = f"{some} trained on earlier in this lineage, so the held-out loss tells little until a retrain afresh."
    elif rows is not None and rows < at.least_held_out:
        says, sentence = "", f"Held-out loss is {loss:.3f}, but with {rows} held-out row it tells little."
    elif says and rows is not None and rows < at.few_held_out:
        sentence = f"{sentence[:-1]}, on {counted(rows, 'held-out row')} only."
    best = min((other for _, other in course.points), default=None)
    evidence = tuple(Evidence(f"{other:.3f}", name) for name, other in course.points)
    return Reading("held-out loss", loss, sentence, reference=best, unit="nats", says=says, evidence=evidence)


def _course(name: str, loss: float, course: Course, at: Thresholds) -> tuple[Says, str]:
    """What the course of the held-out loss says of the checkpoint `name`, and the sentence.

    For a course that falls and then rises the answers go under, fine, over, in this order.
    """
    places = [place for place, (other, _) in enumerate(course.points) if other == name]
    place = places[-1] if places else len(course.points)
    before, later = course.points[:place], course.points[place + 1 :]
    if not before and not later:
        return "", f"Held-out loss is {loss:.3f}; there is nothing yet to hold it against."
    best, lowest = min(before, key=lambda point: point[1], default=(name, loss))
    if loss > lowest * (1 + at.risen):
        return "over", f"Held-out loss has risen by {percent(loss / lowest - 1)} since {best}."
    if course.from_base and before and min(loss, lowest) > before[0][1] * (1 - at.hardly_moved):
        return "under", f"Held-out loss has hardly moved from the base's: {loss:.3f} against {before[0][1]:.3f}."
    after, lower = min(later, key=lambda point: point[1], default=(name, loss))
    if lower < loss * (1 - at.falling):
        return "under", f"Held-out loss went on falling: it is lower by {percent(1 - lower / loss)} at {after}."
    if before and not later and loss < before[-1][1] * (1 - at.falling):
        return "under", f"Held-out loss is still falling: by {percent(1 - loss / before[-1][1])} since {before[-1][0]}."
    if round(loss, 3) <= round(min(lower, lowest), 3):  # as they are shown
        return "fine", f"Held-out loss, {loss:.3f}, is at its lowest."
    return "fine", f"Held-out loss, {loss:.3f}, is close to its lowest, {min(lower, lowest):.3f}."


def _recall(measured: Measured, at: Thresholds) -> Reading | None:
    recall, unseen = measured.recall, measured.recall_held_out
    if recall is None:
        return None
    known = at.unseen_recall if unseen is None else unseen
    against = f"{percent(known)} on unseen rows" if unseen is not None else f"about {percent(known)} that is usual on unseen rows"
    if recall - known > at.recited:
        return Reading(
            "recitation",
            recall,
            f"The rows are recited: {percent(recall)} of their tokens are known by heart, against {against}.",
            reference=known,
            says="over",
        )
    return Reading(
        "recitation",
        recall,
        f"The rows are not recited: {percent(recall)} of their tokens are known by heart, against {against}.",
        reference=known,
        says="fine",
    )


def _end(measured: Measured, at: Thresholds) -> list[Reading]:
    found = []
    if (end := measured.p_end) is not None:
        learnt = end >= at.end_learnt
        known = "is learned" if learnt else "is not learned yet"
        sentence = f"Ending {known}: at the true end of a row it has a probability of {percent(end)}."
        found.append(Reading("end", end, sentence, says="fine" if learnt else "under"))
    if (early := measured.p_end_early) is not None:
        sentence = f"Before the true end, the likeliest place to end has a probability of {percent(early)}."
        found.append(Reading("early end", early, sentence, reference=measured.p_end))
    return found
