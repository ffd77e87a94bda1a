"""Markdown in the heading form, many texts in one file; and plain texts, with blank lines or a mark between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from core.errors import FlavorError
from core.task import Task
from core.text import clean_line, short
from dataset.importing.bounds import Block, Found, Lines, Ready, fault, lines, wrong

BLANK = r"(?:[ \t]*+\n)*+"
"""Blank lines. What is matched is never given back here: else a text of blank lines would take seconds."""
ATTRIBUTES = re.compile(rf"##[^\n]++\n{BLANK}((?:(?!##?\s)[^\n:]++:[^\n]*+\n{BLANK})*+)##[ \t]++[^\n]++\n{BLANK}")
"""A section of `Name: value` lines, and the title of the text behind it, whatever it is called."""


def markdown(data: bytes, task: Task) -> Found:
    """Each text under its own `# Heading`, with `## Attributes` of `Name: value` lines where it has any. Other `##` lines are text."""
    return _markdown(lines(data), task)


def _markdown(found: Lines, task: Task) -> Found:
    start, section = 0, ""
    fields: dict[str, str] = {}
    body = Block()
    for number, line in found:
        if line[:1] == "#" and (len(line) == 1 or line[1].isspace()):
            if start:
                yield f"line {start}", Ready(body.take(), fields)
            start, section, fields, body = number, "", {}, Block()
        elif not start:
            if line.strip():
                wrong(f"line {number}: there is no `# Heading` above it.", "Each text stands under its own `# Heading`.")
        elif (opened := _section(line, section, body, task)) is not None:
            section, body = opened, Block()
        elif section == task.attributes_heading:
            name, colon, value = line.partition(":")
            name = name.strip()
            if line.strip() and (not colon or name in fields):
                yield f"line {number}", fault("not `Name: value`, or it names it again.", "One attribute a line.")
            elif line.strip():
                fields[name] = value.strip()
        else:
            body.add(number, line)
    if start:
        yield f"line {start}", Ready(body.take(), fields)


def _section(line: str, section: str, body: Block, task: Task) -> str | None:
    """The section that a line opens, where it is no text: before any text the attributes or the text, behind the attributes whatever it is called."""
    match = re.match(r"##\s+(.+)", line)
    if not match:
        return None
    title = match.group(1).strip()
    behind = section == task.attributes_heading
    opens = not section and not body and title in (task.attributes_heading, task.text_heading)
    return title if behind or opens else None


def _lined(text: str) -> str:
    """With the ends of lines that a text is kept with."""
    return text.replace("\r\n", "\n")


def opens_with_heading(text: str, task: Task) -> bool:
    """Whether a text begins as the task's prompts do."""
    return f"{_lined(text).strip()}\n".startswith(f"# {task.heading}\n")


def in_heading_form(text: str, task: Task) -> Ready:
    """A prompt of this task, with or without its text, taken apart. Raises FlavorError where it is not written as one."""
    (_, first), *rest = _markdown(((number, line) for number, line in enumerate(_lined(text).split("\n"), 1)), task)
    if not isinstance(first, Ready) or rest:
        wrong("its prompt is not in the heading form.", "One heading, then `Name: value` lines, then the text.")
    return first


def without_prompt(text: str, task: Task) -> Ready | None:
    """The raw form taken apart: the prompt that it begins with, and the text behind it, whatever lines that has. None where it has no such
    prompt, or nothing behind it. Raises FlavorError where it has attributes that are not written as such, which are no text to learn."""
    whole = _lined(text).strip() + "\n"
    heading = re.match(rf"# {re.escape(task.heading)}[ \t]*+\n{BLANK}", whole)
    behind = whole[heading.end() :] if heading else ""
    if not behind.strip():
        return None
    if not task.fields or not re.match(rf"##[ \t]++{re.escape(task.attributes_heading)}[ \t]*+\n", behind):
        return Ready(behind, {})
    attributes = ATTRIBUTES.match(behind)
    if attributes is None:
        return in_heading_form(text, task)
    given = [line.partition(":") for line in attributes[1].split("\n") if line.strip()]
    fields = {name.strip(): value.strip() for name, _, value in given}
    if len(fields) < len(given):
        wrong("its prompt names an attribute twice.", "One attribute a line.")
    return Ready(behind[attributes.end() :], fields)


def _rule(line: str) -> bool:
    return bool(re.fullmatch(r"-{3,}|\*{3,}", line.strip()))


def _behind_prompt(text: str, task: Task) -> Ready | FlavorError:
    """A text without the prompt of this task that it may begin with; or what is wrong with that prompt."""
    try:
        return without_prompt(text, task) or Ready(text, {})
    except FlavorError as error:
        return error


def _blank(line: str) -> bool:
    return not line.strip()


def _parted(data: bytes, ends: Callable[[str], bool]) -> Iterator[tuple[int, str]]:
    """The texts between lines that are ends, each with the number of its first line."""
    block = Block()
    for number, line in lines(data):
        if not ends(line):
            block.add(number, line)
        elif text := block.take():
            yield block.start, text
    if text := block.take():
        yield block.start, text


def _torn(text: str, task: Task) -> bool:
    """Whether a text is a piece of the heading form that blank lines have parted: the bare heading, or the attributes without one."""
    first, *rest = [clean_line(line) for line in text.split("\n")]
    return (not rest and first == f"# {task.heading}") or (bool(task.fields) and first == f"## {task.attributes_heading}")


def plain(data: bytes, task: Task, mark: str = "") -> Found:
    """Texts between lines that are `mark`; without one between `---` or `***` where there is any, else between blank lines. Prompts of this
    task before them are taken apart. Raises FlavorError where blank lines part a prompt itself: nothing says where its text ends."""
    ends = _blank
    if mark:
        ends = lambda line: line.strip() == mark.strip()  # noqa: E731
    elif any(_rule(line) for _, line in lines(data)):
        ends = _rule
    for start, text in _parted(data, ends):
        if ends is _blank and _torn(text, task):
            said = short(text.partition("\n")[0], 40)
            wrong(f"line {start}: {said!r}, and blank lines part texts here.", "Read it with --format md, or part texts with lines of ---.")
        yield f"line {start}", _behind_prompt(text, task)
