"""Random keys, clicks, pastes, sizes and worker's events on the real app, and random bytes into a real terminal: it never crashes, and what
the screen says is what the store and the disk say. The worker is a stand-in that holds no model."""

import asyncio
import re
import string
import time

from textual import events
from textual.geometry import Size

from dataset.store import Store
from tests.safety.hostile import text
from tests.safety.program import ROOT, WITH_FAKE, make_workspace, open_program, store_of, use_fake
from tests.safety.sizes import SECONDS, report, rng, size
from tests.safety.terminal import Terminal
from tui import keys
from tui.app import FlavorApp
from tui.screens.curate import CurateScreen
from tui.widgets.plain import Plain

TYPED = [
    "enter", "escape", "tab", "shift+tab", "up", "down", "left", "right", "home", "end", "pageup", "pagedown", "backspace", "delete",
    "ctrl+p", "ctrl+z", "ctrl+a", "ctrl+k", "ctrl+v", "ctrl+y", "ctrl+d", "y", "1", "3", "5", "9", "é", "漢",
]  # fmt: skip
LEAVES = ("ctrl+q", "ctrl+c")
"""Keys that end the program: not pressed."""
KEYS = sorted({*TYPED, *(key for table in keys.KEYS.values() for row in table for key in row.key.split(","))} - set(LEAVES))
BACK = ("escape", "escape", "f3")
"""Back to the card from nearly anywhere: without it a random walk types into forms for most of its time, and seldom decides."""
LOOK_EVERY = 250
EVENING = 2500
"""Events on one workspace."""


def key_event(key):
    character = (
        key
        if len(key) == 1
        else {
            "space": " ",
            "slash": "/",
            "question_mark": "?",
            "left_square_bracket": "[",
            "right_square_bracket": "]",
            "enter": "\r",
            "tab": "\t",
        }.get(key)
    )
    return events.Key(key, character)


def mouse(kind, random, app, **more):
    x, y = random.randrange(max(1, app.size.width)), random.randrange(max(1, app.size.height))
    numbers = {"delta_x": 0, "delta_y": 0, "button": 1, "shift": False, "meta": False, "ctrl": False, **more}
    return kind(None, x, y, **numbers)


def random_event(random, app):
    """An event as a terminal would send it."""
    roll = random.random()
    if roll < 0.85:
        return [key_event(random.choice(KEYS))]
    if roll < 0.87:
        return [key_event(key) for key in BACK]
    if roll < 0.94:
        return [mouse(events.MouseDown, random, app), mouse(events.MouseUp, random, app)]
    if roll < 0.97:
        return [mouse(random.choice((events.MouseScrollUp, events.MouseScrollDown, events.MouseMove)), random, app)]
    if roll < 0.99:
        pasted = text(random, random.randrange(1000)) if random.random() < 0.5 else "".join(random.choices(string.printable, k=40))
        return [events.Paste(pasted)]
    if roll < 0.993:
        size_now = Size(random.choice((1, 20, 80, 120)), random.choice((1, 5, 24, 40)))
        app._driver._size = size_now  # as a terminal that really has it
        return [events.Resize(size_now, size_now)]
    return [random.choice((events.AppFocus, events.AppBlur))()]


OURS = re.compile(r'File "[^"]*/(?:tui|dataset|runs|core)/(?!widgets/order\.py)[^"]*", line \d+, in (?!on_event|in_turn|_survive)')
"""A frame of our own code that does more than hand an event on."""


def faults(workspace):
    """What the app survived, and our own code had a part in: Textual's own slips are survived too, and are not ours to count."""
    log = workspace / "logs" / "screen.log"
    entries = re.split(r"(?m)^(?=\d{4}-\d\d-\d\dT)", log.read_text()) if log.exists() else []
    return [entry[-1500:] for entry in entries if OURS.search(entry)]


def broken(app, workspace):
    """Invariants: what is in memory is what the journal says; the counts add up; the card is one that waits, shown as it is stored."""
    store, fresh = app.session.store, Store(workspace, read_only=True)
    wrong = [
        f"{name} differ from the disk"
        for name in ("examples", "candidates", "decisions", "batches", "pending")
        if getattr(store, name) != getattr(fresh, name)
    ]
    wrong += [] if list(store.pending) == list(fresh.pending) else ["the order of the cards differs from the disk"]
    states = [candidate.state for candidate in store.candidates.values()]
    wrong += [f"{state} counted wrongly" for state in set(states) if store.counts[state] != states.count(state)]
    made = [example.candidate for example in store.examples.values() if example.candidate]  # one that was deleted leaves its candidate
    wrong += [
        f"{uid} is {store.candidates[uid].state} and an example"
        for uid in made
        if store.candidates[uid].state not in ("accepted", "edited")
    ]
    screen = app.screen
    if isinstance(screen, CurateScreen) and screen.is_mounted and screen.shown is not None:
        card = store.pending.get(screen.shown)
        if card is None or card.text not in str(screen.query_one("#text", Plain).content):
            wrong.append("the card shows what does not wait")
    return wrong + faults(workspace)


async def settle(app, pilot):
    """Until the app has nothing left to do."""
    for _ in range(3):
        await pilot.pause()


class Walk:
    """Random events on an app, until one of them breaks something."""

    def __init__(self, app, pilot, workspace, random):
        self.app, self.pilot, self.workspace, self.random = app, pilot, workspace, random
        self.wrong = []
        self.last = []

    async def steps(self, count):
        for number in range(1, count + 1):
            for event in random_event(self.random, self.app):
                event.set_sender(self.app)
                self.last = [*self.last[-15:], event]
                self.app.post_message(event)
            if number % 4 == 0:
                await asyncio.sleep(0)
            if number % LOOK_EVERY == 0:
                await settle(self.app, self.pilot)
                self.wrong += [f"step {number}: {fault}, after {self.last}" for fault in broken(self.app, self.workspace)]
            if not self.app.is_running or self.app._exception or self.wrong:
                break


