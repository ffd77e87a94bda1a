"""The whole program killed in a real terminal, while real keys are pressed: what its screen acknowledged is on the disk."""

import os
import re
import signal
import time

import pytest

from tests.safety.program import make_workspace, open_program, store_of
from tests.safety.sizes import cases, report, rng
from tests.safety.terminal import descendants, lives

SAID = re.compile(r"accepted (\d+) of (\d+)")
CARD = re.compile(r"Candidate (\d+) has a lamp")


def acknowledged(screen):
    """Accepted and decided candidates, as the bar says."""
    match = SAID.search(screen.text())
    return (int(match[1]), int(match[2])) if match else (0, 0)


def card(screen):
    """The number of the card on the desk."""
    match = CARD.search(screen.text())
    return match[1] if match else ""


def ready(screen):
    """How many cards wait."""
    match = re.search(r"(\d+) ready", screen.text())
    return int(match[1]) if match else 0


def lost(workspace, screen, pressed):
    """What the screen had acknowledged and the disk does not have: decisions, or decisions of another kind than the keys'."""
    decisions = list(store_of(workspace).decisions.values())
    accepted, decided = acknowledged(screen)
    found = [f"{decided - len(decisions)} decisions"] if len(decisions) < decided else []
    verdicts = ["accept" if key == "a" else "reject" for key in pressed]
    if [decision.verdict for decision in decisions] != verdicts[: len(decisions)]:
        found.append("other verdicts than were given")
    if sum(decision.verdict == "accept" for decision in decisions[:decided]) != accepted:
        found.append("other counts than were shown")
    return found


def kill_program(terminal, random):
    """kill -9 of launcher and screen in either order, or of their whole group at once; the processes there were."""
    everyone = [terminal.pid, *descendants(terminal.pid)]
    targets = everyone[:2]
    random.shuffle(targets)
    if random.random() < 0.5:
        os.killpg(terminal.pid, signal.SIGKILL)
    else:
        for pid in targets:
            os.kill(pid, signal.SIGKILL)
    return everyone


def test_what_the_screen_acknowledged_outlives_a_kill(tmp_path):
    random = rng("program killed")
    workspace = make_workspace(tmp_path / "lighthouses", ready=24)
    pressed, missing, orphans, moved, starts = "", [], 0, 0, []
    resting = ""
    for _ in cases("program killed"):
        began = time.monotonic()
        with open_program(workspace, tmp_path / "state") as terminal:
            terminal.wait(lambda t=terminal: card(t.screen) and SAID.search(t.screen.text()))
            starts.append(time.monotonic() - began)
            moved += bool(resting) and card(terminal.screen) != resting
            terminal.wait(lambda t=terminal: ready(t.screen) > 6)
            for _ in range(random.randint(0, 6)):
                key = random.choice("ax")
                before = acknowledged(terminal.screen)[1]
                terminal.press(key)
                pressed += key
                if random.random() < 0.7:
                    terminal.wait(lambda t=terminal, n=before: acknowledged(t.screen)[1] > n and card(t.screen))
                else:
                    terminal.read(random.random() * 0.05)
            calm = acknowledged(terminal.screen)[1] == len(pressed)
            everyone = kill_program(terminal, random)
            terminal.wait_end()
            terminal.wait(lambda e=everyone: not any(map(lives, e[1:])), 30)
            orphans += sum(map(lives, everyone[1:]))
            missing += lost(workspace, terminal.screen, pressed)
            resting = card(terminal.screen) if calm else ""
            kept = len(store_of(workspace).decisions)
            pressed = pressed[:kept]  # keys that nobody saw acknowledged may be lost
    starts.sort()
    planted = plant_a_loss(workspace, terminal.screen, pressed)
    report(
        "program killed in a terminal",
        f"{len(starts):,} kills, {len(pressed):,} decisions: lost {len(missing)}, orphans {orphans}, other card {moved}; back after "
        f"{starts[len(starts) // 2]:.2f} s (at most {starts[-1]:.2f} s)",
        f"a lost line: {planted}",
    )
    assert not missing and not orphans and not moved and planted == "caught"


def plant_a_loss(workspace, screen, pressed):
    """Take the last decision that was acknowledged out of the journal, and what follows it, as a program would that acknowledges before it
    writes."""
    path = workspace / "journal.log"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if b'"kind":"decide"' in line]
    path.write_bytes(b"".join(lines[: places[acknowledged(screen)[1] - 1]]))
    try:
        found = lost(workspace, screen, pressed)
    except Exception as error:  # the store itself says that a line is missing
        found = [str(error)]
    path.write_bytes(whole)
    return "caught" if found else "MISSED"


