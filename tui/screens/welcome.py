"""The first start in an empty folder: three doors. A new workspace, the demo, or a recent one."""

from __future__ import annotations

from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Button, Footer, Input, OptionList, Select
from textual.widgets.option_list import Option

from core import config
from core.errors import FlavorError
from core.files import typed_path
from core.task import Task, parse_fields
from core.text import clean_line
from tui.commands.making import make_demo
from tui.session.recent import recent
from tui.widgets.boxes import Choices, CleanInput
from tui.widgets.plain import Plain, plain

BLANK = "blank"


class WelcomeScreen(Screen[Path]):
    """Dismisses with the workspace to open."""

    CSS_PATH = "welcome.tcss"
    HELP = """
# Welcome
Here is no workspace yet: make one, look at the demo, or go on with one of those that you opened lately. A workspace is a folder with your examples, what
was sampled, and every run.

Attributes are what may differ from text to text, with `;` between them: a name for any text, `Name=scale` for 1 to 5, `Name=choice:one,two` for a list.
They can be changed later: each is a `[[task.fields]]` in the workspace's `flavor.toml`, which is read when it is opened.
"""
    BINDINGS = [
        Binding("ctrl+s", "make", "make the workspace", priority=True, id="welcome_make"),
        Binding("ctrl+d", "demo", "open the demo", priority=True, id="welcome_demo"),
        Binding("ctrl+o", "models", "choose a base", priority=True, id="welcome_models"),
        Binding("ctrl+q", "app.quit", "quit", priority=True, id="welcome_quit"),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._put = {"heading": "", "fields": ""}
        """What the chosen form put into these boxes."""

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="welcome"):
            yield Plain(plain("flavor-tui", "bold $accent"))
            yield Plain(
                "Write a few dozen texts, taste what a small local model makes of them, keep the good ones with one key, retrain with one key."
            )
            yield Plain(plain("A new workspace", "bold"), classes="door")
            with Horizontal(classes="field"):
                yield Plain("Form", classes="field-name")
                options = [("a heading and a text", BLANK), *((name.replace("-", " "), name) for name in config.TEMPLATES)]
                yield Select(options, value=BLANK, allow_blank=False, id="template", compact=True)
            for name, label, value, tip in (
                ("folder", "Folder", str(self.folder), ""),
                ("heading", "Heading", "", "Brief Description of an Alien Empire"),
                ("fields", "Attributes", "", "Danger Level=scale; Disposition=choice:Aloof,Curious; Society=text"),
                ("base", "Base model", config.STARTER, "starter, a hub id, a folder or a .gguf file"),
            ):
                with Horizontal(classes="field"):
                    yield Plain(label, classes="field-name")
                    yield CleanInput(value, placeholder=tip, id=name, compact=True)
            yield Plain(id="welcome-error")
            with Horizontal(id="doors"):
                yield Button("Make it (ctrl+s)", id="make", compact=True, variant="primary")
                yield Button("Open the demo (ctrl+d)", id="demo", compact=True)
            kept = recent()
            if kept:
                yield Plain(plain("A recent one", "bold"), classes="door")
                yield Choices(*(Option(plain(str(path)), id=str(path)) for path in kept), id="recent", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#heading", Input).focus()

    @on(Select.Changed, "#template")
    def _template(self, event: Select.Changed) -> None:
        """Fill the boxes in which the person has typed nothing."""
        task = config.template(str(event.value)) if event.value != BLANK else Task("")
        specs = [f"{f.name}={f.kind}" + (":" + ",".join(f.values) if f.values else "") for f in task.fields]
        for name, value in (("heading", task.heading), ("fields", "; ".join(specs))):
            box = self.query_one(f"#{name}", Input)
            if box.value.strip() not in ("", self._put[name]):
                continue
            box.value = self._put[name] = value
            box.cursor_position = 0  # what is longer than the box is seen from its beginning

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value

    @on(Button.Pressed, "#make")
    def action_make(self) -> None:
        chosen = str(self.query_one("#template", Select).value)
        try:
            task = config.template(chosen) if chosen != BLANK else Task("")
            fields = tuple(field for part in self._value("fields").split(";") if part.strip() for field in parse_fields(part))
            heading = clean_line(self._value("heading")).removeprefix("# ")
            if not heading:
                raise FlavorError("The heading is empty.", "Write what the texts are.")
            made = Task(heading, task.attributes_heading, task.text_heading, fields)
            folder = typed_path(self._value("folder"))
            config.create(folder, made, self._value("base").strip() or config.STARTER)
        except FlavorError as error:
            self.query_one("#welcome-error", Plain).update(plain(f"! {error}", "$text-error"))
            return
        self.dismiss(folder)

    @on(Button.Pressed, "#demo")
    def action_demo(self) -> None:
        try:
            self.dismiss(make_demo(None).workspace)
        except (FlavorError, OSError) as error:
            self.query_one("#welcome-error", Plain).update(plain(f"! {error}", "$text-error"))

    def action_models(self) -> None:
        from tui.screens.models import ModelsDialog

        self.app.push_screen(ModelsDialog(), self._base_chosen)

    def _base_chosen(self, name: str | None) -> None:
        if name:
            self.query_one("#base", Input).value = name

    @on(OptionList.OptionSelected, "#recent")
    def _recent(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(Path(str(event.option.id)))
