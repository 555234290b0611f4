"""The tables of features, faults and pods: which rows have a passing test, and the target of that test."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
# The targets of tests, most realistic first: the real cluster, then a scripted API server.
TARGETS = ("cluster", "server", "other")


class RequirementTable:
    """A table read from a file with one row per line.

    Attributes:
        marker: Name of the marker by which tests name rows; its arguments are row numbers.
        option: Name of the option that prints the table; the file has the same name.
        descriptions: Description of each row.
        results: For each row, the target and the outcome of each of its tests.
    """

    def __init__(self, marker: str, option: str) -> None:
        self.marker = marker
        self.option = option
        lines = (FOLDER / f"{option}.txt").read_text().splitlines()
        self.descriptions = dict(line.split(maxsplit=1) for line in lines if line)
        self.results: dict[str, list[tuple[str, bool]]] = {}

    def rows_of(self, item: pytest.Item) -> list[str]:
        """Return the rows that the marks of a test name.

        Raises:
            pytest.UsageError: A row is not in the table.
        """
        rows = {str(row) for mark in item.iter_markers(self.marker) for row in mark.args}
        if unknown := rows - self.descriptions.keys():
            raise pytest.UsageError(
                f"{item.nodeid} is marked {self.marker}({', '.join(sorted(unknown))}),"
                f" which is not in tests/{self.option}.txt."
            )
        return sorted(rows)

    def add_result(self, rows: Iterable[str], target: str, passed: bool) -> None:
        """Record the outcome of a test for each of its rows."""
        for row in rows:
            self.results.setdefault(row, []).append((target, passed))

    def lines(self) -> Iterable[str]:
        """Yield a line for each row, followed by the counts."""
        states = {row: self._state(row) for row in self.descriptions}
        for row, description in self.descriptions.items():
            state, target = states[row]
            yield f"{row:>3}  {state:7}{target:8}{description}"
        shown = [target for state, target in states.values() if state == "shown"]
        yield (
            f"{len(shown)} of {len(self.descriptions)} rows have a passing test,"
            f" {shown.count('cluster')} on the real cluster"
        )

    def _state(self, row: str) -> tuple[str, str]:
        results = self.results.get(row)
        if not results:
            return "-", ""
        if not all(passed for _, passed in results):
            return "FAILED", min((target for target, passed in results if not passed), key=TARGETS.index)
        return "shown", min((target for target, _ in results), key=TARGETS.index)


def target_of(item: pytest.Item) -> str:
    """Return the target of a test: one of TARGETS."""
    fixtures: Any = getattr(item, "fixturenames", ())
    if "cluster" in fixtures:
        return "cluster"
    return "server" if FOLDER / "faults" in item.path.parents else "other"
