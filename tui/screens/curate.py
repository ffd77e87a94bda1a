"""Curate: one candidate large, decided with one key; the queue beside it. Sampling goes on behind while the person decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from time import monotonic

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer

from core.errors import FlavorError
from core.task import Task
from core.text import assigned, counted, short
from dataset.rows import Candidate, Op, Verdict
from tui import keys
from tui.screens.page import Page
from tui.widgets.chrome import WIDE
from tui.widgets.plain import Plain, line, plain

READING = 15.0
"""Seconds for which a card stays, though it has just been retrained and one of the new checkpoint is there: it is being read."""
GLANCE = 0.8
"""Seconds after a card has changed without a key, in which a key was still meant for the one before."""


def flag_line(candidate: Candidate, copied: int) -> Content:
    """The gauges of a card: each with a sign and words."""
    ended = ("✓ ended by itself", "$text-success") if candidate.finish == "stop" else ("! cut off, never ended", "$text-warning")
    copying = (
        (f"✓ copied {counted(copied, 'word')} at most", "$text-success")
        if copied < 8
        else (f"! copies {copied} words of an example", "$text-warning")
    )
    if copied == 0:
        copying = ("✓ nothing copied", "$text-success")
    rest = [flag for flag in candidate.flags if flag != "never ended" and not flag.startswith("copies ")]
    parts: list[str | tuple[str, str]] = [ended, "   ", copying]
    for flag in rest:
        parts += ["   ", (f"! {flag}", "$text-warning")]
    return line(*parts)


def fields_line(fields: Mapping[str, str], task: Task, made_up: Collection[str] = (), fixed: Mapping[str, str] | None = None) -> Content:
    """`Danger Level 4/5 (fixed) · Disposition Aloof (made up)`, and of what is `fixed` for the next ones what is otherwise here."""
    parts: list[str | tuple[str, str]] = []
    scales = {field.name for field in task.fields if field.kind == "scale"}
    coming = dict(fixed or {})
    for name, value in fields.items():
        parts += [" · " if parts else "", (name + " ", "$text-muted"), f"{value}/5" if name in scales else value]
        if name in made_up:
            parts.append((" (made up)", "$text-accent"))
        elif coming.get(name) == value:
            parts.append((" (fixed)", "$text-accent"))
            del coming[name]
    if coming:
        said = ", ".join(f"{name} {value}" for name, value in coming.items())
        parts.append((f"{'   ' if parts else ''}next: {short(said, 40)}", "$text-accent"))
    return line(*parts)


def decided_here(last: Op) -> bool:
    """Whether it was a decision of a candidate that waited: what is kept after all is decided in Library."""
    return last.kind == "decide" and any(candidate and candidate.state == "pending" for candidate in last.was.candidates.values())


class CurateScreen(Page):
    """The card and its queue."""

    CSS_PATH = "curate.tcss"
    MODE = "curate"
    BINDINGS = keys.bindings("curate")
    HELP = """
# Curate
Each card is a text that the active checkpoint wrote. **a** takes it as an example, **x** throws it away, **e** lets you mend it,
or its attributes, first, **space** decides nothing. **u** takes the last decision back, as far back as you like, also after a restart.
Where the last thing was no decision, **u** says what it was, and takes it back when it is pressed once more.

When some new examples have come together, **t** retrains: from the base while the examples are few, else the adapter goes on from
where it is. **T** always starts from the base.
You can go on deciding meanwhile: where few cards are left, the retraining waits for more. From the base and with few rows its first checkpoint
is active as soon as all of them were trained, and the cards come from it; then its loss is measured, which may bring a better one.

Some cards are about something new, **made up** by the base after what your examples are about: more of them come where you keep them, fewer
where you do not, and **e** mends what is made up as well. Where you fix such an attribute with **f**, what you fixed stays.

