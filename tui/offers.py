"""What the app offers of itself: unsaved texts at the start, and a way out where the disk fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.place import warning
from core.text import assigned
from tui.session.drafts import Typed, kept_drafts
from tui.session.warnings import warnings

if TYPE_CHECKING:
    from tui.host import Host


def offer(app: Host) -> None:
    """After the first picture: what was typed and not saved, and what is wrong with the disk or the place."""
    session = app.session
    if broken := session.store.journal.broken:
        app.say(f"{broken} {app.own_key('rescue')}: write again, or save a copy elsewhere.", "error")
    for said in warnings(session):
        app.say(said, "warning")
    if place := warning(session.folder):
        app.say(place, "warning")
    if session.fixed and not session.held_by:
        app.say(f"Fixed since last time: {assigned(session.fixed)}. {app.own_key('attributes')} on Curate changes it.", waits=True)
    if not session.held_by and session.registry.interrupted:
        from tui.session.advice import interruption  # its gauges take their time, and are seldom needed here

        lost = interruption(session)
        if lost and lost.action == "retrain":  # where only the measuring is missing, the person was asked as they left
            app.say(lost.sentence)
    drafts = [] if session.held_by else kept_drafts(session.folder, session.store.examples.values())
    if not drafts:
        return
    from tui.screens.drafts import DraftsDialog  # only here: a start without them need not wait
    from tui.screens.edit import dialog_for

    def done(typed: Typed | None) -> None:
        if typed:
            app.push_screen(dialog_for(session, typed.row, typed.was), lambda saved: app.changed() if saved else None)

    app.push_screen(DraftsDialog(drafts), done)


def rescue(app: Host) -> None:
    """Where the journal could not be written: the choice between writing again and a copy elsewhere."""
    session = app.session
    if not session.store.journal.broken:
        refusal = session.refused
        app.say(f"{refusal.message} Nothing is written here." if refusal else "Nothing is wrong: everything is written as you go.")
        return
    from tui.screens.rescue import RescueDialog

    if isinstance(app.screen, RescueDialog):
        return
    app.keep_typed()  # so that a copy has it

    def done(said: str | None) -> None:
        if said:
            app.say(said)
            if not session.store.journal.broken:
                app.jobs.samples.afresh()  # nobody stopped it but the disk
            app.changed()

    app.push_screen(RescueDialog(session), done)
