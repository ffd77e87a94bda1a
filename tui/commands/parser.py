"""All commands and their options, as argparse knows them; loads nothing that carries them out."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core import config
from core.errors import FlavorError
from core.text import clean

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

FORMS = ("jsonl", "json", "csv", "tsv", "md", "txt", "parquet")
"""What `import` reads; the parser names them without loading what reads them."""

MODELS = ("adapter", "merged", "gguf", "gguf-adapter", "ollama")
GOES_WITH = {
    "form": ("dataset",), "how": ("dataset", "dpo", "kto"), "split": ("dataset",), "origins": ("dataset",), "checkpoint": MODELS,
    "strength": MODELS, "kind": ("gguf", "ollama"), "dtype": ("merged",), "license": ("dataset", "adapter"),
}  # fmt: skip
"""What may be exported with each option of `export`, by the name that its value has."""
POURED = ("jsonl", "csv", "tsv", "txt", "md")
"""What `export` writes on standard output, where `--as` says it."""
NO_PLACE = "- is no place here: name a file or a folder"
CALLED = {"how": "as", "origins": "origin"}
"""The option, where its value has another name."""

EPILOG = """\
Without a command the screen opens, on WORKSPACE or on this folder. Every command
takes --json, and `flavor-tui COMMAND --help` has all its options.

A first evening:
  flavor-tui demo                                 look around in a copy of the demo
  flavor-tui new dishes --heading "Tiny Tavern Menu" --field Mood=choice:Calm,Grim
  flavor-tui import dishes rows.csv --dry-run     look first; then without --dry-run
  flavor-tui dishes                               write, curate, retrain

It ends with 0 when all went well, 1 when something was refused or failed (one line says
what, and what to do), 2 when an option was misspelt, 130 after ctrl+c, 141 when whoever
read it was gone before its end, and 128 + n when signal n ended it."""


class _Version(argparse.Action):
    """Says which version is installed; looked up only then, since that takes a while."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"{parser.prog} {version(parser.prog)}")  # noqa: T201
        parser.exit()


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
    root.add_argument("--version", action=_Version, nargs=0, help="say which version this is, and exit")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", title="commands", prog="flavor-tui")
    shared = Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="one JSON object a line, the last one the result")

    def add(name: str, about: str, workspace: bool = True) -> Parser:
        command = commands.add_parser(name, help=about, description=about, parents=[shared], allow_abbrev=False)
        command.set_defaults(refuse=command.error, default=command.get_default)
        if workspace:
            command.add_argument("workspace", type=_place, metavar="WORKSPACE", help="the workspace's folder")
        return command

    demo = add("demo", "open a fresh copy of the demo workspace", workspace=False)
    demo.add_argument("--at", type=_place, metavar="FOLDER", help="where to put it (default: demo-workspace here)")
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
    generate = add("generate", "sample candidates from the active checkpoint; they wait in the queue as well, to be decided")
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
    generate.add_argument("--plain", action="store_true", help="print the texts alone, with a blank line between them")
    decide = add("decide", "accept, reject or skip a candidate")
    decide.add_argument("candidate", metavar="CANDIDATE", help="its id, as `generate` prints it")
    decide.add_argument("verdict", choices=["accept", "reject", "skip"], help="an accepted text becomes an example")
    decide.add_argument("--text", type=Path, metavar="FILE", help="the edited text, accepted; - for standard input")
    decide.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="accepted with another value of an attribute")
    add("undo", "take the last decision, edit, import, vote or going back, back")
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
    evaluate.add_argument("file", metavar="FILE", help="texts in any form that `import` reads; - for standard input")
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
    report.add_argument("--html", metavar="FILE", help="write it as one page that needs nothing else; - for standard output")
    report.add_argument("--md", metavar="FILE", help="write it as Markdown; - for standard output")
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
        choices=[*MODELS, "dataset", "dpo", "kto"],
        help="adapter: PEFT; merged: 16 bits; gguf: llama.cpp; ollama: with a Modelfile; dpo, kto: for TRL's trainers",
    )
    export.add_argument(
        "dest",
        type=_dest,
        metavar="DEST",
        help="where to write it, a name that is not there yet: a file for gguf, gguf-adapter, dpo, kto and a dataset with an ending, else a folder; "
        "- for standard output, of rows with --as",
    )
    export.add_argument(
        "--form", choices=["rows", "prompt", "chat", "raw"], default="rows", help="of a dataset's rows (default: as they are kept)"
    )
    export.add_argument(
        "--as", choices=["jsonl", "csv", "tsv", "txt", "md", "parquet", "folder", "disk"], dest="how",
        help="of a dataset (default: by DEST's ending; without one a folder with a card). disk: as datasets' save_to_disk",
    )  # fmt: skip
    export.add_argument("--split", choices=["all", "train", "test"], default="all", help="test: what runs hold out; a refit learns it too")
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
    export.add_argument("--license", type=str.lower, default="", metavar="NAME", help="what the card says, for instance cc-by-4.0")
    push = add("push", "put an adapter or the dataset on the hub, privately; names every file, and asks for the name to be typed")
    push.add_argument("what", choices=["adapter", "dataset"], help="the active checkpoint's adapter, or all examples")
    push.add_argument("repo", metavar="OWNER/NAME", help="the repository on the hub; it is made where there is none")
    push.add_argument("--public", action="store_true", help="for everybody to read")
    push.add_argument(
        "--dry-run", type=_place, metavar="FOLDER", help="write exactly what would be sent into a new folder, and send nothing"
    )
    push.add_argument("--confirm", metavar="OWNER/NAME", help="the name again, where nobody can type it")
    push.add_argument("--license", type=str.lower, default="", metavar="NAME", help="what the card says, for instance cc-by-4.0")
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


