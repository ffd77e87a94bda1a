"""What a person should know of a workspace before anything is done in it: said at the start, and by the commands."""

from __future__ import annotations

from core import choices
from tui.session.workspace import Workspace


def warnings(workspace: Workspace) -> list[str]:
    """Sentences; none where all is well."""
    found = []
    if workspace.unsure:
        end = "`lock` does not tell where the journal ended: were its last lines cut off, nobody would know."
        found.append(f"{end} See whether your last texts are there.")
    if problem := workspace.choices.problem:
        found.append(f"{choices.FILE} {problem}: strengths and notes do not count. {choices.mend(workspace.folder)}")
    return found
