"""The line of a magic: an option is known by its whole name only, and a command takes only its own options."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.error import UsageError
from podtask.config import settings
from podtask.errors import InputError
from podtask.magics.arguments import fields_by_flag, parse_options
from podtask.magics.commands import COMMANDS, ShellState, run

LONG_FLAGS = [flag for flag in fields_by_flag() if flag.startswith("--")]
ABBREVIATIONS = sorted({flag[:end] for flag in LONG_FLAGS for end in range(3, len(flag))} - {*LONG_FLAGS})
WITH_TASK = ("attach", "logs", "cancel", "delete", "shell")
WITH_OPTIONS = (*WITH_TASK, "list", "gc", "doctor", "rbac")


@pytest.mark.parametrize("text", ABBREVIATIONS)
@pytest.mark.parametrize("suffix", ["", "=1"], ids=["", "with-value"])
def test_no_option_is_abbreviated(text: str, suffix: str) -> None:
    """U6: the beginning of an option is an error that names all options that begin so."""
    with pytest.raises(UsageError, match=f"unknown option '{text}'") as caught:
        parse_options([text + suffix, "1"])
    for flag in LONG_FLAGS:
        assert (repr(flag) in str(caught.value)) == flag.startswith(text)


@pytest.mark.parametrize("command", WITH_OPTIONS)
@pytest.mark.parametrize("text", ["--nam", "--names", "--cont", "--mem", "--kee", "--tru", "--forc"])
def test_no_option_of_a_command_is_abbreviated(command: str, text: str) -> None:
    """U6: a command takes no beginning of an option, neither of its own flags nor of the cell's."""
    words = [command, *(["train"] if command in WITH_TASK else []), text, "x"]
    with pytest.raises(UsageError, match=f"%podtask {command}: unknown option '{text}'"):
        run(ShellState({}, lambda task, guard: None), " ".join(words))


@pytest.mark.parametrize(
    "line", ["save t --us", "save t --forc", "config --tru x", "verbose --off", "use --non"]
)
def test_no_flag_of_another_command_is_abbreviated(line: str) -> None:
    """U6: the commands with flags of their own know these by their whole names only."""
    with pytest.raises((UsageError, InputError)):
        run(ShellState({}, lambda task, guard: None), line)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_no_command_is_abbreviated(command: str) -> None:
    """U6: the beginning of a command is an error that names the command."""
    with pytest.raises(UsageError, match="unknown command"):
        run(ShellState({}, lambda task, guard: None), command[:-1])


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("list --name train", "%podtask list does not take --name."),
        ("delete train --name prod", "%podtask delete does not take --name."),
        ("cancel train --as prod", "%podtask cancel does not take --name."),
        ("logs train --gpu 1", "%podtask logs does not take --gpu."),
        ("gc --timeout 1h", "%podtask gc does not take --timeout."),
        ("attach train --local", "%podtask attach does not take --local."),
        ("shell train --image x -- ls", "%podtask shell does not take --image."),
        ("rbac --restricted", "%podtask rbac does not take --restricted."),
    ],
)
def test_a_command_refuses_an_option_without_effect(line: str, meant: str) -> None:
    """U6: an option that a command would ignore is an error; the command is not run with other bounds than were meant."""
    with pytest.raises(UsageError) as caught:
        run(ShellState({}, lambda task, guard: None), line)
    assert str(caught.value).startswith(meant)


@pytest.mark.parametrize("flag", ["--name", "--as"])
def test_name_is_the_name_of_the_task(flag: str) -> None:
    """U6: --name and its alias --as give the task's name, never the namespace."""
    assert parse_options([flag, "train", "-n", "team"]) == {"name": "train", "namespace": "team"}


def test_values_and_short_forms_still_work() -> None:
    """U6: values with an equals sign, and short options with and without a blank, are read as before."""
    words = ["--memory=8Gi", "-nteam", "-o", "a", "-o=b", "-d", "--env", "A=--nam"]
    given = {"memory": "8Gi", "namespace": "team", "outputs": ["a", "b"], "detach": True, "env": ["A=--nam"]}
    assert parse_options(words) == given


@pytest.mark.parametrize("name", sorted(settings.SETTABLE_OPTIONS))
def test_no_setting_is_abbreviated(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """U6: the beginning of a setting's name is an error that names the file."""
    text = name[:-1] if name[:-1] not in settings.SETTABLE_OPTIONS else name + "s"
    (tmp_path / "podtask").mkdir()
    (tmp_path / "podtask" / "config.toml").write_text(f'{text} = "1"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(InputError, match=rf"config.toml: unknown setting '{text}'"):
        settings.read_settings({})
