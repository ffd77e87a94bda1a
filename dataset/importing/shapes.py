"""What other tools' records mean: chats, Alpaca, prompt and completion, preferences, Kiln, Argilla, Prodigy; each brought to plain columns.

Their forms are documented by the tools; what a person decided there (accepted, rejected, repaired) is kept as a decision.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from dataset.importing.bounds import Columns, fault

ASSISTANT = ("assistant", "gpt", "model", "chatgpt", "bing", "bard")
USER = ("user", "human", "prompter")
BAD_STARS = 2
"""Of Kiln's five: down to here a run was rejected; above it is an example."""
LABELS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
"""KTO's, as JSON and as cells have them."""

Verdict = Literal["", "accept", "reject", "ignore"]


class Record(NamedTuple):
    """A record as plain columns, and what was decided of it."""

    columns: Columns
    verdict: Verdict = ""
    before: str = ""
    """The text that the person would not rather have: what was repaired, or what was rejected for this one."""
    prompt: str = ""
    """What the text answers."""
    kind: str = "columns"
    text: str = ""
    """The column that holds the text, where the form itself names it."""
    asked: tuple[str, ...] = ("prompt",)
    """The columns that `prompt` is made of."""
    used: tuple[str, ...] = ()
    """Columns that the form says something by: which text was rejected, what was decided."""


def records(row: Columns) -> Iterator[Record]:
    """The texts of one record: several in a chat of several turns. Raises FlavorError where it breaks its own form."""
    if isinstance(turns := row.get("messages", row.get("conversations", row.get("conversation"))), list):
        yield from _chat(row, turns)
    elif isinstance(output := row.get("output"), dict) and isinstance(output.get("output"), str):
        yield _kiln(row, output)
    elif isinstance(row.get("fields"), dict) and "text" not in row and ("responses" in row or "suggestions" in row or "metadata" in row):
        yield _argilla(row)
    elif any(name.endswith(".responses.status") for name in row):
        yield _judged(row)
    elif row.get("answer") in ("accept", "reject", "ignore") and ("_task_hash" in row or "_input_hash" in row):
        meta = row.get("meta")
        yield Record({**(meta if isinstance(meta, dict) else {}), **row}, row["answer"], kind="Prodigy", used=("answer",))
    elif isinstance(row.get("chosen"), (str, list)) and "rejected" in row:
        yield _preference(row)
    elif "completion" in row and (wanted := _label(row.get("label"))) is not None:
        verdict: Verdict = "accept" if wanted else "reject"
        yield Record(_replied(row, "completion"), verdict, prompt=_asked(row.get("prompt")), kind="KTO", used=("label",))
    elif "completion" in row:
        yield Record(_replied(row, "completion"), prompt=_asked(row.get("prompt")), kind="prompt and completion")
    elif "instruction" in row and "output" in row:
        parts = {name: part for name in ("instruction", "input") if (part := _text(row.get(name)).strip())}
        yield Record(row, prompt="\n\n".join(parts.values()), kind="Alpaca", text="output", asked=tuple(parts))
    else:
        yield Record(row, prompt=_asked(row.get("prompt")))


def _label(value: Any) -> bool | None:
    """Whether a text was wanted, also as a table's cell says it; None where that is another kind of label."""
    return LABELS.get(str(value).strip().casefold())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _turns(turns: list[Any]) -> list[tuple[str, str]]:
    """Who says what, in OpenAI's form (role, content) or ShareGPT's (from, value)."""
    found = []
    for turn in turns:
        if not isinstance(turn, dict):
            raise fault("a turn of its chat is no object.", '{"role": "assistant", "content": "..."}')
        who, what = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if isinstance(what, list):  # content in parts
            what = "".join(_text(part.get("text")) for part in what if isinstance(part, dict))
        if not isinstance(who, str) or not isinstance(what, str | None):
            raise fault("a turn of its chat has no role or no text.", '{"role": "assistant", "content": "..."}')
        found.append((who.lower(), what or ""))
    return found


