"""The dataset's card: what is in it, where every row comes from, under which licence, how to load it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from statistics import median

from core.task import Field, Task
from core.text import clean_line, counted, short, words
from dataset.exporting.forms import Form
from dataset.rows import IMPORTED, Example
from dataset.store import Store

ORIGINS = {
    "written": "written by a person",
    "imported": "imported from a file or another tool",
    "accepted": "written by a model, accepted by a person as it was",
    "edited": "written by a model, changed by a person, then accepted",
}
COLUMNS = {
    "rows": "`text`, {fields}its `origin`, and when it was `created`",
    "prompt": "`prompt` and `completion`",
    "chat": "`messages`: the prompt as the user's turn, the text as the assistant's",
    "raw": "`text`: prompt and text in one",
}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))


def _front(licence: str, counts: Mapping[str, int], name: str) -> str:
    """The part that the hub and `load_dataset` read."""
    total = sum(count for path, count in counts.items() if path.startswith("data/"))
    size = next((said for most, said in SIZES if total < most), "100K<n<1M")
    splits = "".join(f"  - split: {path[5:-6]}\n    path: {path}\n" for path in counts if path.startswith("data/"))
    configs = f"- config_name: default\n  default: true\n  data_files:\n{splits}"
    configs += "".join(f"- config_name: {path[12:-6]}\n  data_files: {path}\n" for path in counts if path.startswith("preferences/"))
    return (
        f"---\nlicense: {licence}\npretty_name: {json.dumps(clean_line(name))}\ntask_categories:\n- text-generation\n"
        f"size_categories:\n- {size}\ntags:\n- flavor-tui\n- creative-writing\nconfigs:\n{configs}---\n"
    )


def _field(field: Field, examples: list[Example]) -> str:
    """A line of the table of fields."""
    values = Counter(value for example in examples if (value := example.fields.get(field.name)))
    kind = {"text": "any text", "scale": "1 to 5", "choice": "one of " + ", ".join(field.values)}[field.kind]
    return f"| {_cell(field.name)} | {_cell(kind)} | {sum(values.values())} | {len(values)} |\n"


def _cell(text: str) -> str:
    return clean_line(text).replace("|", "\\|")


def _origins(store: Store) -> str:
    counts: Counter[str] = Counter(example.origin for example in store.examples.values())
    lines = "".join(f"| {origin} | {counts[origin]} | {said} |\n" for origin, said in ORIGINS.items() if counts[origin])
    return f"| origin | rows | |\n|---|---|---|\n{lines}"


def _models(store: Store) -> str:
    """Which models wrote the texts that are a model's."""
    found: Counter[str] = Counter()
    for example in store.examples.values():
        candidate = store.candidates.get(example.candidate)
        if example.origin in ("accepted", "edited") and candidate:
            batch = store.batches.get(candidate.batch)
            base = clean_line(batch.base) if batch and batch.base else "unknown"
            tuned = "itself" if candidate.checkpoint == "base" else "fine-tuned on earlier rows of this dataset"
            found[f"the base `{base}`, {tuned}"] += 1
    decided = [decision for decision in store.decisions.values() if decision.checkpoint != IMPORTED]
    rejected = sum(decision.verdict == "reject" for decision in decided)
    said = "".join(f"* {count} by {which}\n" for which, count in found.most_common())
    if not said:
        return "No row was written by a model here.\n"
    return f"Of the rows that a model wrote:\n\n{said}\nOf what models wrote, {counted(rejected, 'text')} {'was rejected and is' if rejected == 1 else 'were rejected and are'} not among these rows.\n"


def card(store: Store, task: Task, licence: str, form: Form, counts: Mapping[str, int], name: str) -> str:
    """The card as Markdown with its front matter. `counts` are rows by file."""
    examples = list(store.examples.values())
    lengths = sorted(len(words(example.text)) for example in examples)
    dates = sorted(example.created[:10] for example in examples)
    files = "".join(f"| `{path}` | {count} |\n" for path, count in counts.items())
    fields = ""
    if task.fields:
        fields = "\n## Fields\n\n| field | values | rows that have it | different values |\n|---|---|---|---|\n"
        fields += "".join(_field(field, examples) for field in task.fields)
    shown = min(examples, key=lambda example: (abs(len(words(example.text)) - median(lengths)), example.uid))
    sample = (task.prompt(shown.fields) + shown.text).replace("```", "'''")
    columns = COLUMNS[form].format(fields="its `fields`, " if task.fields or any(example.fields for example in examples) else "")
    lengths_said = (
        f"{lengths[0]} to {lengths[-1]} words each (median {median(lengths):g})"
        if lengths[0] < lengths[-1]
        else f"{counted(lengths[0], 'word')} each"
    )
    made = f"from {dates[0]} to {dates[-1]}" if dates[0] < dates[-1] else f"on {dates[0]}"
    held = (
        " The `test` split is what a run afresh holds out, to measure its epochs by: its checkpoints called `epoch` have not seen it, those called "
        "`refit` were trained on all rows, and a run that goes on from another may have been trained on a few of them."
        if "data/test.jsonl" in counts
        else ""
    )
    preferred = ""
    if any(path.startswith("preferences/") for path in counts):
        preferred = "\n`dpo` has pairs of a text and one that it was preferred to, `kto` single texts and whether they were wanted: as TRL's trainers take them.\n"
    return (
        f"{_front(licence, counts, name)}\n# {clean_line(name)}\n\n{len(examples)} short texts under the heading *{short(task.heading, 200)}*, "
        f"{lengths_said}, made {made} with flavor-tui.\n\n"
        f"| file | rows |\n|---|---|\n{files}\nEach row has {columns}.{held}\n{preferred}\n"
        f"## Where the rows come from\n\n{_origins(store)}\n{_models(store)}{fields}\n"
        f"## A row, as a model sees it\n\n```\n{sample}\n```\n\n"
        f"## Licence\n\n`{licence}`, as chosen by whoever exported it. Rows that a model wrote may also be bound by that model's licence.\n\n"
        f'## To load it\n\n```python\nfrom datasets import load_dataset\n\nrows = load_dataset("THIS FOLDER OR ITS ID", split="train")\n```\n'
    )
