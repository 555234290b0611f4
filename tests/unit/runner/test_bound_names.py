"""The names that a cell has bound are known, also those that refer to the same object as before."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from podtask.runner.bound_names import BindingStatements, failed_line


def run(source: str, **names: Any) -> tuple[list[str], list[str]]:
    """Return the names that a cell has bound, and those that it has deleted."""
    namespace: dict[str, Any] = {"__name__": "__main__", **names}
    tree = ast.parse(source)
    statements = BindingStatements(tree, namespace)
    error: BaseException | None = None
    try:
        exec(compile(tree, "<cell>", "exec"), namespace)
    except Exception as raised:
        error = raised
    done = statements.names_after(namespace, failed_line(error, namespace))
    return done.bound, done.deleted


@pytest.mark.parametrize(
    ("source", "bound"),
    [
        ("x = 0", "x"),
        ("x += 0", "x"),
        ("x: int = 0", "x"),
        ("x: int", ""),
        ("x, [y, *z] = 0, [None]", "x y z"),
        ("for x in [0]: y = None", "x y"),
        ("with open('/dev/null') as x: y = None", "x y"),
        ("import os.path", "os"),
        ("import os.path as x", "x"),
        ("from os import path as x, sep", "sep x"),
        ("def x(y=None): z = 1", "x"),
        ("class x:\n    y = 1", "x"),
        ("if True: x = 1", "x"),
        ("if x: y = 1", ""),
        ("try: x = 0\nfinally: y = None", "x y"),
        ("[x for x in range(3)]", ""),
        ("[y := each for each in range(3)]", "y"),
        ("def f():\n    global x\n    x = 1\nf()", "f x"),
        ("globals()['x'] = 1", "x"),
        ("x = y = None; del y", "x"),
        ("x[0:0] = [] if x else x.__class__()", ""),
    ],
)
def test_bound_names(source: str, bound: str) -> None:
    """Statements that are always executed bind their names; others do if the object is another one."""
    value: Any = [] if "[0:0]" in source else 0
    assert " ".join(run(source, x=value, y=None)[0]) == bound


def test_deleted_names() -> None:
    """A name that the cell has deleted is reported; one that it has only made and deleted is not."""
    assert run("del x; z = 1; del z", x=0) == ([], ["x"])


def test_cell_that_fails() -> None:
    """Statements after the one that raised the error have bound nothing."""
    assert run("x = 0\ny = 1 / 0\nz = None", x=0, y=None, z=None)[0] == ["x"]


def test_cell_that_fails_in_a_function() -> None:
    """The line of the cell counts, not that of the function that raised the error."""
    source = "def f():\n    return 1 / 0\nx = 0\ny = f()\nz = None"
    assert run(source, x=0, y=None, z=None)[0] == ["f", "x"]
