"""Runs: the tree of runs and checkpoints, what is known of the one under the cursor, and the losses of any of them together."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import ScreenResume
from textual.widgets import DataTable

from core.errors import FlavorError
from core.gauges.verdict import Judgement
from core.runfiles import BASE
from runs.curves import Curves
from runs.registry import Run
from tui import keys
from tui.screens.evidence import EvidenceDialog
from tui.screens.page import Page
from tui.session import runlist
from tui.session.runlist import run_of
from tui.session.tasting import SIGNS
from tui.widgets.runside import RunSide
from tui.widgets.runtable import Mark, RunTable

if TYPE_CHECKING:
    from tui.widgets.curves import CurvesPlot

DRAWN = tuple(
    zip(
        "●▲■◆○△□◇✚✖",
        ("green", "cyan", "magenta", "yellow", "red", "blue", "bright_green", "bright_cyan", "bright_magenta", "bright_yellow"),
        strict=True,
    )
)
"""The runs on the picture: a sign and a colour each, in turn."""
LIVE = 1.0
"""Seconds between two looks at a run that goes on."""


class RunsScreen(Page):
    """The tree, and what is known of what is under its cursor."""

    CSS_PATH = "runs.tcss"
    MODE = "runs"
    BINDINGS = keys.bindings("runs")
    HELP = """
# Runs
Each retrain is a run (▾), each epoch of it a checkpoint; the lanes at the left (● │ ╯) say which run grew from which. **enter** makes
the checkpoint under the cursor active, at once: the next candidates come from it. On a run it takes the chosen one. **left** and
**right** fold a run. The cursor begins on what is active, or on the run that is going on. Rows are those it was trained on, and how many of them were new; kept is what you kept of its candidates.

**space** marks runs: the losses of all marked ones are drawn together, held-out loss with a sign at each epoch, training loss as a dim
line behind it. Without a mark it is the run under the cursor; before that has a point, the last one that has some.

The verdict says whether a checkpoint learned too little (○ underbaked), enough (✓ good) or the rows by heart (! overbaked).
**v** shows each gauge that it was taken from, with the texts that prove it. **n** keeps a line of your own.

**c** lays out what checkpoints wrote for the same prompts and seeds, side by side: the chosen ones of the marked runs, else those of
the run under the cursor, the active one first and the base beside it. It is made after each run while nothing else is to do. **b** asks you which of two
of those texts you prefer, without saying whose they are, until the votes tell.

**z** lists every moment of the workspace: go to any of them, dataset and checkpoint together. Nothing is deleted by that.

**[** and **]** change how strongly the active checkpoint's adapter counts, from 0 (the base) to 1.2: what may save an overbaked one.

