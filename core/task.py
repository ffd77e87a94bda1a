"""What the person wants written: a heading, optional attribute fields, and how they become a prompt.

The heading is the trigger; attribute lines are `Name: value`. Prompts are lists of segments, each tokenised apart, so that
the ids seen in training and in sampling are the same, whatever a tokenizer merges across a boundary.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from core.errors import FlavorError
from core.text import clean_line, short

HEADING_WEIGHT = 0.0
"""A heading that is the same in every row teaches nothing and only dilutes the mean."""
ATTRIBUTE_WEIGHT = 0.2
"""Prompt loss weight between 0 and 0.5: Shi et al. 2405.14394, and 2507.07817."""

Kind = Literal["text", "choice", "scale"]
CHOICE = re.compile(r"=\s*choice:")
"""Where the values of a choice begin; commas stand between them."""
KIND = re.compile(r"=\s*(text\s*$|scale\s*$|choice:)")
"""What no value of a choice holds: another field's kind."""
Segment = tuple[str, float]
"""A piece of a prompt and the loss weight of its tokens."""


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One attribute of an example."""

    name: str
    kind: Kind = "text"
    values: tuple[str, ...] = ()

    def choices(self) -> tuple[str, ...]:
        """The values a person may pick; empty for free text."""
        return tuple("12345") if self.kind == "scale" else self.values

    def check(self, value: str) -> str:
        """`value` as it will be stored. Raises FlavorError where the field does not allow it; empty means not given."""
        value = clean_line(value)
        if len(value) > 500:
            raise FlavorError(f"{self.name}: a value of {len(value)} characters is too long.", "At most 500.")
        allowed = self.choices()
        if not value or not allowed or value in allowed:
            return value
        for choice in allowed:
            if choice.casefold() == value.casefold():
                return choice
        raise FlavorError(f"{self.name} cannot be {short(value)!r}.", f"It is one of {', '.join(allowed)}.", kind="field")


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The heading and the fields. `attributes_heading` and `text_heading` are used only where there are fields."""

    heading: str
    attributes_heading: str = "Attributes"
    text_heading: str = "Description"
    fields: tuple[Field, ...] = ()

    @property
    def free_names(self) -> list[str]:
        """The attributes that a person writes freely."""
        return [field.name for field in self.fields if not field.choices()]

    def field(self, name: str) -> Field:
        """The field called `name`, in any case. Raises FlavorError naming those there are."""
        wanted = clean_line(name).casefold()
        for field in self.fields:
            if field.name.casefold() == wanted:
                return field
        known = ", ".join(f.name for f in self.fields) or "none"
        raise FlavorError(f"There is no field {short(name)!r} in this task.", f"Its fields: {known}.", kind="field")

    def check(self, values: Mapping[str, str]) -> dict[str, str]:
        """`values` by the fields' own names and order, empty ones left out. Raises FlavorError on unknown or wrong ones."""
        given = {}
        for name, value in values.items():
            field = self.field(name)
            given[field.name] = field.check(value)
        return self.only(given)

    def only(self, values: Mapping[str, str]) -> dict[str, str]:
        """The values of fields that there are, in their order, empty ones left out: a row that is older than the fields may have others."""
        return {f.name: values[f.name] for f in self.fields if values.get(f.name)}

    def unlisted(self, values: Mapping[str, str]) -> list[str]:
        """The values that are none of their field's choices, each behind its name: a row that is older than the choices may have such."""
        return [f"{f.name} {values[f.name]}" for f in self.fields if f.choices() and values.get(f.name, "") not in ("", *f.choices())]

    def segments(self, values: Mapping[str, str]) -> list[Segment]:
        """The prompt, ending where the text begins. Values that are not given have no line."""
        lines = [(f"{f.name}: {values[f.name]}\n", ATTRIBUTE_WEIGHT) for f in self.fields if values.get(f.name)]
        if not lines:
            return [(f"# {self.heading}\n\n", HEADING_WEIGHT)]
        opening = f"# {self.heading}\n\n## {self.attributes_heading}\n\n"
        return [(opening, HEADING_WEIGHT), *lines, (f"\n## {self.text_heading}\n\n", HEADING_WEIGHT)]

    def prompt(self, values: Mapping[str, str]) -> str:
        """The prompt as one string."""
        return "".join(text for text, _ in self.segments(values))

    def draw(self, fixed: Mapping[str, str], known: Sequence[Mapping[str, str]], seeds: Sequence[int]) -> list[dict[str, str]]:
        """Values for a candidate of each seed: `fixed` ones kept, the rest drawn, as different over the batch as can be.

        Choices and scales are drawn evenly. Free texts come together from one example (`known`: their values), since those of one
        belong together; where there are none they are left open.
        """
        texts = self.free_names
        pools: dict[str, list[dict[str, str]]] = {
            field.name: [{field.name: value} for value in field.choices()] for field in self.fields if field.choices()
        }
        pools[""] = list(
            {tuple(row.items()): row for each in known if (row := {name: each[name] for name in texts if name in each})}.values()
        )
        drawn: list[dict[str, str]] = [{} for _ in seeds]
        for name, pool in pools.items():
            rng = random.Random(f"{seeds[0] if seeds else 0}-{name}")
            order: list[dict[str, str]] = []
            for values in drawn:
                if not order:
                    order = rng.sample(pool, len(pool))
                if order:
                    values.update(order.pop())
        return [
            {field.name: value for field in self.fields if (value := fixed.get(field.name) or values.get(field.name))} for values in drawn
        ]

    def others(self, values: Mapping[str, str], seed: int) -> dict[str, str]:
        """The same values, but for each choice and scale another one, drawn by `seed`: what guidance leads away from. None at all where there
        is no other, as with free texts alone."""
        rng = random.Random(f"{seed}-others")
        found = dict(values)
        for field in self.fields:
            if field.name in values and (rest := [value for value in field.choices() if value != values[field.name]]):
                found[field.name] = rng.choice(rest)
        return {} if found == values else found

    def contrast(self, drawn: Sequence[Mapping[str, str]], seeds: Sequence[int]) -> list[list[Segment]]:
        """The prompts that guidance leads away from, where those of these values and seeds are asked for."""
        return [self.segments(self.others(values, seed)) for values, seed in zip(drawn, seeds, strict=True)]


