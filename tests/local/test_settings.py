"""Settings from files and the environment, templates by name, and the commands that show them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import podtask
import pytest
import yaml
from podtask import PodTemplate
from podtask.api.resolve import find_template, merge_options, resolve_options, set_session_template
from podtask.config.files import project_folder
from podtask.config.options import RunOptions
from podtask.config.settings import all_settings, read_settings
from podtask.errors import InputError
from podtask.template.store import save_template, saved_templates

from tests.notebook import Shell

TEMPLATE = PodTemplate({"containers": [{"name": "main", "image": "team/image:1"}]}, "main", {"team": "one"})
Places = tuple[Path, Path]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    """Yield an empty project, which is the current directory, and an empty user folder."""
    project, config = tmp_path / "project", tmp_path / "config"
    (project / "notebooks").mkdir(parents=True)
    (project / "pyproject.toml").write_text("")
    monkeypatch.chdir(project / "notebooks")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    yield project, config / "podtask"
    set_session_template(None)


@pytest.mark.feature("P04")
def test_later_layers_win(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call overrides the environment, which overrides the project's file, then the user's file."""
    project, user = places
    user.mkdir(parents=True)
    (user / "config.toml").write_text("image = 'u'\nmemory = '1Gi'\ncpu = 1\ngpu = 1\n")
    (project / "pyproject.toml").write_text(
        "[tool.podtask]\nmemory = '2Gi'\ncpu = 2\ngpu = 2\nstart-timeout = '5m'\n"
    )
    monkeypatch.setenv("PODTASK_CPU", "3")
    monkeypatch.setenv("PODTASK_GPU", "3")
    found = merge_options({"gpu": 4})
    assert (found.image, found.memory, found.cpu, found.gpu) == ("u", "2Gi", "3", 4)
    assert found.start_timeout == 300
    assert {name: Path(setting.origin).name for name, setting in read_settings().items()} == {
        "image": "config.toml",
        "memory": "pyproject.toml",
        "cpu": "PODTASK_CPU",
        "gpu": "PODTASK_GPU",
        "start_timeout": "pyproject.toml",
    }
    assert all_settings()["timeout"].origin == "default"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.podtask]\nmemroy = '1Gi'", "unknown setting 'memroy'. Did you mean 'memory'?"),
        (
            "[tool.podtask]\nmemory = '16GB'",
            "--memory: '16GB' is not a quantity. Did you mean 16Gi?",
        ),
        ("[tool.podtask]\noutputs = 'a'", "It belongs to a single cell."),
        ("[tool]\npodtask = 5", "tool.podtask in"),
        ("[tool", "Cannot read the settings"),
    ],
)
def test_wrong_setting_names_its_file(places: Places, text: str, says: str) -> None:
    """The error about a setting in a file names the file."""
    (places[0] / "pyproject.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_settings()
    assert says in str(caught.value)
    assert "pyproject.toml" in str(caught.value)


def test_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error about a setting in the environment names the variable."""
    monkeypatch.setenv("PODTASK_TIMEOUT", "soon")
    with pytest.raises(InputError, match=r"^PODTASK_TIMEOUT: --timeout: 'soon'"):
        read_settings()


def test_project_is_the_nearest_folder_that_is_one(places: Places) -> None:
    """The nearest folder with a pyproject.toml or a git repository is the project."""
    inner = places[0] / "notebooks" / "inner"
    (inner / ".git").mkdir(parents=True)
    assert project_folder(inner) == inner
    assert project_folder() == places[0]
    assert project_folder(Path("/")) is None


@pytest.mark.feature("A44")
def test_saved_template_is_found_by_its_name(places: Places) -> None:
    """A project template hides a user template of the same name, and is a valid core/v1 PodTemplate."""
    mine = TEMPLATE.replace(labels={"whose": "mine"})
    assert save_template("prod", mine, for_user=True) == places[1] / "templates" / "prod.yaml"
    assert find_template("prod", {}, RunOptions()) == mine
    path = save_template("prod", TEMPLATE)
    assert path == places[0] / ".podtask" / "templates" / "prod.yaml"
    assert saved_templates() == {"prod": path}
    found = yaml.safe_load(path.read_text())
    assert (found["kind"], found["apiVersion"], found["metadata"]) == (
        "PodTemplate",
        "v1",
        {"name": "prod"},
    )
    assert PodTemplate.of(path).primary_container_name == "main"
    assert [each.name for each in path.parent.iterdir()] == ["prod.yaml"]


def test_saved_template_is_not_replaced_unasked() -> None:
    """Saving an equal template again is accepted; another template with its name is refused."""
    save_template("prod", TEMPLATE)
    save_template("prod", TEMPLATE)
    with pytest.raises(InputError, match="A template named 'prod' already exists"):
        save_template("prod", PodTemplate())
    save_template("prod", PodTemplate(), replace=True)


def test_without_a_project_the_users_folder_applies(monkeypatch: pytest.MonkeyPatch, places: Places) -> None:
    """Outside a project, saving is an error, but the user's settings and templates still apply."""
    monkeypatch.chdir("/")
    with pytest.raises(InputError, match="not in a project"):
        save_template("prod", TEMPLATE)
    save_template("prod", TEMPLATE, for_user=True)
    assert list(saved_templates()) == ["prod"]


def test_session_default_is_over_settings_and_under_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """-t overrides %podtask use, which overrides PODTASK_TEMPLATE."""
    one, two, three = (PodTemplate(labels={"n": n}) for n in "123")
    names = {"one": one, "two": two}
    monkeypatch.setenv("PODTASK_TEMPLATE", "one")
    assert resolve_options({}, names).template is one
    set_session_template(three)
    assert resolve_options({}, names).template is three
    assert resolve_options({"template": "two"}, names).template is two


def test_resolved_options_have_a_template_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolved options have a PodTemplate; merged options have only its name, which may not exist."""
    assert resolve_options({}, {}).template == PodTemplate()
    spec = {"containers": [{"name": "a"}]}
    assert resolve_options({"template": spec}, {}).template == PodTemplate(spec)
    monkeypatch.setenv("PODTASK_TEMPLATE", "gone")
    assert merge_options({}).template == "gone"
    with pytest.raises(InputError, match="Pod template 'gone' not found"):
        resolve_options({}, {})


def test_unknown_template_has_a_suggestion() -> None:
    """The error for an unknown name suggests a similar template of the notebook or a saved one."""
    save_template("production", TEMPLATE)
    with pytest.raises(InputError) as caught:
        find_template("prodution", {"dev": TEMPLATE, "_x": TEMPLATE}, RunOptions())
    assert "Did you mean 'production'?" in caught.value.message
    assert "Templates: dev, production." in caught.value.hint


@pytest.mark.feature("A44", "A47")
def test_commands_save_list_use_and_show(
    shell: Shell, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template can be saved, listed, used with -t and with %podtask use, and is shown by config."""
    monkeypatch.setenv("PODTASK_ENV", "TOKEN=hunter2")
    monkeypatch.setenv("PODTASK_LOCAL", "yes")
    shell["t"] = TEMPLATE
    out, _ = shell.output("%podtask save prod t")
    assert str(places[0] / ".podtask" / "templates" / "prod.yaml") in out
    out, _ = shell.output("%podtask templates")
    assert [line.split()[0] for line in out.splitlines()[:2]] == ["t", "prod"]
    assert "this notebook" in out
    out, _ = shell.output("%%podtask -t prod --dry-run\n1")
    assert "image: team/image:1" in out
    shell.output("%podtask use prod")
    out, _ = shell.output("%%podtask --dry-run\n1")
    assert "image: team/image:1" in out
    out, _ = shell.output("%podtask config")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line}
    assert rows["local"] == ["yes", "PODTASK_LOCAL"]
    assert rows["env"] == ["TOKEN", "PODTASK_ENV"]
    assert rows["template"][-1] == "use"
    assert "hunter2" not in out
    shell.output("%podtask use none")
    out, _ = shell.output("%%podtask --dry-run\n1")
    assert "team/image" not in out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("%podtask sav x", "Did you mean 'save'?"),
        ("%podtask use", "%podtask use NAME"),
        ("%podtask save a b c", "%podtask save NAME"),
        ("%podtask save a --usr", "%podtask save NAME"),
        ("%podtask save ../x t", "is not a valid template name"),
        ("%podtask save nothing", "Pod template 'nothing' not found"),
        ("%podtask use number", "Expected a pod template, got int"),
    ],
)
def test_wrong_command_shows_its_usage(shell: Shell, line: str, says: str) -> None:
    """A wrong command shows the usage in a few lines, without a traceback."""
    shell["number"], shell["t"] = 5, TEMPLATE
    shown = shell.shown_error(line)
    assert says in shown
    assert "Traceback" not in shown