DEATHS = {
    "SIGHUP": lambda t: os.kill(t.children()[0], signal.SIGHUP),
    "SIGTERM": lambda t: os.kill(t.children()[0], signal.SIGTERM),
    "SIGQUIT": lambda t: os.kill(t.children()[0], signal.SIGQUIT),
    "SIGINT": lambda t: os.kill(t.children()[0], signal.SIGINT),
    "SIGKILL": lambda t: os.kill(t.children()[0], signal.SIGKILL),
    "SIGSEGV": lambda t: os.kill(t.children()[0], signal.SIGSEGV),
    "SIGABRT": lambda t: os.kill(t.children()[0], signal.SIGABRT),
    "launcher SIGTERM": lambda t: os.kill(t.pid, signal.SIGTERM),
    "launcher SIGHUP": lambda t: os.kill(t.pid, signal.SIGHUP),
    "launcher SIGKILL": lambda t: os.kill(t.pid, signal.SIGKILL),
    "quit": lambda t: t.press("\x11"),
}


def test_the_terminal_is_usable_after_any_death(tmp_path):
    workspace = make_workspace(tmp_path / "lighthouses")
    number, wrong, orphans = 0, [], 0
    for number in cases("deaths of the program"):
        name = list(DEATHS)[number % len(DEATHS)]
        with open_program(workspace, tmp_path / "state") as terminal:
            terminal.wait(lambda t=terminal: card(t.screen) and t.shows("ready: fake"))
            if number % 3 == 0:  # the worker is stopped: it cannot see that its client is gone
                for pid in terminal.children()[1:]:
                    os.kill(pid, signal.SIGSTOP)
            assert terminal.wrong(), "nothing was switched on: the check could not fail"
            everyone = terminal.children()
            DEATHS[name](terminal)
            terminal.wait_end()
            terminal.wait(lambda e=everyone: not any(map(lives, e)), 30)
            terminal.drain()
            wrong += [f"{name}: {fault}" for fault in terminal.wrong()]
            orphans += sum(map(lives, everyone))
    report(
        "deaths of the program",
        f"{number + 1} of {len(DEATHS)} kinds: terminals left unusable {len(wrong)}, orphans {orphans}",
        "a screen: caught",
    )
    assert not wrong and not orphans


def test_without_a_launcher_a_kill_leaves_the_terminal_unusable(tmp_path):
    """The planted fault: what the launcher is for."""
    workspace = make_workspace(tmp_path / "lighthouses")
    code = "from tui.app import run_app; from pathlib import Path; run_app(Path(sys.argv[1]))"
    from tests.safety.terminal import Terminal

    with Terminal(workspace, code=code, FLAVOR_TUI_STATE=str(tmp_path)) as terminal:
        terminal.wait_for("No candidate waits")
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.wait_end()
        assert "mode 1049 is on" in terminal.wrong() and "the line settings are changed" in terminal.wrong()


def test_a_terminal_that_is_closed_ends_everything(tmp_path):
    workspace = make_workspace(tmp_path / "lighthouses")
    terminal = open_program(workspace, tmp_path / "state")
    terminal.wait(lambda: card(terminal.screen))
    everyone = [terminal.pid, *terminal.children()]
    os.close(terminal._hold)
    os.close(terminal.fd)
    end = time.monotonic() + 60
    while any(map(lives, everyone[1:])) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(lives, everyone[1:]))
    os.waitpid(terminal.pid, 0)


def test_suspended_and_continued(tmp_path):
    workspace = make_workspace(tmp_path / "lighthouses")
    with open_program(workspace, tmp_path / "state") as terminal:
        terminal.wait(lambda: card(terminal.screen))
        screen = terminal.children()[0]
        os.kill(screen, signal.SIGTSTP)
        terminal.wait(lambda: os.waitpid(terminal.pid, os.WNOHANG | os.WUNTRACED)[0] == terminal.pid)
        terminal.drain()
        assert not terminal.wrong()
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.wait(lambda: terminal.screen.modes.get(1049))
        terminal.press("a")
        terminal.wait(lambda: acknowledged(terminal.screen) == (1, 1))
        terminal.press("\x11")
        assert terminal.wait_end() == 0 and not terminal.wrong()


@pytest.mark.parametrize("size_now", [(1, 1), (250, 80), (80, 24)])
def test_a_storm_of_sizes(tmp_path, size_now):
    random = rng(f"sizes {size_now}")
    workspace = make_workspace(tmp_path / "lighthouses")
    with open_program(workspace, tmp_path / "state") as terminal:
        terminal.wait(lambda: card(terminal.screen))
        for _ in range(60):
            terminal.resize(random.choice((0, 1, 5, 40, 80, 250)), random.choice((0, 1, 3, 24, 80)))
            terminal.read(0.01)
        terminal.resize(*size_now)
        terminal.drain()
        terminal.press("x")
        terminal.wait(lambda: store_of(workspace).counts["rejected"] == 1)
        terminal.press("\x11")
        assert terminal.wait_end() == 0 and not terminal.wrong()
