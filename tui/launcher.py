"""The command's entry. It owns the terminal: the screen runs in a child, and whatever way that dies the terminal is usable again."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

from core import environment

COMMANDS = frozenset(
    [
        "demo",
        "new",
        "import",
        "generate",
        "decide",
        "undo",
        "back",
        "retrain",
        "taste",
        "evaluate",
        "curve",
        "sweep",
        "report",
        "runs",
        "gauges",
        "use",
        "status",
        "export",
        "completion",
        "reproduce",
        "doctor",
        "download",
        "push",
        "models",
        "serve",
    ]
)
RESTORE = (
    "".join(f"\x1b[?{mode}l" for mode in (2026, 1049, 1000, 1002, 1003, 1015, 1006, 1016, 2004, 2048, 1004))
    + "\x1b[<u\x1b[?7h\x1b[?25h\x1b[0m"
)
"""Leave the alternate screen, stop mouse, paste, size and focus reports, pop the keyboard protocol, wrap lines, show the cursor."""
PATIENCE = 3
"""Seconds that the screen has to leave when the launcher is told to."""


WEB_DRIVER = "textual.drivers.web_driver:WebDriver"
"""What textual-serve sets as TEXTUAL_DRIVER."""


def _interactive() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _open(workspace: Path | None) -> int:
    """Run the app in a child process and give its exit status; restore the terminal if it died."""
    if os.environ.get("TEXTUAL_DRIVER") == WEB_DRIVER:
        return _served(workspace)
    if not _interactive():
        print("flavor-tui: a screen needs a terminal; see flavor-tui --help for commands.", file=sys.stderr)  # noqa: T201
        return 1
    import termios

    before = termios.tcgetattr(0)
    handled = {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP}
    life, ours = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, handled)  # until each of the two processes knows what to do with them
    child = os.fork()
    if not child:
        os.close(ours)
        _screen(workspace, life, handled)
    os.close(life)
    status = _wait(child, handled)
    code = os.waitstatus_to_exitcode(status)
    with contextlib.suppress(OSError, termios.error):
        if not 0 <= code < 128 or termios.tcgetattr(0) != before:  # else it said why it left, below what it had restored itself
            os.write(1, RESTORE.encode())
            termios.tcsetattr(0, termios.TCSAFLUSH, before)  # keys that nobody read are not for the shell
    if code >= 0:
        return code
    with contextlib.suppress(OSError):  # the terminal itself may be gone
        said = f"flavor-tui ended by {_signal_name(-code)}. Every decision was on the disk; open the workspace again to go on."
        print(said, file=sys.stderr)  # noqa: T201
    return 128 - code


def _served(workspace: Path | None) -> int:
    """The app for a browser: there is no terminal to restore. It leaves when the server is gone."""
    server = os.getppid()

    def watch() -> None:
        while os.getppid() == server:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    from tui.app import run_app

    return run_app(workspace)


def _screen(workspace: Path | None, life: int, handled: set[signal.Signals]) -> NoReturn:
    """The child: the app, which leaves when the pipe `life` ends, since then the launcher is gone."""
    gc.disable()  # a fifth of the time to the first picture; the app turns it on again
    signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
    from tui.app import run_app

    code = run_app(workspace, life)
    sys.stdout.flush()
    os._exit(code)


def _wait(child: int, handled: set[signal.Signals]) -> int:
    """The child's status when it has ended. It is told of what the launcher is told, and of being stopped and continued."""

    def tell(received: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, received)
        signal.alarm(PATIENCE)

    def end(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, tell)
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to both
    signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            signal.alarm(0)
            return status
        os.kill(os.getpid(), signal.SIGSTOP)  # the app was suspended: so are we, until fg continues both
        os.kill(child, signal.SIGCONT)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _meant(word: str) -> str:
    """The command that `word` may be a slip of; empty where it is like none."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word.lower(), COMMANDS, 1, 0.8)), "")


def main() -> None:
    """`flavor-tui`: a known command, or a workspace to open."""
    os.umask(0o077)  # what is written here is nobody else's
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump of the memory would hold every text
    environment.hide_tokens()
    argv = sys.argv[1:]
    if argv and (argv[0] in COMMANDS or argv[0] in ("-h", "--help", "--version")):
        from tui.commands import cli  # only here: a screen should not wait for it
        from tui.commands.parser import parse

        args = parse(argv)
        if args.command != "demo" or args.play or args.json or not _interactive():
            sys.exit(cli.run(args))
        from core.errors import FlavorError
        from tui.commands.making import make_demo
        from tui.say import complain

        try:
            sys.exit(_open(make_demo(args.at).workspace))
        except FlavorError as error:
            sys.exit(complain(error, False))
    if len(argv) > 1 or (argv and argv[0].startswith("-")):
        hint = f"Did you mean {meant}?" if (meant := _meant(argv[0])) else "See flavor-tui --help."
        print(f"flavor-tui: {argv[0]!r} is no command. {hint}", file=sys.stderr)  # noqa: T201
        sys.exit(2 if argv[0].startswith("-") else 1)
    if argv and not os.path.exists(argv[0]) and (meant := _meant(argv[0])):
        said = f"no command and no folder is called {argv[0]!r}. Did you mean {meant}? For a new workspace of that name put ./ before it."
        print(f"flavor-tui: {said}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    sys.exit(_open(Path(argv[0]) if argv else None))