**l** shows how the held-out loss falls with the number of your rows, and says what ten more should bring; **enter** there measures what is
missing of it. That takes its time, and gives way to everything else you ask for.
"""

    def __init__(self) -> None:
        super().__init__()
        self._runs: dict[str, Run] = {}
        self._words: dict[str, str] = {}
        """The verdicts as last known."""
        self._open: set[str] | None = None
        """The runs that show their checkpoints; None before the first look."""
        self._active = ""
        """The checkpoint that was active at the last look: when another one is, its run opens."""
        self._going_on = ""
        """The run that was going on at the last look: it opens once."""
        self._placed = ""
        """The row on which the program put the cursor: while it is still there, it goes along with what is active."""
        self._pressed = 0
        """Keys of the app when this page was gone to: after one pressed here the cursor stays, for the next one is meant for its row."""
        self.marked: list[str] = []
        """Runs that are drawn, in the order in which they were marked."""
        self._curves = Curves()
        self._plot: CurvesPlot | None = None

    def body(self) -> ComposeResult:
        with Container(id="runs-desk"):
            yield RunTable()
            with Container(id="runs-below"):
                yield Container(id="run-plot")
                yield RunSide()

    def on_mount(self) -> None:
        self.query_one(RunTable).focus()
        self.call_after_refresh(self.set_timer, 0.1, self._add_plot)  # it brings numpy: not before the first picture
        self.set_interval(LIVE, self._live)

    async def _add_plot(self) -> None:
        from tui.widgets.curves import CurvesPlot

        plot = CurvesPlot()
        await self.query_one("#run-plot").mount(plot)
        self._plot = plot
        self._picture()

    def renew(self) -> None:
        registry = self.session.registry
        runs = registry.runs()
        self._runs = {run.name: run for run in runs}
        self.marked = [name for name in self.marked if name in self._runs]
        active = registry.current()
        if self._open is None:
            self._open = runlist.unfolded(runs, active)
        elif active != self._active and run_of(active):
            self._open.add(run_of(active))
        self._active = active
        if registry.live and registry.live != self._going_on:
            self._open.add(registry.live)
        self._going_on = registry.live
        table = self.query_one(RunTable)
        untouched = table.selected == "" or (table.selected == self._placed and self.flavor.pressed == self._pressed)
        table.show(runlist.build(self.session, runs, self._open, self._words), self._marks())
        if untouched:
            self._place(f"{registry.live}/" if registry.live else active)
        self._about()
        self._judge()

    def on_screen_resume(self, event: ScreenResume) -> None:
        self._pressed = self.flavor.pressed  # before the page's own handler redraws

    def _place(self, key: str) -> None:
        """The cursor on the row of this run or checkpoint; on its run's where that is folded."""
        table = self.query_one(RunTable)
        self._placed = next((one for one in (key, f"{run_of(key)}/") if one in table.rows), BASE)
        if table.selected != self._placed:
            table.move_cursor(row=table.get_row_index(self._placed))

    def _marks(self) -> dict[str, Mark]:
        return {f"{name}/": DRAWN[at % len(DRAWN)] for at, name in enumerate(self.marked)}

    @work(exclusive=True, group="verdicts")
    async def _judge(self) -> None:
        """Fill the verdicts in, one checkpoint at a time: each takes up to a fifth of a second, and keys are answered between them."""
        table = self.query_one(RunTable)
        for name in [key.value or "" for key in table.rows]:
            run = self._runs.get(run_of(name))
            if run and run.checkpoint(name) and (judgement := self._judgement(name)):
                word = SIGNS[judgement.verdict.word]
                self._words[name] = word
                table.say(name, word)
                await asyncio.sleep(0)

    def _live(self) -> None:
        """Go along with a run that is going on, and see how one that was stopped has ended: its worker writes that a moment later. Until
        then it goes on, or seems interrupted."""
        if not self.is_current:
            return
        registry = self.session.registry
        live, open_ = registry.live, {run.status: run.name for run in self._runs.values() if not run.result}
        if not live and ("running" in open_ or ("interrupted" in open_ and registry.run(open_["interrupted"]).result)):
            self.renew()
        if self.flavor.jobs.doing == "training" and live:
            run = registry.run(live)
            known = self._runs.get(run.name)
            if known is None or (known.status, known.epochs) != (run.status, run.epochs):
                self.renew()
            else:
                self._picture()

    # -- what is under the cursor --------------------------------------------------------------------------------------

    def _selected(self) -> str:
        return self.query_one(RunTable).selected or BASE

    @on(DataTable.RowHighlighted)
    def _about(self) -> None:
        key = self._selected()
        run = self._runs.get(run_of(key))
        otherwise = f"runs/{key.rstrip('/')} is no run of this program; it is left alone."
        if key == BASE:
            otherwise = f"Weights: {self.session.settings.model.base}."
        self.query_one(RunSide).show(key, run, self._judgement(key), self._votes(key), otherwise)
        self._picture()

    def _votes(self, key: str) -> str:
        if not self.session.store.votes or key.endswith("/"):
            return ""
        from tui.session.blind import summary
        from tui.session.sheet import lane_name

        return summary(self.session, lane_name(key, self.session.strength(key)))

    def _shown(self) -> list[str]:
        """The runs on the picture: the marked ones, else that under the cursor."""
        under = run_of(self._selected())
        return self.marked or ([under] if under in self._runs else [])

    def _picture(self) -> None:
        names, waiting = self._shown(), ""
        if names == [self.session.registry.live] and not self._measured(names[0]):
            waiting, names = names[0], self._last_measured() or names
        drawn = [(name, self._curves.of(self._runs[name].folder), DRAWN[at % len(DRAWN)]) for at, name in enumerate(names)]
        if self._plot:
            self._plot.display = any(map(self._measured, names))  # axes without a curve say nothing
            self._plot.show([(curve, *mark) for _, curve, mark in drawn])
        self.query_one(RunSide).tell(drawn, waiting)

    def _measured(self, name: str) -> bool:
        """Whether a run has a curve that could be drawn."""
        curve = self._curves.of(self._runs[name].folder)
        return bool(curve.held or curve.train)

    def _last_measured(self) -> list[str]:
        """The newest run that has one; none where none has."""
        return list(islice(filter(self._measured, reversed(self._runs)), 1))

    def _judgement(self, key: str) -> Judgement | None:
        """What is known of a checkpoint; None for what is none, and where its folder is gone."""
        if key.endswith("/"):
            return None
        try:
            return self.session.tasting.readings(key, self._runs)
        except FlavorError:
            return None

    # -- keys ----------------------------------------------------------------------------------------------------------

    def action_fold(self) -> None:
        name = run_of(self._selected())
        if self._open and name in self._runs and name in self._open:
            self._open.discard(name)
            self._go(f"{name}/")

    def action_unfold(self) -> None:
        name = run_of(self._selected())
        if self._open is not None and name in self._runs and name not in self._open:
            self._open.add(name)
            self._go(f"{name}/")

    def _go(self, key: str) -> None:
        """Show the rows anew, the cursor on `key`."""
        table = self.query_one(RunTable)
        table.move_cursor(row=table.get_row_index(key))
        self.renew()

    def action_mark(self) -> None:
        name = run_of(self._selected())
        if name not in self._runs:
            self.flavor.say("Only runs can be marked.", "warning")
            return
        if name in self.marked:
            self.marked.remove(name)
        else:
            self.marked.append(name)
        self.renew()

    def action_note(self) -> None:
        from tui.screens.note import NoteDialog

        name = self._selected().rstrip("/")

        def keep(text: str) -> None:
            self.session.must_write()
            self.session.choices.set_note(name, text)

        if self._selected() == BASE or run_of(self._selected()):
            dialog = NoteDialog(name, self.session.choices.of(name).note, keep)
            self.app.push_screen(dialog, lambda _: self.renew())
        else:
            self.flavor.say("Only runs and checkpoints can have a note.", "warning")

    def compared(self) -> list[str]:
        """The checkpoints to hold against each other: the chosen ones of the marked runs, else those of the run under the cursor."""
        from tui.session.sheet import telling

        if len(self.marked) > 1:
            return [chosen for name in self.marked if (chosen := self._chosen_of(self._runs[name]))]
        run = self._runs.get(run_of(self._selected())) or self._runs.get(run_of(self.session.registry.current()))
        return telling(run) if run else []

    def action_compare(self) -> None:
        from tui.screens.sheet import SheetScreen

        self.app.push_screen(SheetScreen(self.compared(), marked=len(self.marked) > 1))

    def action_blind(self) -> None:
        from tui.screens.blind import BlindScreen

        if len(checkpoints := self.compared()) or self.session.store.examples:
            self.app.push_screen(BlindScreen(checkpoints))
        else:
            self.flavor.say("There is nothing to compare yet: write examples, or retrain.", "warning")

    def action_back(self) -> None:
        from tui.screens.moments import MomentsDialog
        from tui.session.back import go

        def gone(seq: int | None) -> None:
            if seq is None:
                return
            try:
                said = go(self.session, seq)
            except FlavorError as error:
                self.flavor.complain(error)
                return
            key = self.flavor.own_key
            self.flavor.say(f"{said} {key('undo_runs')} takes that back, {key('back')} goes anywhere else.")
            self.flavor.want_others()

        self.app.push_screen(MomentsDialog(), gone)

    def action_evidence(self) -> None:
        name = self._chosen()
        if judgement := self._judgement(name):
            self.app.push_screen(EvidenceDialog(name, judgement))
        else:
            self.flavor.say("This run left no checkpoint.", "warning")

    def _chosen(self) -> str:
        """The checkpoint under the cursor; of a run its chosen one, else the active one where it is of this run, else its last."""
        key = self._selected()
        run = self._runs.get(run_of(key))
        if not key.endswith("/") or run is None:
            return key
        return self._chosen_of(run) or key

    def _chosen_of(self, run: Run) -> str | None:
        if run.result and run.checkpoint(run.result.checkpoint):
            return run.result.checkpoint
        if run.name == run_of(current := self.session.registry.current()):  # the run is not over, or was stopped
            return current
        return run.checkpoints[-1].name if run.checkpoints else None

    @on(DataTable.RowSelected)
    def _row_selected(self) -> None:
        self.action_use()

    def action_use(self) -> None:
        name = self._chosen()
        if name.endswith("/"):
            self.flavor.say("This run left no checkpoint.", "warning")
            return
        try:
            self.session.use(name)
        except FlavorError as error:
            self.flavor.complain(error)
            return
        self.flavor.say(f"{name} is active: the next candidates come from it.")
        self.flavor.want_others()

    def action_curve(self) -> None:
        from tui.screens.curve import CurveDialog

        self.app.push_screen(CurveDialog())

    def action_undo_runs(self) -> None:
        if self.flavor.undo(here=lambda last: last.kind in ("go", "vote")):
            self.flavor.changed()

    def action_retrain_runs(self) -> None:
        self.flavor.retrain(fresh=False)

    def action_again(self) -> None:
        if name := run_of(self._selected()) or self.session.registry.interrupted:  # on the base the one that can only be meant
            self.flavor.retrain(fresh=False, again=name)
        else:
            self.flavor.say("The base was not trained here.", "warning")

    def action_retrain_fresh_runs(self) -> None:
        self.flavor.retrain(fresh=True)

    def action_taste_runs(self) -> None:
        self.flavor.taste()
