"""Settings and templates of a project count only if nobody else could have written them."""

from __future__ import annotations

import os
from pathlib import Path

import podtask
import pytest
from podtask import PodTemplate
from podtask.api.resolve import merge_options, resolve_options
from podtask.config import files
from podtask.config.files import project_folder
from podtask.config.settings import all_settings
from podtask.errors import InputError
from podtask.lifecycle.updates import Update
from podtask.template.store import save_template, saved_templates, saves_for_user

from tests.notebook import Shell

pytestmark = pytest.mark.fault(87)
TEMPLATE = PodTemplate({"containers": [{"name": "main", "image": "team/image:1"}]})
ANOTHER_USER = 12345


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with a setting and a template, in which the notebook runs."""
    project = tmp_path / "project"
    (project / "notebooks").mkdir(parents=True)
    (project / "pyproject.toml").write_text("[tool.podtask]\nimage = 'team/other:2'\n")
    monkeypatch.chdir(project / "notebooks")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    save_template("prod", TEMPLATE)
    monkeypatch.setattr(files, "_ignored", {})
    monkeypatch.setattr(files, "_named", set())
    return project


def found() -> tuple[str | None, list[str]]:
    """Return the image of the settings, and the names of the saved templates."""
    return merge_options({}).image, list(saved_templates())


def notes(task: podtask.Task) -> list[str]:
    """Return the lines that the user sees after a task has ended."""
    task.result(30)
    return [each.text for each in iter(task.updates.get_nowait, Update("done")) if each.kind == "note"]


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file belong to another user than that of the notebook."""
    if os.getuid() == 0:
        os.chown(path, ANOTHER_USER, -1)
    else:
        monkeypatch.setattr(os, "getuid", lambda: ANOTHER_USER)


@pytest.mark.parametrize("mode", [0o755, 0o775, 0o2775, 0o700])
def test_group_may_write(project: Path, mode: int) -> None:
    """A umask of 002 and a setgid folder leave out nothing."""
    project.chmod(mode)
    (project / "pyproject.toml").chmod(mode & 0o664)
    (project / ".podtask/templates/prod.yaml").chmod(mode & 0o664)
    assert found() == ("team/other:2", ["prod"])
    assert files.ignored_files() == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".", (None, [])),
        ("pyproject.toml", (None, ["prod"])),
        (".podtask", ("team/other:2", [])),
        (".podtask/templates", ("team/other:2", [])),
        (".podtask/templates/prod.yaml", ("team/other:2", [])),
    ],
)
def test_what_everyone_can_write_is_ignored(
    project: Path, path: str, expected: tuple[str | None, list[str]]
) -> None:
    """A world-writable file, or a file in a world-writable folder such as a 0777 mount, does not count."""
    (project / path).chmod(0o1777)
    assert found() == expected
    lines = files.ignored_files(only_new=True)
    assert len(lines) == expected.count(None) + expected.count([])
    assert all(line.endswith(f"%podtask config --trust {project}") for line in lines)
    assert files.ignored_files(only_new=True) == []


