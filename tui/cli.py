"""The command line: arguments in, lines out. Opens no screen itself; `tui.launcher` does."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from core import config
from core.errors import FlavorError
from core.text import clean, short, to_json
from tui.say import complain

FORMS = ("jsonl", "json", "csv", "tsv", "md", "txt", "parquet")
"""What `import` reads; the parser names them without loading what reads them."""

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from tui.commands import Output


EPILOG = """\
Without a command the screen opens, on WORKSPACE or on this folder. Every command
takes --json, and `flavor-tui COMMAND --help` has all its options.

A first evening:
  flavor-tui demo                                 look around in a copy of the demo
  flavor-tui new dishes --heading "Tiny Tavern Menu" --field Mood=choice:Calm,Grim
  flavor-tui import dishes rows.csv --dry-run     look first; then without --dry-run
  flavor-tui dishes                               write, curate, retrain

It ends with 0 when all went well, 1 when something was refused (one line says what,
and what to do), 2 when an option was misspelt, 130 after ctrl+c, and 128 + n when
signal n ended the screen."""


class Parser(argparse.ArgumentParser):
    """One whose messages show an argument as harmless text: it may be a file's name that a shell filled in."""

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        super()._print_message(clean(message), file)


def parser() -> Parser:
    """All commands and their options."""
    root = Parser(
        prog="flavor-tui",
        description="Write a few dozen texts, taste what a local 4-bit LoRA makes of them, keep the good ones with one key, retrain with one key.",
        usage="flavor-tui [WORKSPACE] | flavor-tui COMMAND ...",
        epilog=EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=16, width=min(100, shutil.get_terminal_size().columns - 2)
        ),
        allow_abbrev=False,
    )
    commands = root.add_subparsers(dest="command", metavar="COMMAND", title="commands", prog="flavor-tui")
    shared = Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="one JSON object a line, the last one the result")

    def add(name: str, about: str, workspace: bool = True) -> Parser:
        command = commands.add_parser(name, help=about, description=about, parents=[shared], allow_abbrev=False)
        command.set_defaults(refuse=command.error)
        if workspace:
            command.add_argument("workspace", type=Path, metavar="WORKSPACE", help="the workspace's folder")
        return command

    demo = add("demo", "open a fresh copy of the demo workspace", workspace=False)
    demo.add_argument("--at", type=Path, metavar="FOLDER", help="where to put it (default: demo-workspace here)")
    demo.add_argument("--play", action="store_true", help="play a short evening without a person and print it")
    demo.add_argument("--seed", type=int, default=1, metavar="S", help="of what is sampled with --play (default: 1)")
    new = add("new", "make a workspace")
    new.add_argument("--heading", metavar="TEXT", help="what the texts are; the trigger of every prompt")
    new.add_argument(
        "--field", action="append", default=[], metavar="NAME=KIND", help="an attribute: text (the default), scale, or choice:one,two,three"
    )
    new.add_argument("--template", metavar="NAME", help="alien-empires, skill-checks or image-prompts")
    new.add_argument("--base", default="starter", metavar="MODEL", help="starter, a hub id, a folder or a .gguf file")
    imported = add("import", "add examples from files, folders, the hub or standard input, all or nothing")
    imported.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="a file, a folder, hf://datasets/OWNER/NAME, or - for standard input"
    )
    imported.add_argument("--format", choices=FORMS, help="what it is, whatever its ending says")
    imported.add_argument("--text", default="", metavar="COLUMN", help="where the text stands (default: by name)")
    imported.add_argument(
        "--field", action="append", default=[], metavar="NAME=COLUMN", help="where an attribute stands (default: by name)"
    )
    imported.add_argument("--split", default="", metavar="NAME", help="of a dataset with several: only this one")
    imported.add_argument("--mark", default="", metavar="LINE", help="the line between plain texts (default: --- or ***, else blank lines)")
    imported.add_argument("--skip-duplicates", action="store_true", help="leave near-duplicates out: of examples, and of each other")
    imported.add_argument("--dry-run", action="store_true", help="show counts, first rows, faults and near-duplicates; import nothing")
    generate = add("generate", "sample candidates from the active checkpoint")
    generate.add_argument("-n", type=int, default=8, metavar="N", dest="count", help="candidates to sample (default: 8)")
    generate.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="fix an attribute; the rest are drawn")
    generate.add_argument("--checkpoint", metavar="ID", help="another checkpoint, or base")
    generate.add_argument(
        "--seed", type=int, metavar="S", help="of the first one; batches then take no turns (docs/sampling.md), to be compared"
    )
    generate.add_argument("--max-tokens", type=int, metavar="M", help="of each text (default: as flavor.toml says)")
    generate.add_argument("--preset", choices=list(config.PRESETS), help="faithful, balanced or wild")
    generate.add_argument(
        "--few-shot", type=int, metavar="K", help="examples shown in the prompt, from the base only; 0: the heading alone"
    )
    generate.add_argument("--strength", type=float, metavar="S", help="of the adapter, this time only (default: what was chosen for it)")
    generate.add_argument("--ranked", action="store_true", help="print them in the order in which Curate would show them")
    decide = add("decide", "accept, reject or skip a candidate")
    decide.add_argument("candidate", metavar="CANDIDATE", help="its id, as `generate` prints it")
    decide.add_argument("verdict", choices=["accept", "reject", "skip"], help="an accepted text becomes an example")
    decide.add_argument("--text", type=Path, metavar="FILE", help="the edited text, accepted")
    decide.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="accepted with another value of an attribute")
    add("undo", "take the last decision, edit or import back")
    retrain = add("retrain", "retrain the LoRA: afresh while the rows are few, else a top-up of the active checkpoint")
    retrain.add_argument(
        "--again", metavar="RUN", help="a run once more, from its own rows and seed, for instance one that was interrupted"
    )
    retrain.add_argument("--fresh", action="store_true", help="afresh from the base, however many rows there are")
    retrain.add_argument("--epochs", type=int, metavar="E", help="at most so many (default: as flavor.toml says)")
    retrain.add_argument("--seed", type=int, metavar="S", help="of the order of the rows and of the adapter (default: a new one)")
    taste = add("taste", "after training: learn from what was edited, accepted and rejected (see [training] taste)")
    taste.add_argument("--seed", type=int, metavar="S", help="of the order of the pairs (default: a new one)")
    evaluate = add("evaluate", "mean loss per token of the texts of an unseen file")
    evaluate.add_argument("file", type=Path, metavar="FILE", help="texts in any form that `import` reads")
    evaluate.add_argument("--checkpoint", metavar="ID", help="another than the active one, or base")
    curve = add("curve", "how many examples are enough: held-out loss over their number, and what ten more would bring")
    curve.add_argument("--seeds", type=int, default=3, metavar="N", help="adapters at each size and fold (default: 3)")
    curve.add_argument(
        "--budget", type=int, default=600, metavar="SECONDS", help="time to measure in (default: 600); 0 shows what was measured before"
    )
    sweep = add("sweep", "train a small grid of ranks, rates and epochs on the same folds: is any difference larger than its noise?")
    for name, example in (("rank", "8,16,32"), ("rate", "2e-4,5e-4,1e-3"), ("epochs", "4,8")):
        sweep.add_argument(f"--{name}", default="", dest=f"sweep_{name}", metavar=example, help=f"{name} to try, each with each")
    sweep.add_argument("--seeds", type=int, default=1, metavar="N", help="trainings of each setting on each fold (default: 1)")
    sweep.add_argument(
        "--budget", type=int, metavar="SECONDS", help="time to train in (default: no limit); 0 shows what was trained before"
    )
    report = add("report", "the evening: rows, time, rounds, losses, verdicts, coverage, rows to look at, what to do next")
    report.add_argument("--html", type=Path, metavar="FILE", help="write it as one page that needs nothing else")
    report.add_argument("--md", type=Path, metavar="FILE", help="write it as Markdown")
    report.add_argument("--measure", action="store_true", help="first measure the loss of every row under the active checkpoint")
    add("runs", "list runs and checkpoints")
    gauges = add("gauges", "all gauges of a checkpoint with their evidence, the verdict, and what to do next")
    gauges.add_argument("checkpoint", nargs="?", metavar="CHECKPOINT", help="default: the active one")
    use = add("use", "make a checkpoint active")
    use.add_argument("checkpoint", metavar="CHECKPOINT", help="its id, as `runs` lists it, or base")
    use.add_argument(
        "--strength", type=float, metavar="S", help="of its adapter in sampling from now on: 0, the base, to 1.2; 1 is as trained"
    )
    back = add("back", "list every moment of the workspace, or go to one: dataset and checkpoint as they were")
    back.add_argument(
        "line", nargs="?", type=int, metavar="MOMENT", help="its number in the list; later ones stay, and can be gone to again"
    )
    add("status", "count examples and candidates")
    export = add("export", "write a checkpoint, the dataset or what was preferred in the forms of other programs")
    export.add_argument(
        "what",
        choices=["adapter", "merged", "gguf", "gguf-adapter", "ollama", "dataset", "dpo", "kto"],
        help="adapter: PEFT; merged: 16 bits; gguf: llama.cpp; ollama: with a Modelfile; dpo, kto: for TRL's trainers",
    )
    export.add_argument(
        "dest",
        type=Path,
        metavar="DEST",
        help="where to write it, a name that is not there yet: a file for gguf, gguf-adapter, dpo, kto and a dataset with an ending, else a folder",
    )
    export.add_argument(
        "--form", choices=["rows", "prompt", "chat", "raw"], default="rows", help="of a dataset's rows (default: as they are kept)"
    )
    export.add_argument(
        "--as", choices=["jsonl", "csv", "tsv", "txt", "md", "parquet", "folder", "disk"], dest="how",
        help="of a dataset (default: by DEST's ending; without one a folder with a card). disk: as datasets' save_to_disk",
    )  # fmt: skip
    export.add_argument("--split", choices=["all", "train", "test"], default="all", help="test: the rows that are held out of training")
    export.add_argument(
        "--origin", choices=["written", "imported", "accepted", "edited"], action="append", default=[], dest="origins",
        help="of a dataset's file: only these rows; may be given several times",
    )  # fmt: skip
    export.add_argument("--checkpoint", metavar="ID", help="default: the active one")
    export.add_argument(
        "--strength", type=float, metavar="S", help="of the adapter, 0 to 1.2 (default: what was chosen for it, else 1, as trained)"
    )
    export.add_argument("--kind", choices=["f16", "q8_0"], help="of gguf (default: f16) and ollama (default: q8_0)")
    export.add_argument("--dtype", choices=["bfloat16", "float16"], default="bfloat16", help="of merged")
    export.add_argument("--license", default="", metavar="NAME", help="what the card says, for instance cc-by-4.0")
    push = add("push", "put an adapter or the dataset on the hub, privately; names every file, and asks for the name to be typed")
    push.add_argument("what", choices=["adapter", "dataset"], help="the active checkpoint's adapter, or all examples")
    push.add_argument("repo", metavar="OWNER/NAME", help="the repository on the hub; it is made where there is none")
    push.add_argument("--public", action="store_true", help="for everybody to read")
    push.add_argument("--dry-run", type=Path, metavar="FOLDER", help="write exactly what would be sent into a new folder, and send nothing")
    push.add_argument("--confirm", metavar="OWNER/NAME", help="the name again, where nobody can type it")
    push.add_argument("--license", default="", metavar="NAME", help="what the card says, for instance cc-by-4.0")
    push.add_argument("--checkpoint", metavar="ID", help="default: the active one")
    push.add_argument(
        "--strength", type=float, metavar="S", help="of the adapter, 0 to 1.2 (default: what was chosen for it, else 1, as trained)"
    )
    models = add("models", "the models on this machine, what would fit it in 4 bits, and good ones to begin with", workspace=False)
    models.add_argument("--in", type=Path, action="append", default=[], metavar="FOLDER", dest="folders", help="look into this folder too")
    models.add_argument("--get", metavar="OWNER/NAME", help="bring a model from the hub; resumed where it was stopped")
    serve = add("serve", "open a workspace in a browser on this machine")
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="default: 8000; 0: any that is free")
    add("download", "bring the base model from the hub")
    completion = add("completion", "print what bash, zsh or fish needs to complete commands", workspace=False)
    completion.add_argument("shell", choices=["bash", "zsh", "fish"], help="yours")
    reproduce = add("reproduce", "sample a candidate again from its record")
    reproduce.add_argument("candidate", metavar="CANDIDATE", help="its id, as `generate` prints it")
    doctor = add("doctor", "check a workspace; without one, say what hardware, versions and models there are", workspace=False)
    doctor.add_argument("workspace", type=Path, metavar="WORKSPACE", nargs="?", help="the workspace's folder")
    doctor.add_argument("--bits", action="store_true", help="measure what 4 bits cost on your own rows (half a minute)")
    doctor.add_argument("--repair", action="store_true", help="mend what can be mended; the originals are kept in damaged/")
    return root


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command. What is misspelt ends the program, with the usage of that command."""
    args, rest = parser().parse_known_args(argv)
    if rest:
        args.refuse(f"unrecognized arguments: {' '.join(rest)}")
    return args


def _output(args: argparse.Namespace):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """The generator of the chosen command."""
    from tui import checking, commands, fetching, play

    workspace: Path = getattr(args, "workspace", Path())
    for name in ("count", "epochs", "max_tokens", "seeds"):
        if (value := getattr(args, name, None)) is not None and not 1 <= value <= 10_000:
            raise FlavorError(
                f"{value} is no usable number for {'-n' if name == 'count' else '--' + name.replace('_', '-')}.", "From 1 to 10000."
            )
    if (seed := getattr(args, "seed", None)) is not None and not 0 <= seed < 1 << 62:
        raise FlavorError("--seed must be 0 or more.")
    match args.command:
        case "demo":
            return play.play(args.at, args.seed)
        case "new":
            return commands.new(workspace, args.heading, args.field, args.template, args.base)
        case "import":
            from tui import importing

            choice = {"text": args.text, "form": args.format or "", "mark": args.mark, "split": args.split}
            return importing.import_(workspace, args.sources, choice, args.field, args.dry_run, args.skip_duplicates)
        case "generate":
            changes = {"max_tokens": args.max_tokens, "few_shot": args.few_shot}
            changes = {name: value for name, value in changes.items() if value is not None}
            return commands.generate(
                workspace, args.count, args.set, args.checkpoint, args.seed, changes, args.preset, args.ranked, args.strength
            )
        case "decide":
            return commands.decide(workspace, args.candidate, args.verdict, args.text, args.set)
        case "undo":
            return commands.undo(workspace)
        case "retrain":
            return commands.retrain(workspace, args.fresh, args.epochs, args.seed, args.again)
        case "taste":
            return commands.taste(workspace, args.seed)
        case "evaluate":
            return commands.evaluate(workspace, args.file, args.checkpoint)
        case "curve":
            from tui import curve

            if not 0 <= args.budget <= 86_400:
                raise FlavorError(f"{args.budget} is no usable number for --budget.", "From 0 to 86400 seconds.")
            return curve.curve(workspace, args.seeds, args.budget)
        case "sweep":
            from tui import sweeping
            from tui.sweep import parse_grid

            if args.budget is not None and not 0 <= args.budget <= 86_400:
                raise FlavorError(f"{args.budget} is no usable number for --budget.", "From 0 to 86400 seconds.")
            grid = parse_grid(args.sweep_rank, args.sweep_rate, args.sweep_epochs)
            return sweeping.sweep(workspace, grid, args.seeds, args.budget)
        case "report":
            from tui.evening import command

            return command.report(workspace, args.html, args.md, args.measure)
        case "runs":
            return commands.runs(workspace)
        case "gauges":
            return commands.gauges(workspace, args.checkpoint)
        case "use":
            return commands.use(workspace, args.checkpoint, args.strength)
        case "back":
            from tui import back

            return back.back(workspace, args.line)
        case "status":
            return commands.status(workspace)
        case "export" if args.what in ("dataset", "dpo", "kto"):
            from tui import dataset_export

            folder = args.how == "folder" or (not args.how and not args.dest.suffix)
            licence = dataset_export.ask_licence(args.license, args.json) if folder and args.what == "dataset" else args.license
            return dataset_export.export(workspace, args.what, args.dest, args.form, args.how or "", args.split, licence, args.origins)
        case "export":
            from tui import exporting

            return exporting.export(workspace, args.what, args.dest, args.checkpoint, args.strength, args.kind, args.dtype, args.license)
        case "models":
            from tui import models

            return models.get(args.get) if args.get else models.models(args.folders)
        case "serve":
            from tui import serving

            if not 0 <= args.port < 65_536:
                raise FlavorError(f"{args.port} is no port.", "From 1 to 65535; 0 for any that is free.")
            return serving.serve(workspace, args.port)
        case "push":
            from tui import pushing

            return pushing.push(
                workspace, args.what, args.repo, args.public, args.dry_run, args.confirm, args.license, args.checkpoint, args.strength
            )
        case "download":
            return fetching.download(workspace)
        case "completion":
            return _completion(args.shell)
        case "reproduce":
            return commands.reproduce(workspace, args.candidate)
        case _ if args.workspace:
            return checking.bits(args.workspace) if args.bits else checking.workspace(args.workspace, args.repair)
        case _ if args.bits:
            raise FlavorError("--bits needs a workspace: its rows are what is measured on.", "flavor-tui doctor WORKSPACE --bits")
        case _:
            return checking.machine()


async def _completion(shell: Literal["bash", "zsh", "fish"]) -> Output:
    from tui.commands import Line
    from tui.completion import script

    text = script(parser(), shell)
    yield Line({"shell": shell, "script": text}, text.rstrip("\n"))


async def _print(args: argparse.Namespace) -> None:
    from tui.commands import Line

    live = sys.stderr.isatty()
    async with contextlib.aclosing(_output(args)) as output:
        async for item in output:
            if not isinstance(item, Line):
                if live:
                    sys.stderr.write(f"\r\x1b[2K{short(item.text, 100)}")
                    sys.stderr.flush()
                continue
            if live:
                sys.stderr.write("\r\x1b[2K")
                sys.stderr.flush()
            if args.json:
                print(to_json(item.data), flush=True)  # noqa: T201
            elif item.text:
                print(clean(item.text), flush=True)  # noqa: T201


def run(args: argparse.Namespace) -> int:
    """Carry a command out; the exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal that knows no Unicode still gets its line
    try:
        asyncio.run(_print(args))
    except FlavorError as error:
        return complain(error, args.json)
    except KeyboardInterrupt:
        print("flavor-tui: stopped; what was whole is kept.", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read us is gone; say nothing at exit
        return 0
    except OSError as error:
        return complain(FlavorError(f"{error.filename or 'A file'}: {error.strerror or error}.", "Mend that, then try again."), args.json)
    return 0
