"""`flavor-tui models`: what is on this machine, what would fit it in 4 bits, and good bases to begin with. Knows no Textual."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from core import config
from core.errors import FlavorError
from core.files import typed_path
from core.fit import Machine, Need, Shape, need
from core.hub.shortlist import ADVISED, Advised
from core.text import clean_line
from tui.commands.fetching import fetch
from tui.commands.output import Line, Output, Progress
from tui.commands.processes import answers
from tui.session.recent import recent

GGUF_PLACES = (".cache/llama.cpp", ".lmstudio/models", ".cache/lm-studio/models")
"""Where other programs keep GGUF files, below the home folder."""


@dataclass(frozen=True)
class Known:
    """A model as it is shown: what to write as `base`, where it is (or that it can be fetched), and what it takes here."""

    name: str
    where: str
    """starter, hub, folder, gguf, or `to download`."""
    bytes: int
    shape: Shape | None
    need: Need | None
    licence: str = ""
    about: str = ""
    problem: str = ""

    def size(self) -> str:
        return parameters(self.shape.parameters) if self.shape else "?"

    def fit(self) -> str:
        """What it takes here, in words."""
        if self.problem:
            return "no base"
        return f"{self.need.verdict}, {self.need.most / 1e9:.1f} GB" if self.need else "?"

    def rest(self) -> str:
        """What else there is to say."""
        return self.problem or " · ".join(part for part in (self.licence, self.about) if part)

    def data(self) -> dict[str, Any]:
        return {
            "name": self.name, "where": self.where, "bytes": self.bytes, "parameters": self.shape.parameters if self.shape else None,
            "verdict": self.need.verdict if self.need else None, "training_bytes": self.need.peak if self.need else None,
            "first_use_bytes": self.need.first if self.need else None, "licence": self.licence, "about": self.about, "problem": self.problem,
        }  # fmt: skip


def parameters(count: int) -> str:
    """135M, 1.7B."""
    return f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.0f}M"


def places(given: list[Path]) -> list[Path]:
    """Folders to look into: those given, those of recent workspaces' bases, and where other programs keep GGUF files."""
    found = [typed_path(str(path)).absolute() for path in given]
    for workspace in recent():
        with contextlib.suppress(FlavorError):
            base = (workspace / typed_path(config.load(workspace).model.base)).absolute()
            if os.path.exists(base):
                found.append(base.parent if base.is_file() else base)
    found += [place for name in GGUF_PLACES if (place := Path.home() / name).is_dir()]
    return list(dict.fromkeys(found))


async def known(given: list[Path]) -> AsyncGenerator[Machine | Known]:
    """The machine, then every model: those that are here, then those that are advised and are not. Raises FlavorError."""
    machine, done = Machine(0), False
    here = set()
    async with contextlib.aclosing(answers("core.hub.models", *map(str, places(given)))) as said:
        async for line in said:
            done = done or "done" in line
            if "machine" in line:
                machine = msgspec.convert(line["machine"], Machine)
                yield machine
            elif "model" in line:
                model = line["model"]
                shape = msgspec.convert(model["shape"], Shape) if model["shape"] else None
                here.add(model["name"])
                advised = next((one for one in ADVISED if one.name == model["name"]), None)
                yield Known(
                    clean_line(model["name"]), model["where"], model["bytes"], shape, need(shape, machine) if shape else None,
                    advised.licence if advised else "", advised.about if advised else "", clean_line(model["problem"]),
                )  # fmt: skip
    if not done:  # else a machine without memory, and without a model, would be told of
        raise FlavorError("Looking for models ended unexpectedly.", "python -m core.hub.models says why.", "fault")
    for advised in ADVISED:
        if advised.name not in here:
            yield _advised(advised, machine)


def _advised(one: Advised, machine: Machine) -> Known:
    return Known(one.name, "to download", 2 * one.shape.parameters, one.shape, need(one.shape, machine), one.licence, one.about)


def told(machine: Machine) -> str:
    """The machine in a line."""
    if machine.gpu:
        return f"{machine.gpu / 1e9:.0f} GB of GPU memory are free"
    return f"{machine.free / 1e9:.0f} GB of memory are free, no GPU"


async def models(folders: list[Path]) -> Output:
    """The command."""
    yield Progress("looking for models")
    count = 0
    async with contextlib.aclosing(known(folders)) as found:
        async for one in found:
            if isinstance(one, Machine):
                yield Line({"free": one.free, "gpu": one.gpu}, f"{told(one)}. Estimates are of training in 4 bits.\n")
                continue
            count += 1
            yield Line(one.data(), f"{one.name:<36} {one.where:<11} {one.size():>6}  {one.fit():<17}  {one.rest()}")
    yield Line({"models": count}, '\nWrite a name as base = "..." under [model] in flavor.toml. To fetch one: flavor-tui models --get NAME')


async def get(name: str) -> Output:
    """Bring a model from the hub: what came before is resumed; ctrl+c stops, and what came stays."""
    async with contextlib.aclosing(fetch(name)) as words:
        async for said in words:
            yield Progress(said) if said.startswith("downloading") else Line({"said": said}, said)
    yield Line({"base": name}, f"{name} is on this machine.")
