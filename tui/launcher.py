"""The command's entry. It owns the terminal: the screen runs in a child, and whatever way that dies the terminal is usable again."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from pathlib import Path

COMMANDS = frozenset(
    [
        "demo",
        "new",
        "import",
        "generate",
        "decide",
        "undo",
        "retrain",
        "taste",
        "evaluate",
        "runs",
        "use",
        "status",
        "export",
        "reproduce",
        "doctor",
    ]
)
RESTORE = "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1004l\x1b[<u\x1b[0m"
"""Leave the alternate screen, show the cursor, stop mouse, focus and paste reports, pop the keyboard protocol."""


def _interactive() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _open(workspace: Path | None) -> int:
    """Run the app in a child process and give its exit status; restore the terminal if it died."""
    if not _interactive():
        print("flavor-tui: a screen needs a terminal; see flavor-tui --help for commands.", file=sys.stderr)  # noqa: T201
        return 1
    import termios

    before = termios.tcgetattr(0)
    child = os.fork()
    if not child:
        gc.disable()  # a fifth of the time to the first picture; the app turns it on again
        from tui.app import run_app

        os._exit(run_app(workspace))
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            break
        os.kill(os.getpid(), signal.SIGSTOP)  # the app was suspended: so are we, until fg continues both
        os.kill(child, signal.SIGCONT)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, before)
            os.write(1, RESTORE.encode())
    if code < 0:
        name = signal.Signals(-code).name
        print(f"flavor-tui ended by {name}. Every decision was on the disk; open the workspace again to go on.", file=sys.stderr)  # noqa: T201
        return 128 - code
    return code


def main() -> None:
    """`flavor-tui`: a known command, or a workspace to open."""
    argv = sys.argv[1:]
    if argv and (argv[0] in COMMANDS or argv[0] in ("-h", "--help")):
        from tui import cli  # only here: a screen should not wait for it

        args = cli.parser().parse_args(argv)
        if args.command != "demo" or args.play or args.json or not _interactive():
            sys.exit(cli.run(args))
        from core.errors import FlavorError
        from tui.commands import make_demo
        from tui.say import complain

        try:
            sys.exit(_open(make_demo(args.at).workspace))
        except FlavorError as error:
            sys.exit(complain(error, False))
    if len(argv) > 1 or (argv and argv[0].startswith("-")):
        print(f"flavor-tui: {argv[0]!r} is no command. See flavor-tui --help.", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    sys.exit(_open(Path(argv[0]) if argv else None))
