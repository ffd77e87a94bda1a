"""`flavor-tui completion SHELL`: what the shell needs to complete commands, options and their values, made from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Literal, NamedTuple

from core.text import clean_line

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")


class Option(NamedTuple):
    """An option of a command: its name, its values where they are known, whether it takes any, and a sentence."""

    name: str
    values: tuple[str, ...]
    takes: bool
    about: str


class Command(NamedTuple):
    name: str
    about: str
    options: tuple[Option, ...]
    words: tuple[str, ...]
    """Words that may stand without an option, such as `accept` of `decide`."""


def commands(parser: argparse.ArgumentParser) -> Iterator[Command]:
    """All commands of the parser."""
    sub = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    abouts = {choice.dest: choice.help or "" for choice in sub._choices_actions}
    for name, command in sub.choices.items():
        options: list[Option] = []
        words: list[str] = []
        for action in command._actions:
            values = tuple(map(str, action.choices or ()))
            if not action.option_strings:
                words += values
            elif action.dest != "help":
                options.append(Option(action.option_strings[-1], values, action.nargs != 0, clean_line(action.help or "")))
        yield Command(name, clean_line(abouts.get(name, "")), tuple(options), tuple(words))


def _bash(parser: argparse.ArgumentParser) -> str:
    found = list(commands(parser))
    words = "\n".join(f'    {c.name}) words="{" ".join([*(o.name for o in c.options), *c.words])}" ;;' for c in found)
    values = "\n".join(f'    {c.name}:{o.name}) values="{" ".join(o.values)}"; known=1 ;;' for c in found for o in c.options if o.takes)
    return f"""\
_flavor_tui_files() {{
  local IFS=$'\\n'
  local begun=${{2//\\\\/}}
  begun=${{begun#\\'}}
  begun=${{begun#\\"}}
  COMPREPLY+=( $(compgen "$1" -- "$begun") )
}}
_flavor_tui() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="${{COMP_WORDS[1]}}" words="" values="" known=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=( $(compgen -W "{" ".join(c.name for c in found)}" -- "$word") )
    _flavor_tui_files -d "$word"
    return
  fi
  case "$command:$before" in
{values}
  esac
  if [ -n "$known" ]; then
    if [ -n "$values" ]; then COMPREPLY=( $(compgen -W "$values" -- "$word") ); else _flavor_tui_files -f "$word"; fi
    return
  fi
  case "$command" in
{words}
  esac
  COMPREPLY=( $(compgen -W "$words" -- "$word") )
  case "$word" in -*) ;; *) _flavor_tui_files -f "$word" ;; esac
}}
complete -o filenames -F _flavor_tui flavor-tui
"""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish(parser: argparse.ArgumentParser) -> str:
    lines = []
    for c in commands(parser):
        lines.append(f"complete -c flavor-tui -n __fish_use_subcommand -a {c.name} -d {_quoted(c.about)}")
        seen = f"-n '__fish_seen_subcommand_from {c.name}'"
        for o in c.options:
            name = f"-l {o.name[2:]}" if o.name.startswith("--") else f"-s {o.name[1:]}"
            values = f" -x -a '{' '.join(o.values)}'" if o.values else " -r" if o.takes else ""
            lines.append(f"complete -c flavor-tui {seen} {name}{values} -d {_quoted(o.about)}")
        if c.words:
            lines.append(f"complete -c flavor-tui {seen} -a '{' '.join(c.words)}'")
    return "\n".join(lines) + "\n"


def script(parser: argparse.ArgumentParser, shell: Shell) -> str:
    """What to source in the shell's own start file."""
    match shell:
        case "bash":
            return _bash(parser)
        case "zsh":
            return f"autoload -U +X bashcompinit && bashcompinit\n{_bash(parser)}"
        case _:
            return _fish(parser)
