"""What may be a base model's folder: whole weights that are no pickles, and no code of its own. Knows no torch."""

from __future__ import annotations

from pathlib import Path

from core.errors import FlavorError
from core.reading import read_json

ALLOWED = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
"""The files that are ever fetched."""
TWICE = ["consolidated*.safetensors"]
"""Of these: the same weights once more, in a form that nothing here reads."""
SETTINGS = "*config*.json"
"""The files in which transformers looks for an `auto_map`; others may be large, or no JSON."""


def _has_key(value: object, key: str) -> bool:
    """Whether `key` stands anywhere in some JSON."""
    if isinstance(value, dict):
        return key in value or any(_has_key(inner, key) for inner in value.values())
    return isinstance(value, list) and any(_has_key(inner, key) for inner in value)


def check_folder(folder: Path, name: str) -> Path:
    """`folder` if its model may be loaded. Raises FlavorError with the reason where not."""
    for path in sorted(folder.glob(SETTINGS)):
        if _has_key(read_json(path), "auto_map"):
            raise FlavorError(f"{name} needs code of its own to run, which is never executed here.", "Choose another base.", "model")
    if not (folder / "config.json").exists():
        raise FlavorError(f"{name} has no config.json.", "Is it a whole causal language model?", "model")
    weights = [path for path in folder.glob("*.safetensors") if path.stat().st_size > 1024]
    if not weights:
        other = ", ".join(sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth")))
        reason = f"only pickles ({other})" if other else "no whole .safetensors file"
        raise FlavorError(f"{name} has {reason}.", "Weights must be safetensors or GGUF.", "model")
    index = folder / "model.safetensors.index.json"
    if index.exists():
        parts = told.get("weight_map") if isinstance(told := read_json(index), dict) else None
        if not isinstance(parts, dict):
            raise FlavorError(f"{name} has a {index.name} that names no weights.", "Load it again to complete it.", "model")
        missing = sorted({str(part) for part in parts.values() if not (folder / str(part)).exists()})
        if missing:
            raise FlavorError(f"{name} lacks {missing[0]} ({len(missing)} file(s) missing).", "Load it again to complete it.", "model")
    return folder
