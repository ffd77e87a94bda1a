"""The Modelfile of Ollama: the model, how a prompt is made of what the person types, and the sampling settings it knows. Light."""

from __future__ import annotations

from core.config import Sampling
from core.task import Task

QUOTES = '"""'


def modelfile(task: Task, sampling: Sampling, model: str = "./model.gguf", adapter: str = "") -> str:
    """A Modelfile for a GGUF file (`model`), with an adapter on top where there is one.

    What is typed are the attribute lines, where the task has fields, else the text's beginning. DRY, XTC, the end ramp and the filter
    against copies have no counterpart in Ollama.
    """
    settings: dict[str, float | int] = {
        "temperature": sampling.temperature,
        "min_p": sampling.min_p,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "repeat_penalty": 1.0,
        "num_predict": sampling.max_tokens,
    }
    lines = [f"FROM {model}"]
    if adapter:
        lines.append(f"ADAPTER {adapter}")
    lines.append(f"TEMPLATE {QUOTES}{template(task)}{QUOTES}")
    lines += [f"PARAMETER {name} {value:g}" for name, value in settings.items()]
    lines.append(f"PARAMETER stop {QUOTES}\n#{QUOTES}")
    return "\n".join(lines) + "\n"


def template(task: Task) -> str:
    """The prompt as a Go template, with `.Prompt` for what is typed."""
    heading = f"# {escape(task.heading)}\n\n"
    if not task.fields:
        return heading + "{{ .Prompt }}"
    return heading + (
        f"{{{{ if .Prompt }}}}## {escape(task.attributes_heading)}\n\n{{{{ .Prompt }}}}\n\n## {escape(task.text_heading)}\n\n{{{{ end }}}}"
    )


def escape(text: str) -> str:
    """`text` so that neither the Modelfile nor its template takes any of it for its own."""
    return text.replace("{{", '{{ "{{" }}').replace(QUOTES, '{{ "\\"\\"\\"" }}')