def test_settings_apply_to_functions_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The settings apply to work submitted from Python without options."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.setenv("PODTASK_ENV", "A=from settings")
    assert podtask.submit("import os\nos.environ['A']").result(30) == "from settings"


@pytest.mark.feature("A44", "P01", "P04")
def test_python_face_reads_settings_and_library_as_the_magic_does(
    monkeypatch: pytest.MonkeyPatch, places: Places
) -> None:
    """A decorated function, submit, run and render find saved templates, defaults and settings."""
    save_template("prod", TEMPLATE)

    def image(pod: dict[str, Any]) -> Any:
        return pod["spec"]["containers"][0]["image"]

    @podtask.task(template="prod", timeout="1h")
    def work() -> str:
        return str(__import__("os").environ["A"])

    assert image(podtask.render(template="prod")) == "team/image:1"
    monkeypatch.setenv("PODTASK_IMAGE", "settings:1")
    assert image(podtask.render(template="prod")) == "settings:1"
    assert image(podtask.render(template="prod", image="call:1")) == "call:1"
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.setenv("PODTASK_ENV", "A=from settings")
    task = work.submit()  # the settings of the call, not of the decoration
    assert task.result(30) == "from settings"
    assert image(task.manifest) == "settings:1"
    assert podtask.run("1 + 1", options=RunOptions.of(template="prod", local=True)) == 2
    set_session_template(TEMPLATE.replace(labels={"from": "session"}))
    other = podtask.submit("1", template=None)
    other.result(30)
    assert other.manifest["metadata"]["labels"]["from"] == "session"
    with pytest.raises(InputError, match="Did you mean 'prod'"):
        podtask.task(template="prd")(work.__wrapped__).submit()