def _chat(row: Columns, turns: list[Any]) -> Iterator[Record]:
    """Every answer, with what was said right before it as its prompt."""
    rest = {name: value for name, value in row.items() if not isinstance(value, list)}
    prompt, answers = "", 0
    for who, what in _turns(turns):
        if who in USER:
            prompt = what
        elif who in ASSISTANT and what.strip():
            answers += 1
            yield Record({**rest, "prompt": prompt, "completion": what}, prompt=prompt, kind="chat", text="completion")
    if not answers:
        raise fault("its chat has no answer.", "A turn of the assistant (or gpt) is the text.")


def _talk(value: Any) -> bool:
    """Whether it is turns, as TRL's conversational form has them."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and bool({"role", "from"} & value[0].keys())


def _asked(value: Any) -> str:
    """A prompt, of turns the last thing the user said."""
    if _talk(value):
        return next((what for who, what in reversed(_turns(value)) if who in USER), "")
    return _text(value)


def _reply(value: Any) -> Any:
    """A completion, of turns the last thing the assistant said."""
    if _talk(value):
        return next((what for who, what in reversed(_turns(value)) if who in ASSISTANT), "")
    return value


def _replied(row: Columns, name: str) -> Columns:
    """A record whose column of this name holds a text, where it held turns."""
    return {**row, name: _reply(row[name])}


def _preference(row: Columns) -> Record:
    """What is chosen and what is rejected; the prompt may stand within both, as the turn before the answer."""
    asked = row.get("prompt") or (row["chosen"] if _talk(row["chosen"]) else "")
    return Record(
        _replied(row, "chosen"), "accept", _text(_reply(row["rejected"])), _asked(asked), "DPO", text="chosen", used=("rejected",)
    )


def _kiln(row: Columns, output: Columns) -> Record:
    """A run of a Kiln task: the repaired output where there is one; the input's own keys where it is structured."""
    text, before = output["output"], ""
    repaired = row.get("repaired_output")
    if isinstance(repaired, dict) and isinstance(repaired.get("output"), str):
        text, before = repaired["output"], text
    asked = _text(row.get("input"))
    columns: Columns = {"input": asked, "output": text}
    used: tuple[str, ...] = ()
    if asked.lstrip().startswith("{"):
        try:
            given = json.loads(asked)
        except (ValueError, RecursionError):
            given = None
        if isinstance(given, dict):
            columns, used = {**given, **columns}, ("input",)
    rating = output.get("rating")
    verdict = "accept" if before else _stars(rating if isinstance(rating, dict) else {})
    return Record(columns, verdict, before, asked, "Kiln", "output", ("input",), used)


def _stars(rating: Columns) -> Verdict:
    value, kind = rating.get("value"), rating.get("type", "five_star")
    if not isinstance(value, int | float) or kind not in ("five_star", "pass_fail", "pass_fail_critical"):
        return ""
    if kind == "five_star":
        return "reject" if value <= BAD_STARS else "accept"
    return "reject" if value < 1 else "accept"


def _argilla(row: Columns) -> Record:
    """A record of Argilla's own JSON, as its flat form has it."""
    flat: Columns = {name: value for name, value in row.items() if name in ("id", "status")}
    metadata = row.get("metadata")
    flat |= {**(metadata if isinstance(metadata, dict) else {}), **row["fields"]}
    responses = row.get("responses")
    for name, answers in (responses if isinstance(responses, dict) else {}).items():
        given = [answer for answer in answers if isinstance(answer, dict)] if isinstance(answers, list) else []
        flat[f"{name}.responses"] = [answer.get("value") for answer in given]
        flat[f"{name}.responses.status"] = [answer.get("status") for answer in given]
    return _judged(flat)


def _judged(flat: Columns) -> Record:
    """A record of Argilla's flat form; one that someone discarded is no example."""
    statuses = {name: status for name, status in flat.items() if name.endswith(".responses.status")}
    discarded = any(isinstance(status, list) and "discarded" in status for status in statuses.values())
    return Record(flat, "ignore" if discarded else "", kind="Argilla", used=tuple(statuses))