Beside the heading stands why a card is where it is. **by gauges**: what can be seen of a text alone, until eight kept and eight rejected ones have
taught more. **predicted 0.80**: what your decisions say it has for a chance to be kept. **most uncertain**, **most novel** and **at random**: places
kept for such texts, so that you see more than what pleases already, and so that Report can say what the order gains.
"""

    def __init__(self) -> None:
        super().__init__()
        self.shown: str | None = None
        self._looked_at = ""
        """The card that is on the screen, and not about to go by a key."""
        self._turned = 0.0
        """When a card that was looked at gave way to another without a key: to a newer checkpoint's, as a rule."""
        self._came = 0.0
        """When the card came."""
        self._again: Timer | None = None
        """Looks whether the card may give way, when it has been read."""

    def body(self) -> ComposeResult:
        with Horizontal(id="desk"):
            with Vertical(id="card"):
                with Horizontal(id="card-head"):
                    yield Plain(id="heading")
                    yield Plain(id="place")
                yield Plain(id="fields")
                with VerticalScroll(id="text-scroll", can_focus=True):
                    yield Plain(id="text")
                yield Plain(id="flags")
            yield VerticalScroll(Plain(id="queue"), id="queue-side", can_focus=False)

    def on_mount(self) -> None:
        self.shown = self.shown or self.flavor.desk.card
        self.query_one("#text-scroll").focus()

    def on_screen_suspend(self) -> None:
        if not self.app.screen.is_modal:  # the card under a dialog is still the one that is being looked at
            self._looked_at = ""

    def on_resize(self) -> None:
        if self.is_mounted and self._has_side():  # it has room only now
            self.renew()

    def candidate(self) -> Candidate | None:
        """The candidate on the card."""
        return self.session.store.pending.get(self.shown) if self.shown else None

    def renew(self) -> None:
        queue = self.session.queue()
        current = self.session.registry.current()
        card = self.candidate()
        first = self._next(queue)  # not an empty text, in whose place an older card would come, and stay
        stale = self.flavor.prefer_new and card is not None and first is not None and self._older(card, first)
        if stale and self._looked_at and (left := self._came + READING - monotonic()) > 0:
            stale = False
            self._look_again(left)
        if card is None or stale:
            card = first
            if self._went_by_itself():
                self._turned = monotonic()
            self.flavor.prefer_new = False
            self.shown = card.uid if card else None
            self.query_one("#text-scroll", VerticalScroll).scroll_home(animate=False)
        if self._looked_at != (self.shown or ""):
            self._came = monotonic()
        self._looked_at = self.shown or ""
        if card:  # also one from the last session, or from before a going back
            self.session.ranking.hold(card.uid)
        self.flavor.desk.keep(card=self.shown or "")
        self.query_one("#heading", Plain).update(plain(f"# {self.session.task.heading}", "bold"))
        if card is None:
            self._empty()
            return
        origin = "" if card.checkpoint == current else f"from {card.checkpoint} · "
        why = self.session.ranking.why(card.uid)
        origin += f"{why} · " if why else ""
        self.query_one("#place", Plain).update(plain(f"{origin}{len(queue)} ready", "$text-muted"))
        self.query_one("#fields", Plain).update(fields_line(card.fields, self.session.task, self.session.made_up(card), self.session.fixed))
        self.query_one("#text", Plain).update(plain(card.text or "(an empty text)"))
        self.query_one("#flags", Plain).update(flag_line(card, self.session.copying.longest(card.text)[0]))
        self._queue(queue, card)

    def _went_by_itself(self) -> bool:
        """Whether the card that was looked at has gone without a key, on it or in a dialog."""
        if not self._looked_at:
            return False
        before = self.session.store.candidates.get(self._looked_at)
        return before is None or before.state in ("pending", "passed")

    def _look_again(self, left: float) -> None:
        """In `left` seconds, if the card is in front then: behind a dialog it stays, and coming back looks anyway."""

        def look() -> None:
            self._again = None
            if self.app.screen is self:
                self.renew()

        if self._again is None:
            self._again = self.set_timer(left, look)

    def _next(self, queue: list[Candidate]) -> Candidate | None:
        """What was taken back, in the order it had, then the first that says something: a text that ended at once is the first to arrive, and
        waits for better ones while they are written. Where a newer checkpoint's come first, what was taken back comes after the next of them."""
        if not self.flavor.prefer_new and (back := self.session.store.returned):
            return back[next(reversed(back))]
        told = [candidate for candidate in queue if candidate.text]
        rest = [] if self.flavor.jobs.samples.busy else queue
        return next(iter(told or rest), None)

    def _older(self, card: Candidate, first: Candidate) -> bool:
        """Whether a card is not what would be sampled now, and the first of the queue is."""
        newest = {candidate.uid for candidate in self.session.newest()}
        return card.uid not in newest and first.uid in newest

    def _has_side(self) -> bool:
        """Whether there is room for the queue. By the size, since the class of a screen's width comes after its first picture."""
        return self.app.size.width >= WIDE

    def _in_turn(self, queue: list[Candidate], card: Candidate) -> list[Candidate]:
        """The queue in the order in which its cards come: behind the one on the desk what was taken back, where nothing newer comes first."""
        back = [] if self.flavor.prefer_new else [one for one in reversed(self.session.store.returned.values()) if one.uid != card.uid]
        if not back:
            return queue
        first = {one.uid: one for one in (card, *back)}
        return [*first.values(), *(one for one in queue if one.uid not in first)]

    def _queue(self, queue: list[Candidate], card: Candidate) -> None:
        side = self.query_one("#queue", Plain)
        if not self._has_side():
            return
        parts: list[str | tuple[str, str]] = [(f"{self.session.ranking.state()}\n\n", "$text-muted"), ("Waiting\n\n", "bold")]
        for candidate in self._in_turn(queue, card)[:40]:
            sign = "▶ " if candidate.uid == card.uid else "! " if candidate.flags else "  "
            head = short(" ".join(candidate.text.split())) or "(an empty text)"
            parts.append((f"{sign}{head}\n", "bold" if candidate.uid == card.uid else "$text-muted"))
            parts.append((f"  {self.session.ranking.why(candidate.uid)}\n\n", "$text-accent"))
        side.update(line(*parts))

    def candidate_arrived(self) -> None:
        """One more waits."""
        self.renew_all()

    def activity_changed(self) -> None:
        """Where there is no card, what is said instead hangs on what the model does."""
        super().activity_changed()
        if self.is_mounted and self.candidate() is None:
            self._empty()

    def _ways(self) -> str:
        """What the person can do meanwhile."""
        jobs, key = self.flavor.jobs, self.flavor.own_key
        if self.session.held_by:
            return f"{key('library')} opens the examples that are there."
        ways = [f"{key('more')} samples some now"] if not jobs.samples.busy and (jobs.waits or jobs.gives_way) else []
        ways += [f"{key('retrain')} retrains first"] if jobs.gives_way else []
        last = f"{key('write')} writes another example" + ("" if ways else f", {key('library')} opens those that are there")
        return ", ".join([*ways, last]) + "."

    def _empty(self) -> None:
        self.query_one("#place", Plain).update("")
        self.query_one("#fields", Plain).update("")
        self.query_one("#flags", Plain).update("")
        if not self.session.store.examples and self.session.held_by:
            hint = "Nothing to decide yet.\n\nThis session only reads: what is written and sampled where the workspace is open is seen when you open it again."
        elif not self.session.store.examples:
            hint = (
                f"Nothing to decide yet.\n\n{self.flavor.own_key('write')} opens Write: a few examples of your own come first.\n"
                "The model is tasted from the start: candidates of the untrained base appear here too."
            )
        else:
            coming = "No candidate waits."
            if self.flavor.jobs.samples.busy:
                coming = "Candidates are on their way."
            elif self.flavor.jobs.doing == "loading":
                coming = "The model is being made ready; the first candidates come by themselves."
            hint = f"{coming}\n\n{self._ways()}"
        self.query_one("#text", Plain).update(plain(hint, "$text-muted"))
        self.query_one("#queue", Plain).update("")

    # -- keys ----------------------------------------------------------------------------------------------------------

    def _just_turned(self) -> bool:
        """Whether a key was meant for the card that has just gone, and is let go."""
        if monotonic() - self._turned > GLANCE:
            return False
        self.flavor.say("The card has just changed: nothing was decided.", "warning")
        return True

    def _to_decide(self) -> Candidate | None:
        """The card that a key is meant for; None, which is said, where there is none."""
        if self._just_turned():
            return None
        card = self.candidate()
        if card is None:
            self.flavor.say("There is no card to decide.", "warning")
        return card

    def _decide(self, verdict: Verdict) -> None:
        card = self._to_decide()
        if card is None:
            return
        try:
            self.session.decide(card.uid, verdict)
        except FlavorError as error:
            self.flavor.complain(error)
            return
        self.shown, self._looked_at = None, ""
        self.flavor.changed()

    def action_accept(self) -> None:
        self._decide("accept")

    def action_reject(self) -> None:
        self._decide("reject")

    def action_skip(self) -> None:
        self._decide("skip")

    def action_edit(self) -> None:
        card = self._to_decide()
        if card is None:
            return

        from tui.screens.edit import dialog_for

        def done(saved: bool | None) -> None:
            if saved:
                self.shown = None if self.shown == card.uid else self.shown
                self.flavor.changed()

        self.app.push_screen(dialog_for(self.session, card.uid), done)

    def action_undo(self) -> None:
        op = self.flavor.undo(here=decided_here)
        if op:
            self._looked_at, self._turned = "", 0.0
            back = [uid for uid in op.was.candidates if uid in self.session.store.pending] if op.kind == "decide" else []
            if back:  # it is for this one that the key was pressed, whatever the new checkpoint has
                self.shown = self._looked_at = back[0]
                self._came = monotonic()
            self.flavor.changed()

    def action_more(self) -> None:
        self.flavor.sample_more()

    def action_attributes(self) -> None:
        from tui.screens.attributes import AttributesDialog

        def done(fixed: dict[str, str] | None) -> None:
            if fixed is not None:
                changed = fixed != self.session.fixed
                self.session.fix(fixed)
                self.flavor.desk.keep(fixed=fixed, since=self.session.store.journal.seq)
                self.flavor.say(f"The next candidates: {assigned(fixed) or 'all attributes at random'}. What waits gives way to them.")
                if changed:
                    self._looked_at = ""  # one that has the values may come at once: it was asked for
                    self.flavor.want_others()

        if not self.session.task.fields:
            self.flavor.say("This task has no attributes.", "warning")
            return
        try:
            self.session.must_write()  # else nothing is sampled that they could be of
        except FlavorError as error:
            self.flavor.complain(error)
            return
        self.app.push_screen(AttributesDialog(self.session), done)

    def action_retrain(self) -> None:
        self.flavor.retrain(fresh=False)

    def action_retrain_fresh(self) -> None:
        self.flavor.retrain(fresh=True)

    def action_taste(self) -> None:
        self.flavor.taste()

    def action_scroll_down(self) -> None:
        self.query_one("#text-scroll", VerticalScroll).scroll_down(animate=False)

    def action_scroll_up(self) -> None:
        self.query_one("#text-scroll", VerticalScroll).scroll_up(animate=False)
