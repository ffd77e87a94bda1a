"""A real pty with the real program in it, and a small terminal that draws what it writes. Nothing is skipped: a sequence that the
program has no reason to write is kept in `odd`, which must be empty at the end.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

from rich.cells import cell_len

from core.text import has_controls

TOKEN = re.compile(
    r"\x1b\[(?P<parameters>[0-9;:<=>?]*)(?P<between>[ -/]*)(?P<final>[@-~])|\x1b\](?P<command>[^\x07\x1b]*)(?:\x07|\x1b\\)|(?P<plain>[^\x1b]+)"
)
UNFINISHED = re.compile(r"\x1b(\[[0-9;:<=>? -/]*|\][^\x07\x1b]*\x1b?)?\Z")
POINTER = re.compile(r"22;[a-z-]*")
"""The one operating system command that the program has a reason to write: the pointer's shape."""
REPORTS = (1000, 1002, 1003, 1004, 1006, 1015, 1016, 2004, 2048)


class Screen:
    """What a terminal shows that obeys the sequences which the program may use, and no other."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.columns, self.rows = columns, rows
        self.lines = [[" "] * columns for _ in range(rows)]
        self.x = self.y = 0
        self.modes: dict[int, bool] = {7: True, 25: True}
        self.keyboard = 0
        self.odd: list[str] = []
        self._rest = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def feed(self, data: bytes) -> None:
        text = self._rest + self._decode(data)
        self._rest = ""
        if match := UNFINISHED.search(text):
            text, self._rest = text[: match.start()], match.group()
        place = 0
        while place < len(text):
            match = TOKEN.match(text, place)
            if match is None:
                self.odd.append(text[place : place + 20])
                place += 1
            elif match["plain"] is not None:
                self._print(match["plain"])
                place = match.end()
            else:
                if match["command"] is not None:
                    if not POINTER.fullmatch(match["command"]):
                        self.odd.append(match.group())
                else:
                    self._obey(match["parameters"], match["between"] + match["final"], match.group())
                place = match.end()

    def _print(self, text: str) -> None:
        for char in text:
            if char == "\r":
                self.x = 0
            elif char == "\n":
                self._down()
            elif char == "\x07":
                pass
            elif has_controls(char):
                self.odd.append(char)
            else:
                width = cell_len(char)
                if self._joins(char, width):
                    continue
                if self.x + width > self.columns and self.modes[7]:
                    self.x = 0
                    self._down()
                for cell in range(width):
                    if self.x < self.columns:
                        self.lines[self.y][self.x] = char if not cell else ""
                        self.x += 1

    def _joins(self, char: str, width: int) -> bool:
        """Whether a character became part of the one before: a mark, a sign that widens it, the rest of an emoji."""
        line, at = self.lines[self.y], self.x - 1
        while at > 0 and line[at] == "":
            at -= 1
        if not (0 <= at < self.columns and (not width or line[at].endswith("\u200d"))):
            return not width
        wide = cell_len(line[at] + char)
        if width and wide > self.x - at:
            return False
        line[at] += char
        while self.x < self.columns and wide > self.x - at:
            line[self.x] = ""
            self.x += 1
        return True

    def _down(self) -> None:
        self.y += 1
        if self.y == self.rows:
            self.y -= 1
            self.lines = [*self.lines[1:], [" "] * self.columns]

    def _obey(self, parameters: str, final: str, whole: str) -> None:
        numbers = [int(part) for part in re.findall(r"\d+", parameters)]
        first = numbers[0] if numbers else 0
        match final:
            case "H" | "f":
                self.y = min(max(first, 1), self.rows) - 1
                self.x = min(max(numbers[1] if len(numbers) > 1 else 1, 1), self.columns) - 1
            case "A" | "B" | "C" | "D":
                step = max(first, 1)
                self.x = min(max(self.x + {"C": step, "D": -step}.get(final, 0), 0), self.columns - 1)
                self.y = min(max(self.y + {"B": step, "A": -step}.get(final, 0), 0), self.rows - 1)
            case "J" if first == 2:
                self.lines = [[" "] * self.columns for _ in range(self.rows)]
            case "K":
                self.lines[self.y][self.x if not first else 0 :] = [" "] * (self.columns - (self.x if not first else 0))
            case "h" | "l" if parameters.startswith("?"):
                for number in numbers:
                    self.modes[number] = final == "h"
            case "u" if parameters.startswith(">"):
                self.keyboard += 1
            case "u" if parameters.startswith("<"):
                self.keyboard = max(0, self.keyboard - 1)
            case "m" | "$p" | "c" | "t" | "n":
                pass
            case _:
                self.odd.append(whole)

    def text(self) -> str:
        """The picture, a line each."""
        return "\n".join("".join(line) for line in self.lines)

    def restored(self) -> list[str]:
        """What is not as a shell needs it; nothing where all is well."""
        wrong = [f"mode {number} is on" for number in (1049, 2026, *REPORTS) if self.modes.get(number)]
        wrong += [f"mode {number} is off" for number in (7, 25) if not self.modes[number]]
        return wrong + (["the keyboard protocol is on"] if self.keyboard else [])


class Terminal:
    """A program in a pty. `code` runs in its Python before the launcher does: how a test puts a stand-in worker into the real program."""

    def __init__(self, *words: object, code: str = "", columns: int = 80, rows: int = 24, **environment: str) -> None:
        self.screen = Screen(columns, rows)
        self.output = b""
        program = f"import sys; sys.argv[0] = 'flavor-tui'\n{code}\nfrom tui.launcher import main; main()"
        self.fd, self._hold = pty.openpty()  # its other end is kept open: the terminal outlives the program
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self._hold)
        self.pid = os.fork()
        if not self.pid:
            os.close(self.fd)
            os.login_tty(self._hold)
            os.environ.update({"TERM": "xterm-256color", "COLUMNS": "", "LINES": "", "TEXTUAL_ANIMATIONS": "none", **environment})
            os.execv(sys.executable, [sys.executable, "-c", program, *map(str, words)])
        self.status: int | None = None

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds: float) -> bool:
        """Take what the program writes within that time; whether anything came."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        with contextlib.suppress(OSError):
            data = os.read(self.fd, 1 << 16)
            self.output += data
            self.screen.feed(data)
            return bool(data)
        return False

    def wait(self, condition, seconds: float = 120) -> None:
        """Read until `condition()` holds."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s; the screen:\n{self.screen.text()}\nits last bytes: {self.output[-400:]!r}")
            self.read(0.05)

    def shows(self, text: str) -> bool:
        return text in self.screen.text()

    def wait_for(self, text: str, seconds: float = 120) -> None:
        self.wait(lambda: self.shows(text), seconds)

    def drain(self) -> None:
        """Take all that was written before now."""
        while self.read(0.05):
            pass

    def settle(self) -> None:
        """Wait until something came, and then nothing more."""
        self.read(1)
        self.drain()

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def children(self) -> list[int]:
        """The program's processes below the launcher: the screen, then the worker."""
        return descendants(self.pid)

    def ended(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is not None

    def wait_end(self, seconds: float = 60) -> int:
        """The exit status, once the program has ended and all that it wrote was read."""
        self.wait(self.ended, seconds)
        self.drain()
        return os.waitstatus_to_exitcode(self.status or 0)

    def wrong(self) -> list[str]:
        """What a shell would find wrong with the terminal now."""
        line = [] if termios.tcgetattr(self._hold)[:4] == self.before[:4] else ["the line settings are changed"]
        return self.screen.restored() + line

    def close(self) -> None:
        """Hang up, and end what is left."""
        everyone = [self.pid, *self.children()]
        with contextlib.suppress(OSError):
            os.close(self._hold)
            os.close(self.fd)
        if not self.ended():
            for pid in everyone:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def descendants(pid: int) -> list[int]:
    """The processes below one, parents first."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += sorted(child for child, of in parents.items() if of == parent)
    return found[1:]


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] not in "ZX"
    return False
