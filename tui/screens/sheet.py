"""The contact sheet: what every checkpoint wrote for the same prompt and seed, side by side, the base always among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, ScrollableContainer, Vertical
from textual.content import Content
from textual.widgets import Footer

from core.text import counted
from tui.screens.dialog import Leaving
from tui.session.marks import CLOSES, DIFFERS, OPENS, marked
from tui.session.sheet import ALWAYS, PROMPTS, Lane, in_front
from tui.widgets.plain import Plain, line

NARROWEST = 36
"""Columns of the terminal that a lane needs to be read with pleasure."""
BETWEEN = 5
"""Lines around each text: its prompt, its lane's name, what is left free, and a last one that is not full."""
STYLES = {"": "", "same": "$text-muted", "copied": "bold $warning", "sign": "bold $accent"}


class SheetScreen(Leaving[None]):
    """The prompts below each other from the one that was turned to, the lanes beside each other: as many as fit, the others by scrolling."""

    CSS_PATH = "sheet.tcss"
    HELP = """
# Contact sheet
The same prompts and seeds at the checkpoints of one run (that of the row the cursor is on, on Runs) or of the marked runs: the active one first, beside it the base, then
the others. What an epoch changed is seen at a glance. The texts are written while nothing else is to do, and kept. They are no candidates: nothing is decided here.
"""
    BINDINGS = [
        Binding("n,pagedown", "turn(1)", "next", priority=True, id="sheet_next"),
        Binding("p,pageup", "turn(-1)", "before", priority=True, id="sheet_before"),
        Binding("left", "slide(-1)", "left", priority=True, id="sheet_left"),
        Binding("right", "slide(1)", "right", priority=True, id="sheet_right"),
        Binding("x", "stop", "stop making it", id="sheet_stop", show=False),
        Binding("escape,c,q", "leave", "leave", id="sheet_leave"),
    ]

    def __init__(self, checkpoints: Sequence[str], marked: bool = False) -> None:
        """`marked`: these were chosen to be held against each other, not against the base."""
        super().__init__()
        self._checkpoints, self._marked = checkpoints, marked
        self._prompt = 0
        self._active = ""
        """The checkpoint that was active as this was opened: lanes do not change places while one reads."""
        self._drawn: object = None
        self._names: list[str] = []
        """The lanes that were asked for."""

    def compose(self) -> ComposeResult:
        self._active = self.flavor.session.registry.current()
        yield Plain(id="sheet-head")
        with ScrollableContainer(id="sheet-body"), Vertical(id="prompts"):
            for row in range(PROMPTS):
                with Vertical(classes="prompt", id=f"prompt-{row}"):
                    yield Plain(classes="asked")
                    with Horizontal(classes="lanes"):
                        for number in range(len(self._lanes())):
                            yield Plain(classes="lane", id=f"lane-{row}-{number}")
        yield Plain(id="sheet-doing")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query("#sheet-body").focus()
        self._watch()
        self.set_interval(0.5, self._watch)

    def on_resize(self) -> None:
        self._drawn = None
        self._watch()

    def _lanes(self) -> list[Lane]:
        return in_front(self.flavor.jobs.sheet.contact.lanes(self._checkpoints), self._active, self._marked)

    def _watch(self) -> None:
        """The line of activity now, the rest when a column has come."""
        contact, lanes = self.flavor.jobs.sheet.contact, self._lanes()
        missing = contact.missing(lanes)
        self.query_one("#sheet-doing", Plain).update(self.flavor.jobs.line())
        names = [lane.name for lane in lanes]
        if self._names != names:  # as this was opened, and where a strength was changed since: its texts are others
            self._names = names
            self.flavor.jobs.sheet.ask(self._checkpoints)
            self._make_places(len(names))
        outlooks = [self.flavor.jobs.sheet.outlook(lane.checkpoint) for lane in missing]
        if self._drawn == (told := (self._prompt, names, missing, outlooks, self.flavor.jobs.doing == "sheeting")):
            return
        self._drawn = told
        sheet = contact.sheets.sheet(contact.key)
        prompts = sheet.fields if sheet else [{}]
        self._prompt %= len(prompts)  # another base, another sheet: it may have fewer
        head = line(("Contact sheet  ", "bold"), self._asked(prompts, self._prompt))
        legend = f"\n{DIFFERS} differs from the first lane (dim: the same)  {OPENS} {CLOSES} stands in an example"
        beside = len(lanes) - self._room() // NARROWEST
        more = f"  {counted(beside, 'more lane')} beside these" if beside > 0 else ""
        self.query_one("#sheet-head", Plain).update(line(head, (legend, "$text-muted"), (more, "$text-accent")))
        room = self.query_one("#sheet-body").size.height or self.size.height
        for row in range(PROMPTS):
            block = self.query_one(f"#prompt-{row}")
            block.display = row < len(prompts) and room > 0  # what nobody sees takes its time all the same
            if block.display:
                at = (self._prompt + row) % len(prompts)
                block.query_one(".asked", Plain).update(self._asked(prompts, at) if row else "")
                room -= self._show(row, at, lanes)

    def _make_places(self, count: int) -> None:
        """A place for each lane in every row. There may be more of them than when this was opened, or one fewer: what is gone is not shown."""
        for row in range(PROMPTS):
            places = self.query(f"#prompt-{row} .lane")
            for number, place in enumerate(places):
                place.display = number < count
            more = [Plain(classes="lane", id=f"lane-{row}-{number}") for number in range(len(places), count)]
            self.query_one(f"#prompt-{row} .lanes").mount(*more)

    def _asked(self, prompts: Sequence[Mapping[str, str]], at: int) -> Content:
        values = " · ".join(f"{name} {value}" for name, value in prompts[at].items())
        return line((f"prompt {at + 1} of {len(prompts)}  ", "bold"), values or self.flavor.session.task.heading)

    def _show(self, row: int, prompt: int, lanes: Sequence[Lane]) -> int:
        """What every lane wrote for one prompt. Returns about how many lines that takes."""
        room = self._room()
        width = room // max(1, min(len(lanes), room // NARROWEST))
        texts = [self._text(lane, prompt) for lane in lanes]
        for number, (lane, text) in enumerate(zip(lanes, texts, strict=True)):
            beside = texts[0] if number and lane.name not in ALWAYS else None
            for widget in self.query(f"#lane-{row}-{number}").results(Plain):
                widget.styles.width = width
                widget.update(self._lane(lane, text, beside))
        return BETWEEN + max(cell_len(text or "") // (width - 2) for text in texts)

    def _room(self) -> int:
        """Columns for the lanes."""
        return max(NARROWEST, self.size.width - 2)

    def _text(self, lane: Lane, prompt: int) -> str | None:
        """None: not made."""
        column = self.flavor.jobs.sheet.contact.column(lane)
        return column.texts[prompt].text if column and prompt < len(column.texts) else None

    def _lane(self, lane: Lane, text: str | None, beside: str | None) -> Content:
        active = " ▶" if lane.checkpoint == self.flavor.session.registry.current() and lane.name != ALWAYS[1] else ""
        head = (f"{lane.name}{active}\n\n", "bold underline")
        if text is None:
            return line(head, (f"This {self.flavor.jobs.sheet.outlook(lane.checkpoint)}.", "$text-muted"))
        return line(
            head, *((piece, STYLES[kind]) for piece, kind in marked(text or "(an empty text)", beside, self.flavor.session.copying))
        )

    def action_turn(self, step: int) -> None:
        contact = self.flavor.jobs.sheet.contact
        sheet = contact.sheets.sheet(contact.key)
        if sheet:
            self._prompt = (self._prompt + step) % len(sheet.prompts)
            self.query_one("#sheet-body").scroll_to(y=0, animate=False)  # the lanes stay where they are
            self._watch()

    def action_slide(self, step: int) -> None:
        body, lane = self.query_one("#sheet-body"), self.query(".lane").first()
        body.scroll_relative(x=step * lane.outer_size.width, animate=False)

    def action_stop(self) -> None:
        self.flavor.jobs.sheet.stop()

    def action_leave(self) -> None:
        self.dismiss(None)
