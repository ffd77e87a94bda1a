"""`flavor-tui push`: an adapter or the dataset to the hub. Every file is named with its size, and the name of the repository typed, before
anything leaves this machine. Knows no Textual, and never sees the token."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Literal

import msgspec

from core.errors import FlavorError
from core.files import cache_folder, publish_folder, remove_tree
from core.hub.asked import REPO, Push
from core.text import clean_line, counted
from dataset.exporting import write_folder
from tui.commands.card import adapter_card, base_name, samples
from tui.commands.dataset_export import ask_licence
from tui.commands.exporting import carry_out, chosen_strength, order, staging_beside
from tui.commands.output import Line, Output, Progress, at_once
from tui.commands.processes import answers
from tui.session.session import Session

What = Literal["adapter", "dataset"]


async def push(
    workspace: Path, what: What, repo: str, public: bool, dry_run: Path | None, confirm: str | None, licence: str,
    as_json: bool = False, checkpoint: str | None = None, strength: float | None = None,
) -> Output:  # fmt: skip
    """The command. `dry_run`: where the exact folder is written instead of being sent; its card says `other` where nobody can be asked for a
    licence. `confirm`: the name, where nobody can type it."""
    if not REPO.fullmatch(repo):
        raise FlavorError(f"{repo!r} is no name of a repository.", "OWNER/NAME, for instance me/alien-empires.")
    place = dry_run.absolute() if dry_run else cache_folder().absolute() / "push" / os.urandom(4).hex()
    with Session(workspace, read_only=True) as session:
        staging = staging_beside(place)
        try:
            if what == "adapter":
                name = checkpoint or session.registry.current()
                chosen = chosen_strength(session, name) if strength is None else strength
                async for progress in _adapter(session, staging, repo, licence, name, chosen):
                    yield progress
            else:
                if not session.store.examples:
                    raise FlavorError("There is no example to push.", "Write or accept one first.", "empty")
                licence = ask_licence(licence, as_json) or ("other" if dry_run else "")
                with at_once():
                    write_folder(session.store, session.task, staging, licence, name=repo.partition("/")[2])
            names = sorted(path.relative_to(staging).as_posix() for path in staging.rglob("*") if path.is_file())
            sizes = {name: (staging / name).stat().st_size for name in names}
            for name, size in sizes.items():
                yield Line({"file": name, "bytes": size}, f"{name}  {size:,} bytes")
            total = f"{counted(len(names), 'file')}, {sum(sizes.values()):,} bytes"
            if dry_run:
                publish_folder(staging, place)
                yield Line({"repo": repo, "dry_run": str(place), "files": names}, f"{total} in {place}; nothing was sent")
                return
            seen = "public: everybody can read it" if public else "private"
            await _typed(repo, confirm, f"{total}, to {repo} on the hub ({seen})")
            kind: Literal["model", "dataset"] = "model" if what == "adapter" else "dataset"
            asked = Push(repo, kind, str(staging), names, public)
            url = ""
            async with contextlib.aclosing(answers("core.hub.upload", question=msgspec.json.encode(asked), online=True)) as said:
                async for line in said:
                    url = line.get("url", url)
                    if "stage" in line:
                        yield Progress(clean_line(line["stage"]))
            if not url:
                raise FlavorError(f"The push to {repo} ended unexpectedly.", "Push again; what was sent is not sent twice.", "network")
            yield Line({"repo": repo, "url": url, "public": public, "files": names}, f"{total} are on the hub: {clean_line(url)}")
        except OSError as error:
            raise FlavorError(f"{staging.parent} cannot be written: {error.strerror}.", "Make room there.", "disk") from None
        finally:
            with contextlib.suppress(OSError):
                remove_tree(staging)


async def _adapter(session: Session, staging: Path, repo: str, licence: str, checkpoint: str, strength: float) -> Output:
    order(session, "adapter", checkpoint, staging, strength)  # says what is wrong before the samples are made
    texts: list[str] = []
    async for step in samples(session, checkpoint, strength):
        if isinstance(step, Progress):
            yield step
        else:
            texts = step
    card = adapter_card(session, checkpoint, texts, strength, licence, repo)
    base = base_name(session, public=True)
    async for progress in carry_out(order(session, "adapter", checkpoint, staging, strength, base_name=base, files={"README.md": card})):
        yield progress


async def _typed(repo: str, confirm: str | None, what: str) -> None:
    """Returns where the repository's name was typed. Raises FlavorError; nothing was sent then."""
    if confirm is None:
        if not sys.stdin.isatty():
            raise FlavorError("Nobody is there to type the name.", f"--confirm {repo}", "confirm")
        print(f"{what}.\nType its name to send it: ", end="", file=sys.stderr, flush=True)  # noqa: T201
        with at_once():
            confirm = sys.stdin.readline()
    if clean_line(confirm or "") != repo:
        raise FlavorError(f"That is not {repo}: nothing was sent.", "Push again, and type the name.", "confirm")
