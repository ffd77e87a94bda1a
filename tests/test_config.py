"""flavor.toml: what `new` writes is read back; what is broken is named with its line."""

import pytest

from core import config
from core.errors import FlavorError
from core.task import Task
from docs import settings as settings_page
from tui.keys import KEYS


@pytest.mark.parametrize("name", config.TEMPLATES)
def test_templates_make_workspaces(tmp_path, name):
    task = config.template(name)
    settings = config.create(tmp_path / "new", task, "org/model")
    assert config.load(tmp_path / "new") == settings
    assert settings.task == task and settings.model.base == "org/model"
    with pytest.raises(FlavorError, match="a workspace already"):
        config.create(tmp_path / "new", task)


def test_every_default_stands_in_the_file_and_may_be_uncommented(tmp_path):
    text = config.render(config.template("alien-empires"), "starter")
    loose = "\n".join(
        line.removeprefix("# ") if line.startswith("# ") and " = " in line and '"y"' not in line else line for line in text.splitlines()
    )
    assert config.parse(loose) == config.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[task\n", "line 1"),
        ('[task]\nheading = "x"\n[training]\nepochs = "many"\n', "line 4: epochs is to be a whole number, and is a text in quotes"),
        ('[task]\nheading = "x"\n[training]\nlearning_rate = 7.0\n', "line 4"),
        (
            '[task]\nheading = "x"\n[sampling]\n\ntemprature = 1\n',
            "line 5: [sampling] has no setting 'temprature'. Did you mean temperature?",
        ),
        ('[task]\nheading = "x"\n[sampler]\n', "line 3"),
        ('[task]\nheading = "x"\n[keys]\naccept = 1\n', "a value in keys is to be a text in quotes, and is a whole number"),
        ('[task]\nheading = "x"\n[[task.fields]]\nname = "A"\nkynd = "scale"\n', "has no setting 'kynd'. Did you mean kind?"),
        ('[task]\nheading = ""\n', "heading is empty"),
        ("[model]\n", "task"),
        ('[task]\nheading="x"\n[[task.fields]]\nname="A"\nkind="number"\n', "line 5"),
        ('[task]\nheading="x"\n[[task.fields]]\nname="A"\nkind="choice"\n', "fewer than two values"),
        ('[task]\nheading="x"\n[[task.fields]]\nname="A"\n[[task.fields]]\nname="a"\n', "doubled"),
    ],
)
def test_broken_settings_name_the_line(tmp_path, text, said):
    (tmp_path / config.FILE).write_text(text)
    with pytest.raises(FlavorError) as error:
        config.load(tmp_path)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_an_accent_may_be_written_as_a_character_of_its_own():
    """As every typed value is: else it would not be one of the choices, and what was sampled with it would not be trained on."""
    text = '[task]\nheading = "Me\u0301nu"\n[[task.fields]]\nname = "Ame\u0301"\nkind = "choice"\nvalues = ["cafe\u0301", "bar"]\n'
    task = config.parse(text).task
    assert (task.heading, task.fields[0].name, task.fields[0].values) == ("M\xe9nu", "Am\xe9", ("caf\xe9", "bar"))
    assert task.check({"am\xe9": "CAF\xc9"}) == {"Am\xe9": "caf\xe9"}


@pytest.mark.parametrize(
    "base", ["", "Tavern rumour", "a/b/c", "./nowhere", "/nowhere/at/all", "there.gguf", "~nobody-of-that-name/x", "x\0y"]
)
def test_no_workspace_is_made_on_what_is_no_model(tmp_path, base):
    (tmp_path / "there.gguf").mkdir()
    with pytest.raises(FlavorError, match=r"is no model\. Give `starter`, a hub id like org/name, a folder, or a \.gguf file"):
        config.create(tmp_path / "new", Task("x"), base)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("base", ["starter", "gpt2", "org/model", "..", "../it.gguf", "It.GGUF", "{}", "{}/it.gguf"])
def test_a_base_may_be_what_is_there_or_on_the_hub(tmp_path, base):
    (tmp_path / "it.gguf").touch()
    (tmp_path / "new").mkdir()
    (tmp_path / "new/It.GGUF").touch()
    assert config.create(tmp_path / "new", Task("x"), base.format(tmp_path)).model.base == base.format(tmp_path)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ('[task]\nheading = "x"\n[model]\n  base = "old" # mine\nbase_too = 1\n', None),
        ('[task]\nheading = "x"\n[model]\r\n  base = "o\\"ld" # mine\r\n[look]\n', '[task]\nheading = "x"\n[model]\r\n  base = "a/b" # mine\r\n[look]\n'),
        ("[model]\nbase = 'old'\n[task]\nheading = \"x\"", '[model]\nbase = "a/b"\n[task]\nheading = "x"'),
        ('[model]\n# base = "c"\ncalibrate = false\n[task]\nheading = "x"\n', '[model]\nbase = "a/b"\n# base = "c"\ncalibrate = false\n[task]\nheading = "x"\n'),
        ('[task]\nheading = "x"', '[task]\nheading = "x"\n[model]\nbase = "a/b"\n'),
        ('model.base = "old"\n[task]\nheading = "x"\n', None),
        ('[task]\nheading = """\n[model]\nbase = "old"\nx"""\n', None),
    ],
)  # fmt: skip
def test_another_base_is_one_line_of_the_file(tmp_path, text, becomes):
    path = tmp_path / config.FILE
    path.write_bytes(text.encode())
    if becomes is None:
        with pytest.raises(FlavorError):
            config.put_base(tmp_path, "a/b")
    else:
        config.put_base(tmp_path, "a/b")
    assert path.read_bytes().decode() == (becomes or text)


def test_no_workspace(tmp_path):
    with pytest.raises(FlavorError, match="not a workspace"):
        config.load(tmp_path)


def test_figures_for_other_tools_are_off_and_a_missing_one_is_named(monkeypatch):
    settings = config.parse('[task]\nheading = "x"\n')
    assert settings.metrics.on() == [] and settings.metrics.absent() == ""
    asked = config.parse('[task]\nheading = "x"\n[metrics]\nwandb = true\ntrackio = true\n').metrics
    monkeypatch.setattr(config.importlib.util, "find_spec", lambda name: None if name == "trackio" else object())
    assert asked.on() == ["trackio", "wandb"]
    assert asked.absent() == "[metrics] in flavor.toml asks for trackio, not installed here: pip install trackio, or switch it off."


def test_the_page_of_settings_is_what_the_program_knows():
    """Every setting with its default, and every action with its key; nothing is without a word."""
    found = settings_page.page()
    assert settings_page.PAGE.read_text() == found, "run python -m docs.settings"
    for name, (section, _) in settings_page.SECTIONS.items():
        assert set(settings_page.explained(section)) == set(section.__struct_fields__), name
    assert all(f"`{key.name}`" in found for table in KEYS.values() for key in table)
