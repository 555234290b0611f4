"""The house style, checked: format, lint, types, imports, length, and one docstring a file."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LONGEST = 300
CODE = sorted(
    path
    for folder in ("ext", "widgets", "tests", "notebooks")
    for path in (ROOT / folder).rglob("*.py")
    if ".ipynb_checkpoints" not in path.parts
)


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports", "--no-cache"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_tool_finds_nothing(command: list[str]) -> None:
    """A tool of the house style has nothing to say."""
    tool = Path(sys.executable).parent / command[0]
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_short_and_says_what_it_is(path: Path) -> None:
    """A file has at most 300 lines, and begins with what it promises."""
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "the first line says what the file is"


def test_own_modules_are_all_in_the_layers() -> None:
    """The runner's bundle names every module of its folder, so that none is left behind."""
    from podtask.program import FOLDER, MODULES, STANDINS

    there = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "boot"}
    assert there == {*MODULES, *STANDINS.values()}
