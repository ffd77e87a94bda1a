"""The contact sheet: what every checkpoint wrote for the same prompt and seed, side by side, the base always among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, ScrollableContainer
from textual.content import Content
from textual.widgets import Footer

from tui.screens.dialog import Leaving
from tui.session.marks import CLOSES, DIFFERS, OPENS, marked
from tui.session.sheet import ALWAYS, Lane
from tui.widgets.plain import Plain, line

if TYPE_CHECKING:
    from tui.host import Host

NARROWEST = 36
"""Columns of the terminal that a lane needs to be read with pleasure."""
STYLES = {"": "", "same": "$text-muted", "copied": "bold $warning", "sign": "bold $accent"}


class SheetScreen(Leaving[None]):
    """One prompt at a time; the lanes beside each other, as many as fit, the others by scrolling."""

    CSS_PATH = "sheet.tcss"
    HELP = """
# Contact sheet
The same prompts and seeds at the checkpoints of one run (that of the row the cursor is on, on Runs) or of the marked runs, beside the base: what an
epoch changed is seen at a glance. The texts are written while nothing else is to do, and kept. They are no candidates: nothing is decided here.
"""
    BINDINGS = [
        Binding("n,pagedown", "turn(1)", "next prompt", priority=True, id="sheet_next"),
        Binding("p,pageup", "turn(-1)", "prompt before", priority=True, id="sheet_before"),
        Binding("left", "slide(-1)", "lanes left", priority=True, id="sheet_left"),
        Binding("right", "slide(1)", "lanes right", priority=True, id="sheet_right"),
        Binding("x", "stop", "stop making it", id="sheet_stop", show=False),
        Binding("escape,c,q", "leave", "leave", id="sheet_leave"),
    ]

    def __init__(self, checkpoints: Sequence[str]) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._prompt = 0
        self._drawn: object = None

    @property
    def _flavor(self) -> Host:
        return cast("Host", self.app)

    def compose(self) -> ComposeResult:
        yield Plain(id="sheet-head")
        with ScrollableContainer(id="sheet-body"), Horizontal(id="lanes"):
            for number in range(len(self._lanes())):
                yield Plain(classes="lane", id=f"lane-{number}")
        yield Plain(id="sheet-doing")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query("#sheet-body").focus()
        self._flavor.jobs.sheet.ask(self._checkpoints)
        self._watch()
        self.set_interval(0.5, self._watch)

    def on_resize(self) -> None:
        self._drawn = None
        self._watch()

    def _lanes(self) -> list[Lane]:
        return self._flavor.jobs.sheet.contact.lanes(self._checkpoints)

    def _watch(self) -> None:
        """The line of activity now, the rest when a column has come."""
        contact, lanes = self._flavor.jobs.sheet.contact, self._lanes()
        missing = contact.missing(lanes)
        self.query_one("#sheet-doing", Plain).update(self._flavor.jobs.line())
        if self._drawn == (told := (self._prompt, missing, self._flavor.jobs.doing == "sheeting")):
            return
        self._drawn = told
        sheet = contact.sheets.sheet(contact.key)
        prompts = sheet.fields if sheet else [{}]
        values = " · ".join(f"{name} {value}" for name, value in prompts[self._prompt % len(prompts)].items())
        head = line((f"Contact sheet  prompt {self._prompt + 1} of {len(prompts)}  ", "bold"), values or self._flavor.session.task.heading)
        legend = f"\n{DIFFERS} differs from the lane at its left (dim: the same)  {OPENS} {CLOSES} stands in an example"
        self.query_one("#sheet-head", Plain).update(line(head, (legend, "$text-muted")))
        self._show(lanes)

    def _show(self, lanes: Sequence[Lane]) -> None:
        room = max(NARROWEST, self.size.width - 2)
        width = room // max(1, min(len(lanes), room // NARROWEST))
        beside: str | None = None
        for number, lane in enumerate(lanes):
            for widget in self.query(f"#lane-{number}").results(Plain):
                widget.styles.width = width
                column = self._flavor.jobs.sheet.contact.column(lane)
                text = column.texts[self._prompt].text if column and self._prompt < len(column.texts) else None
                widget.update(self._lane(lane, text, beside if lane.name not in ALWAYS else None, bool(column)))
                beside = text if text is not None else beside

    def _lane(self, lane: Lane, text: str | None, beside: str | None, made: bool) -> Content:
        active = " ▶" if lane.checkpoint == self._flavor.session.registry.current() and lane.name != ALWAYS[1] else ""
        head = (f"{lane.name}{active}\n\n", "bold underline")
        if text is None:
            return line(head, ("not made" if made else "not made yet: it is written when the model has nothing else to do", "$text-muted"))
        return line(
            head, *((piece, STYLES[kind]) for piece, kind in marked(text or "(an empty text)", beside, self._flavor.session.copying))
        )

    def action_turn(self, step: int) -> None:
        contact = self._flavor.jobs.sheet.contact
        sheet = contact.sheets.sheet(contact.key)
        if sheet:
            self._prompt = (self._prompt + step) % len(sheet.prompts)
            self.query_one("#sheet-body").scroll_to(y=0, animate=False)  # the lanes stay where they are
            self._watch()

    def action_slide(self, step: int) -> None:
        body, lane = self.query_one("#sheet-body"), self.query(".lane").first()
        body.scroll_relative(x=step * lane.outer_size.width, animate=False)

    def action_stop(self) -> None:
        self._flavor.jobs.sheet.stop()

    def action_leave(self) -> None:
        self.dismiss(None)
