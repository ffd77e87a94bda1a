"""The attributes of a text in one line."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from core.task import Task
from tui.widgets.plain import line


def fields_line(fields: Mapping[str, str], task: Task) -> Content:
    """`Danger Level 4/5 · Disposition Aloof`."""
    parts: list[str | tuple[str, str]] = []
    scales = {field.name for field in task.fields if field.kind == "scale"}
    for name, value in fields.items():
        parts += [" · " if parts else "", (name + " ", "$text-muted"), f"{value}/5" if name in scales else value]
    return line(*parts)