def parse_fields(spec: str) -> tuple[Field, ...]:
    """The fields of one NAME=KIND, or of several with commas between them: a comma that cannot belong to the values of a choice ends a field."""
    parts: list[str] = []
    for piece in spec.split(","):
        if parts and CHOICE.search(parts[-1]) and not KIND.search(piece):
            parts[-1] += f",{piece}"
        elif piece.strip():
            parts.append(piece)
    return tuple(map(parse_field, parts or [""]))


def parse_field(spec: str) -> Field:
    """A field from the command line's NAME=KIND: `text`, `scale`, or `choice:one,two,three`."""
    name, _, kind = spec.partition("=")
    name, kind = clean_line(name), kind.strip()
    if not name or ":" in name:
        raise FlavorError(f"The field {spec!r} has no usable name.", "Write NAME=KIND, for instance 'Mood=choice:calm,grim'.")
    if kind in ("", "text"):
        return Field(name)
    if kind == "scale":
        return Field(name, "scale")
    if kind.startswith("choice:"):
        values = tuple(v for v in (clean_line(part) for part in kind.removeprefix("choice:").split(",")) if v)
        odd = next((value for value in values if "=" in value), "")
        if odd and "=" not in values[0]:  # the next field, behind a comma that could belong to the values
            raise FlavorError(f"{name} has a value {odd!r}.", "Write ; between two attributes, and no = in a value.")
        if len(values) >= 2:
            return Field(name, "choice", values)
    raise FlavorError(f"The field {spec!r} has an unknown kind.", "Write NAME=KIND; kinds: text, scale, choice:one,two,three.")
