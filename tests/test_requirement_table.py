"""The tables of features and faults count each row once, with the best test that covers it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.requirement_table import FOLDER, RequirementTable, target_of


def item(*rows: Any, fixtures: tuple[str, ...] = (), folder: str = "local") -> Any:
    """Return a stand-in for a test with marks."""
    marks = [SimpleNamespace(args=(row,)) for row in rows]
    path = FOLDER / folder / "test_it.py"
    return SimpleNamespace(nodeid="test_it", path=path, fixturenames=fixtures, iter_markers=lambda _: marks)


def test_row_counts_with_the_best_that_shows_it() -> None:
    """The real cluster counts more than the scripted server; any failure makes the row a failure."""
    table = RequirementTable("fault", "faults")

    def add(test: Any, passed: bool) -> None:
        table.add_result(table.rows_of(test), target_of(test), passed)

    add(item(1, 2), True)
    add(item(1, folder="faults"), True)
    add(item(2, 3, fixtures=("cluster",)), True)
    add(item(3, folder="faults"), False)
    lines = list(table.lines())
    assert lines[0].startswith("  1  shown  server  create stored")
    assert lines[1].startswith("  2  shown  cluster ")
    assert lines[2].startswith("  3  FAILED server  ")
    assert lines[3].startswith("  4  -              ")
    count = len(table.descriptions)
    assert lines[-1] == f"2 of {count} rows have a passing test, 1 on the real cluster"


def test_unknown_row_is_rejected() -> None:
    """The error names the test and the unknown row."""
    with pytest.raises(pytest.UsageError, match=r"test_it is marked fault\(999\)"):
        RequirementTable("fault", "faults").rows_of(item(999))
