"""The licences of everything that the wheel needs, as the packages themselves name them: `python -m docs.licences`.

Ends with 1 where one is strongly copyleft, or names none.
"""

from __future__ import annotations

import importlib.metadata as metadata
import re
import sys
from typing import Any

STRONG = re.compile(r"(?<!L)\bA?GPL|GNU (Affero )?General Public", re.I)
SHORT = 60
NAME = re.compile(r"[A-Za-z0-9._-]+")


def plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(root: str) -> dict[str, metadata.Distribution]:
    """Every package that `root` needs here, without extras, itself left out."""
    found: dict[str, metadata.Distribution] = {}
    left = [root]
    while left:
        name = plain_name(left.pop())
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # for another system, or another Python
            continue
        if name in found:
            continue
        found[name] = package
        left += [match[0] for line in package.requires or [] if "extra ==" not in line and (match := NAME.match(line))]
    del found[plain_name(root)]
    return dict(sorted(found.items()))


def licence(package: metadata.Distribution) -> str:
    """What a package says of its licence: the expression, else the classifiers, else the free text's first line."""
    told: Any = package.metadata  # an email.message.Message, whatever its protocol says
    if expression := told.get("License-Expression"):
        return expression
    classifiers = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or [] if line.startswith("License ::")]
    first = (told.get("License") or "").strip().partition("\n")[0][:SHORT]
    return ", ".join(classifiers) or first or "not named"


def main() -> None:
    wrong = []
    for name, package in needed("flavor-tui").items():
        said = licence(package)
        print(f"{name:<24}{package.version:<14}{said}")
        if STRONG.search(said) or said == "not named":
            wrong.append(name)
    if wrong:
        print(f"look at: {', '.join(wrong)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