def _place(text: str) -> Path:
    """Where something is, or is to be written. `-` is standard input or output elsewhere, and no name that anybody wants."""
    if text == "-":
        raise argparse.ArgumentTypeError(NO_PLACE)
    return Path(text)


def _dest(text: str) -> Path | None:
    """Where an export is to be written; None for `-`, which is standard output."""
    return None if text == "-" else Path(text)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command. What is misspelt ends the program, with the usage of that command."""
    args, rest = parser().parse_known_args(argv)
    if rest:
        args.refuse(f"unrecognized arguments: {' '.join(rest)}")
    if why := misfit(args):
        args.refuse(why)
    return args


def misfit(args: argparse.Namespace) -> str:
    """Which option what was asked for has no use for; empty where all have one."""
    match args.command:
        case "export":
            return _misfit_of_export(args) or _misfit_of_licence(args)
        case "push":
            return _misfit_of_push(args) or _misfit_of_licence(args)
        case "doctor":
            return _misfit_of_doctor(args)
        case "decide" if args.verdict != "accept" and (args.text or args.set):
            return f"{'--text' if args.text else '--set'} goes with accept"
        case "retrain" if args.again == "":
            return "--again names no run"
        case "retrain" if args.again is not None and (args.fresh or args.epochs is not None or args.seed is not None):
            return "--again takes everything from the run: --fresh, --epochs and --seed do not go with it"
        case "models" if args.get and args.folders:
            return "--in says nothing of --get"
        case "generate" if args.plain and args.json:
            return "--plain is for people and --json for programs: one of them"
        case "demo" if args.seed != args.default("seed") and not (args.play or args.json):
            return "--seed goes with --play"
        case "report":
            return _misfit_of_report(args)
    return ""


def _misfit_of_doctor(args: argparse.Namespace) -> str:
    if args.workspace is None and (args.bits or args.repair):
        return "--bits needs a WORKSPACE: its rows are measured" if args.bits else "--repair needs a WORKSPACE: that is mended"
    return "--bits measures and --repair mends: one of them" if args.bits and args.repair else ""


def _misfit_of_report(args: argparse.Namespace) -> str:
    places = [place for place in (args.html, args.md) if place is not None]
    if args.json and "-" in places:
        return "- and --json both go to standard output: one of them"
    return "--html and --md name the same file" if len(set(map(os.path.realpath, places))) < len(places) else ""


def _misfit_of_push(args: argparse.Namespace) -> str:
    given = [name for name in ("checkpoint", "strength") if args.what == "dataset" and getattr(args, name) is not None]
    return f"--{given[0]} says nothing of dataset" if given else ""


def _misfit_of_licence(args: argparse.Namespace) -> str:
    from dataset.exporting.folder import check_licence  # only here, as has_card below

    try:
        if args.license:
            check_licence(args.license)
    except FlavorError as error:
        return str(error)
    return ""


def _misfit_of_stdout(args: argparse.Namespace) -> str:
    if args.what not in GOES_WITH["how"]:
        return NO_PLACE
    if args.how not in POURED:
        return f"- is standard output: say what to write there with --as, one of {', '.join(POURED)}"
    return "- and --json both go to standard output: one of them" if args.json else ""


def _misfit_of_export(args: argparse.Namespace) -> str:
    given = [name for name in GOES_WITH if getattr(args, name) != args.default(name)]
    for name in given:
        if args.what not in GOES_WITH[name]:
            return f"--{CALLED.get(name, name)} says nothing of {args.what}"
    if args.dest is None and (why := _misfit_of_stdout(args)):
        return why
    if args.what in ("dpo", "kto") and args.how in ("folder", "disk"):
        return f"--as {args.how} goes with dataset: {args.what} is a file"
    return _misfit_of_dataset(args, given) if args.what == "dataset" else ""


def _misfit_of_dataset(args: argparse.Namespace, given: Collection[str]) -> str:
    from tui.commands.dataset_export import has_card  # only here: this command alone needs it, and then in any case

    folder = has_card(args.how or "", args.dest)
    if "license" in given and not folder:
        return "--license goes with a folder, whose card says it"
    if "origins" in given and (folder or args.how == "disk"):
        return "--origin goes with a file: give DEST an ending, for instance .csv"
    return "--split goes with a file, or with --as disk: the folder has all of them" if folder and "split" in given else ""
