"""The command line: arguments in (`parser`), each command's lines out. Opens no screen itself; `tui.launcher` does."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_type_hints

from core import config
from core.errors import FlavorError
from core.text import clean
from tui.commands.parser import parser
from tui.say import Told, complain, hear, json_line, say, silence, told

if TYPE_CHECKING:
    from tui.commands.output import Output


def _bounds() -> dict[str, tuple[int, int]]:
    """The least and the most of numbers, by option; of settings as `flavor.toml` may have them. So they are refused before a model is loaded."""
    sampling, training = (get_type_hints(section, include_extras=True) for section in (config.Sampling, config.Training))
    limits = {"epochs": training["epochs"], "max_tokens": sampling["max_tokens"], "few_shot": sampling["few_shot"]}
    known = {name: (kind.__metadata__[0].ge, kind.__metadata__[0].le) for name, kind in limits.items()}
    return {"count": (1, 10_000), "seeds": (1, 10_000), "seed": (0, (1 << 62) - 1), **known}


def _output(args: argparse.Namespace):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """The generator of the chosen command."""
    from tui.commands import checking, deciding, fetching, making, play, retraining, tasting

    workspace: Path = getattr(args, "workspace", Path())
    for name, (least, most) in _bounds().items():
        if (value := getattr(args, name, None)) is not None and not least <= value <= most:
            option = "-n" if name == "count" else f"--{name.replace('_', '-')}"
            raise FlavorError(f"{value} is no usable number for {option}.", f"From {least} to {most}.")
    match args.command:
        case "demo":
            return play.play(args.at, args.seed)
        case "new":
            return making.new(workspace, args.heading, args.field, args.template, args.base)
        case "import":
            from tui.commands import importing

            choice = {"text": args.text, "form": args.format or "", "mark": args.mark, "split": args.split}
            return importing.import_(workspace, args.sources, choice, args.field, args.dry_run, args.skip_duplicates)
        case "generate":
            changes = {"max_tokens": args.max_tokens, "few_shot": args.few_shot}
            changes = {name: value for name, value in changes.items() if value is not None}
            return deciding.generate(
                workspace, args.count, args.set, args.checkpoint, args.seed, changes, args.preset, args.ranked, args.strength, args.plain
            )
        case "decide":
            return deciding.decide(workspace, args.candidate, args.verdict, args.text, args.set)
        case "undo":
            return deciding.undo(workspace)
        case "retrain":
            return retraining.retrain(workspace, args.fresh, args.epochs, args.seed, args.again)
        case "taste":
            return retraining.taste(workspace, args.seed)
        case "evaluate":
            return tasting.evaluate(workspace, args.file, args.checkpoint)
        case "curve":
            from tui.commands import curve

            if not 0 <= args.budget <= 86_400:
                raise FlavorError(f"{args.budget} is no usable number for --budget.", "From 0 to 86400 seconds.")
            return curve.curve(workspace, args.seeds, args.budget)
        case "sweep":
            from tui.commands import sweeping
            from tui.session.sweep import parse_grid

            if args.budget is not None and not 0 <= args.budget <= 86_400:
                raise FlavorError(f"{args.budget} is no usable number for --budget.", "From 0 to 86400 seconds.")
            grid = parse_grid(args.sweep_rank, args.sweep_rate, args.sweep_epochs)
            return sweeping.sweep(workspace, grid, args.seeds, args.budget)
        case "report":
            from tui.commands import report

            return report.report(workspace, args.html, args.md, args.measure)
        case "runs":
            return tasting.runs(workspace)
        case "gauges":
            return tasting.gauges(workspace, args.checkpoint)
        case "use":
            return tasting.use(workspace, args.checkpoint, args.strength)
        case "back":
            from tui.commands import back

            return back.back(workspace, args.line)
        case "status":
            return tasting.status(workspace)
        case "export" if args.what in ("dataset", "dpo", "kto"):
            from tui.commands import dataset_export

            return dataset_export.export(
                workspace, args.what, args.dest, args.form, args.how or "", args.split, args.license, args.origins, args.json
            )
        case "export":
            from tui.commands import exporting

            return exporting.export(workspace, args.what, args.dest, args.checkpoint, args.strength, args.kind, args.dtype, args.license)
        case "models":
            from tui.commands import models

            return models.get(args.get) if args.get else models.models(args.folders)
        case "serve":
            from tui.commands import serving

            if not 0 <= args.port < 65_536:
                raise FlavorError(f"{args.port} is no port.", "From 1 to 65535; 0 for any that is free.")
            return serving.serve(workspace, args.port)
        case "push":
            from tui.commands import pushing

            return pushing.push(
                workspace, args.what, args.repo, args.public, args.dry_run, args.confirm, args.license, args.json, args.checkpoint,
                args.strength,
            )  # fmt: skip
        case "download":
            return fetching.download(workspace)
        case "completion":
            return _completion(args.shell)
        case "reproduce":
            return deciding.reproduce(workspace, args.candidate)
        case _ if args.workspace:
            return checking.bits(args.workspace) if args.bits else checking.workspace(args.workspace, args.repair)
        case _:
            return checking.machine()


async def _completion(shell: Literal["bash", "zsh", "fish"]) -> Output:
    from tui.commands.completion import script
    from tui.commands.output import Line

    text = script(parser(), shell)
    yield Line({"shell": shell, "script": text}, text.rstrip("\n"))


@contextlib.contextmanager
def _heeding() -> Iterator[None]:
    """SIGTERM and SIGHUP cancel the running task, as ctrl+c does. The handlers are Python's own: those of asyncio are not called while a
    command computes, and then neither the first signal nor a second one would end it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def tell(number: int, _: object) -> None:
        hear(number)
        loop.call_soon_threadsafe(task.cancel)

    heeded = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup
    before = {number: signal.signal(number, tell) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            if number not in told:
                signal.signal(number, handler)


async def _print(args: argparse.Namespace) -> None:
    if threading.current_thread() is not threading.main_thread():
        await _say(args)
        return
    with _heeding():
        try:
            await _say(args)
        except asyncio.CancelledError:
            if not told:
                raise
        if told:  # also where it came to its end before it could be cancelled
            raise Told(told[0])


async def _say(args: argparse.Namespace) -> None:
    from tui.commands.output import Line, Standing

    standing = Standing()
    try:
        async with contextlib.aclosing(_output(args)) as output:
            async for item in output:
                if not isinstance(item, Line):
                    standing.show(item)
                    continue
                standing.clear()
                if args.json:
                    say(json_line(item.data))
                elif item.text:
                    say(clean(item.text))
    finally:
        standing.clear()


def run(args: argparse.Namespace) -> int:
    """Carry a command out; the exit status."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed as we began
            setattr(sys, name, open(os.devnull, mode))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal that knows no Unicode still gets its line
    try:
        return _carry_out(args)
    except BrokenPipeError:
        silence(1, 2)  # whoever read us is gone; say nothing at exit
        return 128 + signal.SIGPIPE  # as a shell says it of others: a run may have been broken off


def _carry_out(args: argparse.Namespace) -> int:
    """The same; whatever ends it early is said. Raises BrokenPipeError where there is nobody to say it to."""
    try:
        asyncio.run(_print(args))
    except FlavorError as error:
        return complain(error, args.json)
    except KeyboardInterrupt:
        print("flavor-tui: stopped; what was whole is kept.", file=sys.stderr)  # noqa: T201
        return 130
    except Told as asked:
        with contextlib.suppress(OSError):  # the terminal may be what is gone
            print("flavor-tui: told to stop; what was whole is kept.", file=sys.stderr)  # noqa: T201
        return 128 + int(asked.args[0])
    except BrokenPipeError:
        raise
    except UnicodeError as error:
        return complain(FlavorError(f"A name is no text that can be written: {error}.", "Rename it.", "usage"), args.json)
    except OSError as error:
        return complain(FlavorError(f"{error.filename or 'A file'}: {error.strerror or error}.", "Mend that, then try again."), args.json)
    return 0