def test_what_belongs_to_another_user_is_ignored(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of another user do not count; those of the user next to them do."""
    template = project / ".podtask/templates/prod.yaml"
    give_away(template, monkeypatch)
    assert saved_templates() == {}
    give_away(project / "pyproject.toml", monkeypatch)
    assert merge_options({}).image is None
    give_away(project, monkeypatch)
    template.parent.chmod(0o777)
    with pytest.raises(InputError, match="do not count"):
        save_template("other", TEMPLATE)
    assert saves_for_user()
    assert save_template("other", TEMPLATE, for_user=True).is_relative_to(files.user_folder())


def test_project_in_a_folder_for_everyone_counts(project: Path) -> None:
    """What is above the project, such as /tmp, does not matter, also before there is a folder of templates."""
    project.parent.chmod(0o1777)
    (project / ".podtask/templates/prod.yaml").unlink()
    for folder in (".podtask/templates", ".podtask"):
        (project / folder).rmdir()
    save_template("prod", TEMPLATE)
    assert found() == ("team/other:2", ["prod"])


def test_link_to_a_file_that_others_can_write_is_ignored(project: Path, tmp_path: Path) -> None:
    """What counts is the file that a link leads to."""
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    (project / "pyproject.toml").rename(shared / "pyproject.toml")
    (project / "pyproject.toml").symlink_to(shared / "pyproject.toml")
    assert merge_options({}).image is None


def test_other_files_of_such_a_folder_are_not_named(project: Path) -> None:
    """A pyproject.toml without settings is not named, even if it is broken."""
    project.chmod(0o777)
    for text in ("[project]\nname = 'x'\n", "[tool"):
        (project / "pyproject.toml").write_text(text)
        assert merge_options({}).image is None
        assert files.ignored_files() == []


def test_trusted_folder_counts(shell: Shell, project: Path) -> None:
    """Ignored files are named once, with the command that trusts the folder; the user's file keeps it."""
    project.chmod(0o777)
    (user := files.user_file()).parent.mkdir(parents=True, exist_ok=True)
    user.write_text("# mine\nmemory = '1Gi'\n")
    merge_options({})
    out, _ = shell.output("%podtask templates")
    assert f"%podtask config --trust {project}" in out
    out, _ = shell.output("%podtask templates")
    assert "--trust" not in out
    out, _ = shell.output("%podtask config")
    assert out.count(f"--trust {project}") == 2  # the settings and the templates
    shell.output(f"%podtask config --trust {project}")
    shell.output("%podtask config --trust ..")
    assert found() == ("team/other:2", ["prod"])
    assert merge_options({}).memory == "1Gi"
    assert user.read_text() == f"trusted-folders = [\"{project}\"]\n# mine\nmemory = '1Gi'\n"
    out, _ = shell.output("%podtask config")
    assert "gnored" not in out
    assert ["trusted-folders", str(project), str(user)] in [line.split() for line in out.splitlines()]


@pytest.mark.parametrize(
    ("text", "command", "says"),
    [
        ("", "--trust nowhere", "nowhere not found"),
        ("", "--trust", "%podtask config [--trust FOLDER]"),
        ("", "--turst .", "%podtask config [--trust FOLDER]"),
        (
            "trusted-folders = [\n  '/a',\n]\n",
            "--trust .",
            "Write this line at the top of the file: trusted-folders",
        ),
        ("trusted-folders = 1\n", "--trust .", "is not a list of folders"),
    ],
)
def test_folder_that_cannot_be_trusted(shell: Shell, text: str, command: str, says: str) -> None:
    """A missing folder or a file that cannot be changed is an error that says what to write."""
    files.user_file().parent.mkdir(parents=True, exist_ok=True)
    files.user_file().write_text(text)
    assert says in shell.shown_error(f"%podtask config {command}")
    assert files.user_file().read_text() == text


def test_search_stops_at_the_home_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing above the home folder counts as the project; the home folder itself does."""
    inner = project / "notebooks"
    monkeypatch.setenv("HOME", str(inner))
    assert project_folder() is None
    monkeypatch.setenv("HOME", str(project))
    assert project_folder() == project
    monkeypatch.setattr(files, "_home", lambda: "~")
    assert project_folder() == project


def test_search_stays_in_the_file_system(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing above a mount counts as the project."""
    mount = project / "notebooks"
    monkeypatch.setattr(files, "_device", lambda folder: 2 if Path(folder).is_relative_to(mount) else 1)
    assert project_folder() is None
    (mount / ".git").mkdir()
    assert project_folder() == mount


def test_first_line_names_the_file(project: Path) -> None:
    """The first line of a cell names the file of the project that chooses the image, namespace or template."""
    with (file := project / "pyproject.toml").open("a") as opened:
        opened.write("namespace = 'team'\nmemory = '1Gi'\n")
    first, *_ = notes(podtask.submit("1"))
    assert first == f"Settings from {file}: image, namespace"
    template = project / ".podtask/templates/prod.yaml"
    first, second, *_ = notes(podtask.submit("1", template="prod"))
    assert (first, second) == (f"Settings from {file}: image, namespace", f"Template from {template}")
    options = resolve_options({"template": "prod", "image": "a", "namespace": "b"}).replace(gpu=1)
    assert options.notices == (f"Template from {template}",)
    assert merge_options({"image": "a", "namespace": "b"}).notices == ()


def test_use_names_the_file(shell: Shell, project: Path) -> None:
    """%podtask use names the file that the template of the session is from."""
    out, _ = shell.output("%podtask use prod")
    assert out == f"Using {project / '.podtask/templates/prod.yaml'}\n"
    shell.output("%podtask use none")


@pytest.mark.parametrize("name", ["context", "index-url", "extra-index-url"])
def test_context_and_index_come_from_the_user(
    project: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project cannot choose the cluster's credentials or the source of packages; the line says who can."""
    option = name.replace("-", "_")
    with (project / "pyproject.toml").open("a") as file:
        file.write(f"{name} = 'https://project.example'\n")
    assert getattr(merge_options({}), option) in (None, ())
    (line,) = files.ignored_files()
    assert line.startswith(f"{name} in {project / 'pyproject.toml'} is ignored")
    assert line.endswith(str(files.user_file()))
    files.user_file().parent.mkdir(parents=True, exist_ok=True)
    files.user_file().write_text(f"{name} = 'https://mine.example'\n")
    assert all_settings()[option].origin == str(files.user_file())
    monkeypatch.setenv(f"PODTASK_{option.upper()}", "https://variable.example")
    assert all_settings()[option].origin == f"PODTASK_{option.upper()}"


def test_project_only_restricts_which_results_are_unpickled(project: Path) -> None:
    """A project cannot allow what the user forbids, but can forbid what the user allows."""
    file = project / "pyproject.toml"
    mine = files.user_file()
    mine.parent.mkdir(parents=True, exist_ok=True)
    before = file.read_text()
    mine.write_text("results = 'plain'\n")
    file.write_text(f"{before}results = 'all'\n")
    assert merge_options({}).results == "plain"
    (line,) = files.ignored_files()
    assert line.startswith(f"results = 'all' in {file} is ignored: a project cannot set it.")
    mine.write_text("results = 'all'\n")
    file.write_text(f"{before}results = 'plain'\n")
    assert merge_options({}).results == "plain"


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("env = ['SECRET']", "env = ['MODE=SECRET']"),
        ("env = 'SECRET'", "env = 'MODE=1'"),
        ("env = ['PIP_INDEX_URL=https://project.example']", "env = ['PIPE=1']"),
        ("env = {PIP_EXTRA_INDEX_URL = 'https://project.example'}", "env = {SECRET = '1'}"),
        ("pip = ['--index-url https://project.example']", "pip = ['a-b>=1']"),
        ('pip = ["a\\n --extra-index-url https://project.example"]', "pip = 'a'"),
        ("constraint = '-f https://project.example'", "constraint = ['a<2']"),
        ("constraint = '~/notes.txt'", "constraint = '../constraints.txt'"),
        ("constraint = ['../link.txt']", "constraint = ['../constraints.txt']"),
    ],
)
def test_project_neither_sends_variables_nor_chooses_an_index_another_way(
    project: Path, line: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project cannot send the value of a variable of the notebook, and gives pip packages but no options."""
    monkeypatch.setenv("SECRET", "of the notebook")
    name = line.partition(" ")[0]
    path = project / "pyproject.toml"
    monkeypatch.setenv("HOME", str(project.parent))
    for file in (project.parent / "notes.txt", project / "constraints.txt"):
        file.write_text("numpy<2\n")
    (project / "link.txt").symlink_to(project.parent / "notes.txt")
    path.write_text(f"[tool.podtask]\n{line}\n")
    assert all_settings()[name].origin == "default"
    (ignored,) = files.ignored_files()
    assert ignored.startswith(f"{name} in {path} is ignored: a project cannot se")
    path.write_text(f"[tool.podtask]\n{allowed}\n")
    files.clear_ignored()
    assert all_settings()[name].origin == str(path)
    assert files.ignored_files() == []
