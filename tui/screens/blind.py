"""Blind A/B: two texts of one prompt side by side, nothing said of whose they are; a key a vote; then the unveiling."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Footer

from core.errors import FlavorError
from core.text import counted
from dataset.rows import Preferred
from tui.screens.dialog import Leaving
from tui.session.blind import Blind, Duel
from tui.widgets.plain import Plain, line, plain


class BlindScreen(Leaving[None]):
    """Votes are kept as they are given; leaving loses none."""

    CSS_PATH = "blind.tcss"
    HELP = """
# Blind A/B
Two texts for one prompt; whose they are is hidden. They are of the checkpoints of one run (that of the row the cursor is on, on Runs) or of the marked runs,
and of the base. Vote for the one that you would rather have; **up** and **down** scroll both where they are long. **both bad** is kept as a vote against both; candidates
still wait on Curate. Whose they were, and what you prefer, is unveiled at the end.
"""
    BINDINGS = [
        Binding("left,1", "vote('left')", "left", priority=True, id="blind_left"),
        Binding("right,2", "vote('right')", "right", priority=True, id="blind_right"),
        Binding("t,space", "vote('tie')", "tie", id="blind_tie"),
        Binding("x", "vote('bad')", "both bad", id="blind_bad"),
        Binding("u", "undo_vote", "undo", id="blind_undo"),
        Binding("down,j", "scroll_both('down')", "down", id="blind_down", show=False),
        Binding("up,k", "scroll_both('up')", "up", id="blind_up", show=False),
        Binding("pagedown", "scroll_both('page_down')", "page down", id="blind_page_down", show=False),
        Binding("pageup", "scroll_both('page_up')", "page up", id="blind_page_up", show=False),
        Binding("enter,v", "unveil", "unveil", id="blind_unveil"),
        Binding("enter,v", "go_on", "go on", id="blind_go_on"),
        Binding("escape,b,q", "leave", "leave", id="blind_leave"),
    ]

    def __init__(self, checkpoints: Sequence[str]) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._duel: Duel | None = None
        self._unveiled = False
        self._blindly: set[str] = set()
        """The votes since the last unveiling: of those alone it is still hidden whose the texts are."""
        self._made: object = None
        """What was made when it was last looked for something to ask, and whether more is to come."""

    def compose(self) -> ComposeResult:
        yield Plain(id="blind-head")
        with Horizontal(id="duel"):
            for side in ("left", "right"):
                with VerticalScroll(classes="side", can_focus=False):
                    yield Plain(id=f"blind-{side}")
        with VerticalScroll(id="unveiled", can_focus=True):
            yield Plain(id="blind-table")
        yield Plain(id="blind-doing")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        jobs = self.flavor.jobs
        self._blind = Blind(self.flavor.session, jobs.sheet.contact, self._checkpoints)
        self.query_one("#unveiled").display = False
        jobs.sheet.ask(self._checkpoints)
        self._watch()
        self.set_interval(0.5, self._watch)

    def _watch(self) -> None:
        """The line of activity; and where nothing could be asked, look again when a column has come."""
        jobs = self.flavor.jobs
        self.query_one("#blind-doing", Plain).update(jobs.line())
        made = jobs.sheet.made, jobs.sheet.outlook()
        if self._duel is None and not self._unveiled and self._made != made:
            self._made = made
            self._ask()

    def _ask(self, again: Duel | None = None) -> None:
        """Show the next two, or `again` those that were asked last."""
        self._duel = duel = again or self._blind.next()
        why, votes = self._blind.enough(), self._blind.votes
        values = " · ".join(f"{name} {value}" for name, value in duel.fields.items()) if duel else ""
        bad = self._blind.bad
        count = f"  {counted(votes, 'vote')}" + (f", {bad} both bad" if bad else "")
        hint = "Enough: one may unveil now (enter), or go on." if why else "Whose they are is told at the unveiling (enter)."
        asked = values or self.flavor.session.task.heading
        self.query_one("#blind-head", Plain).update(
            line(
                ("Which would you rather have?", "bold"),
                (count, "$text-muted"),
                f"\n{asked}\n",
                (hint, "$success" if why else "$text-muted"),
            )
        )
        nothing = f"No texts to compare yet: the contact sheet {self.flavor.jobs.sheet.outlook()}."
        if votes or not self._missing():
            nothing = "Nothing is left to compare; enter unveils."
        for side, text in (("left", duel.left.text if duel else nothing), ("right", duel.right.text if duel else "")):
            self.query_one(f"#blind-{side}", Plain).update(plain(text, "" if duel else "$text-muted"))
        for scroll in self.query(".side").results(VerticalScroll):
            scroll.scroll_home(animate=False)
        self.refresh_bindings()

    def _missing(self) -> bool:
        """Whether a text of the contact sheet is not made."""
        contact = self.flavor.jobs.sheet.contact
        return bool(contact.missing(contact.lanes(self._checkpoints)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What does nothing now is not offered: votes where nothing is asked, and that key which is not the other one's turn."""
        now = {
            "vote": self._duel is not None and not self._unveiled,
            "scroll_both": not self._unveiled,
            "unveil": not self._unveiled,
            "go_on": self._unveiled,
        }
        return now.get(action, True) and super().check_action(action, parameters)

    def action_vote(self, preferred: Preferred) -> None:
        if self._duel is None or self._unveiled:
            return
        try:
            self._blindly.add(self._blind.vote(self._duel, preferred).uid)
        except FlavorError as error:
            self.flavor.complain(error)
            return
        self._ask()

    def action_scroll_both(self, how: str) -> None:
        """Both sides together: what is held against each other stays beside each other."""
        for side in self.query(".side").results(VerticalScroll):
            getattr(side, f"scroll_{how}")(animate=False)

    def action_undo_vote(self) -> None:
        try:
            vote = self._blind.undo()
        except FlavorError as error:
            self.flavor.complain(error)
            return
        if vote is None:
            self.flavor.say(f"The last thing done was no vote; {self.flavor.own_key('undo')} on Curate takes that back.", "warning")
            return
        self._show_unveiled(False, Duel(vote.fields, vote.left, vote.right) if vote.uid in self._blindly else None)

    def action_unveil(self) -> None:
        self._show_unveiled(True)

    def action_go_on(self) -> None:
        self._show_unveiled(False)

    def _show_unveiled(self, on: bool, again: Duel | None = None) -> None:
        """Show whose the texts are, or ask the next ones, `again` the last ones where they are given."""
        self._unveiled = on
        self.query_one("#duel").display = not on
        self.query_one("#unveiled").display = on
        if on:
            self._blindly.clear()
            why = self._blind.enough() or "not clear yet: more votes would tell"
            head = line(("The unveiling", "bold"), f"  {counted(self._blind.votes, 'vote')}: {why}.\nenter goes on.")
            self.query_one("#blind-head", Plain).update(head)
            self.query_one("#blind-table", Plain).update(plain("\n".join(["", *self._blind.unveiled(), *self._texts()])))
            self.query_one("#unveiled").focus()
            self.refresh_bindings()
        else:
            self._ask(again)

    def _texts(self) -> list[str]:
        """The last votes, with names."""
        told = {"left": ">", "right": "<", "tie": "=", "bad": "× both bad ×"}
        lines = ["", "the last votes"]
        for vote in list(self.flavor.session.store.votes.values())[-12:]:
            a, b = (" ".join(side.text.split())[:28] for side in (vote.left, vote.right))
            lines.append(f"{vote.left.lane} “{a}…” {told[vote.preferred]} {vote.right.lane} “{b}…”")
        return lines

    def action_leave(self) -> None:
        self.flavor.changed()
        self.dismiss(None)
