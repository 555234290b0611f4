"""Every way to ask for help prints it, and none is an error (row U10 of the cases of use)."""

from __future__ import annotations

import dataclasses

import pytest
from podtask.config.options import RunOptions
from podtask.magics.arguments import GROUPS as OPTION_GROUPS
from podtask.magics.arguments import make_parser
from podtask.magics.commands import COMMANDS, GROUPS

from tests.notebook import Kernel, Shell


@pytest.mark.parametrize(
    "line", ["%podtask", "%podtask help", "%podtask -h", "%podtask --help", "%podtask help -h"]
)
def test_help_of_all_commands(shell: Shell, line: str) -> None:
    """U10: the help lists every command in a group, with what it does and an example, in at most 100 columns."""
    out, err = shell.output(line)
    assert err == ""
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    for title, examples in GROUPS.items():
        assert title in lines
        for name, example in examples.items():
            assert any(each.split()[:1] == [name] for each in lines)
            assert any(each.strip() == f"%podtask {example}" for each in lines)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("form", ["help {}", "{} -h", "{} --help", "{} x --help"])
def test_help_of_one_command(shell: Shell, name: str, form: str) -> None:
    """U10: help of a command prints its arguments and an example, and does not run the command."""
    out, _ = shell.output(f"%podtask {form.format(name)}")
    first, example = out.splitlines()
    assert first.startswith(f"%podtask {name}")
    assert example.startswith(f"Example: %podtask {name}")


@pytest.mark.parametrize(
    "cell",
    [
        "%%podtask --help",
        "%%podtask -h",
        "%%podtask --help\n1 / 0",
        "%%podtask -d -h\n1 / 0",
        "%podtask help %%podtask",
    ],
)
def test_help_of_the_options(shell: Shell, cell: str) -> None:
    """U10: help of the cell magic prints all options in groups, also without a cell, and runs nothing."""
    out, _ = shell.output(cell)
    assert "usage: %%podtask [OPTIONS]" in out
    assert all(f"{title}:" in out for title in OPTION_GROUPS)
    for field in dataclasses.fields(RunOptions):
        assert field.metadata["flags"][-1] in out
    assert max(map(len, out.splitlines())) <= 104


def test_help_in_a_kernel(kernel: Kernel) -> None:
    """U10: the same in a kernel; without the extension, IPython's own message is back."""
    ran = kernel.run("%%podtask --help")
    assert ran.error is None
    assert "usage: %%podtask [OPTIONS]" in ran.stdout
    kernel.run("%unload_ext podtask")
    assert "not found" in kernel.run("%%podtask --help").stderr


def test_groups_are_complete() -> None:
    """U10: each command and each option is in one group, and the parser takes every option."""
    assert sorted(name for examples in GROUPS.values() for name in examples) == sorted(COMMANDS)
    named = [name for names in OPTION_GROUPS.values() for name in names]
    assert sorted(named) == sorted(field.name for field in dataclasses.fields(RunOptions))
    assert vars(make_parser().parse_args([])).keys() == set(named)


def test_unknown_topic(shell: Shell) -> None:
    """U10: help on something unknown names the command that was probably meant."""
    assert "Did you mean 'list'?" in shell.shown_error("%podtask help lst")