async def walk(workspace, random, count, spoil=None):
    """The faults found in `count` random steps, or in what `spoil` does to the app."""
    app = FlavorApp(workspace)
    try:
        async with asyncio.timeout(120 + count / 5), app.run_test(size=(80, 24), notifications=True, tooltips=True) as pilot:
            walker = Walk(app, pilot, workspace, random)
            while app.jobs.doing not in ("ready", "sampling"):
                await pilot.pause(0.02)
            if spoil:
                spoil(app)
            await walker.steps(count)
            await settle(app, pilot)
            return walker.wrong
    except Exception as error:
        return [f"crash: {error!r}, after {walker.last}"]


def forget_the_disk(app):
    """A planted fault: decisions that change the memory only."""
    append = app.session.store.journal.append

    def lossy(op):
        if op.kind == "decide":
            app.session.store.journal.seq = op.seq
        else:
            append(op)

    app.session.store.journal.append = lossy


def stumble(app):
    """A planted fault: a key that raises."""
    app.session.decide = lambda *args: 1 / 0


SIGNS = {"forget_the_disk": ("differ from the disk", "FlavorError"), "stumble": ("ZeroDivisionError",)}
"""By what it is known that a planted fault was found, and not another."""


async def stumbled_upon(folder, random, spoil):
    """What a walk over a planted fault finds of it, in an evening or, since chance may not decide anything in it, in up to four."""
    for number in range(4):
        found = await walk(make_workspace(folder.with_name(f"{folder.name}{number}")), random, EVENING, spoil)
        if found:
            return [fault for fault in found if any(sign in fault for sign in SIGNS[spoil.__name__])]
    return []


async def test_random_events_break_nothing(tmp_path, monkeypatch):
    use_fake(monkeypatch)
    random, count = rng("random events"), size("random events")
    wrong, rounds, done, end = [], 0, 0, time.monotonic() + SECONDS
    while done < count and not wrong and (not done or time.monotonic() < end):
        workspace = make_workspace(tmp_path / f"w{rounds}")
        wrong += await walk(workspace, random, min(EVENING, count - done))
        rounds, done = rounds + 1, min(done + EVENING, count)
    planted = {spoil.__name__: await stumbled_upon(tmp_path / spoil.__name__, random, spoil) for spoil in (forget_the_disk, stumble)}
    report(
        "random events on the real app",
        f"{done:,} events in {rounds} evenings: {len(wrong)} crashes or broken invariants",
        ", ".join(f"{name.replace('_', ' ')}: {'caught' if found else 'MISSED'}" for name, found in planted.items()),
    )
    assert not wrong, wrong[0]
    assert all(planted.values())


BYTES = [*"axeugfctTRjkdol/?1359Aq", " ", "\r", "\t", "\x1b", "\x7f", "\x13", "\x07", "\x15", "\x10", "\x12", "\x0b", "\x1b[A", "\x1b[B", "\x1b[6~", "\x1b[H",
         "\x1bOQ", "\x1bOR", "\x1bOS", "\x1b[15~", "\x1b[<0;10;10M", "\x1b[<0;10;10m", "\x1b[<64;5;5M", "\x1b[I", "\x1b[O", "\x1b[200~pasted\x1b[201~",
         "\x1b[999;999R", "\x1b]52;c;x\x07", "\x1b[?1;2c", "\xff", "é", "漢", "\x1b[1;1H", "\x00"]  # fmt: skip


def test_random_keys_in_a_terminal(tmp_path):
    random, count = rng("keys in a terminal"), size("keys in a terminal")
    workspace = make_workspace(tmp_path / "lighthouses")
    wrong = []
    with open_program(workspace, tmp_path / "state") as terminal:
        terminal.wait_for("ready: fake")
        for _ in range(count):
            terminal.press(random.choice(BYTES))
            terminal.read(0.002)
            if terminal.ended():
                wrong.append(f"it ended; the last bytes: {terminal.output[-300:]!r}")
                break
        terminal.drain()
        if not wrong:
            terminal.press("\x1b\x1b")
            terminal.settle()
            terminal.press("\x11")
            status = terminal.wait_end()
            wrong += [f"it ended with {status}", *faults(workspace), repr(terminal.output[-300:])] if status else []
        wrong += terminal.wrong() + terminal.screen.odd
    opened = store_of(workspace)
    planted = "caught" if die_by_a_key(tmp_path) else "MISSED"
    report(
        "random keys in a terminal",
        f"{count:,} keys: {len(wrong)} crashes or broken invariants, {len(opened.decisions)} decisions kept",
        f"a key that ends the program: {planted}",
    )
    assert not wrong, wrong[:3]
    assert planted == "caught"


def die_by_a_key(tmp_path):
    """The planted fault: a key that kills the program. Whether it is noticed."""
    workspace = make_workspace(tmp_path / "planted")
    code = "\nimport os\nimport tui.screens.curate as c\nc.CurateScreen.action_reject = lambda self: os.abort()\n"
    with Terminal(workspace, code=WITH_FAKE + code, PYTHONPATH=str(ROOT), FLAVOR_TUI_STATE=str(tmp_path / "state")) as terminal:
        terminal.wait_for("ready: fake")
        terminal.press("x")
        return terminal.wait_end() != 0
