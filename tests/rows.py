"""The tables of rows that tests show: which have a passing test, and what it ran against."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
KINDS = ("cluster", "server", "other")  # the real cluster counts most, then a scripted API server


class Rows:
    """A table: a file with a line for each row, a marker that names rows, an option that prints.

    Attributes:
        marker: What marks a test; its arguments are rows.
        option: What prints the table; the file is called after it.
        words: Each row's words.
        results: For each row, what each of its tests ran against, and whether it passed.
    """

    def __init__(self, marker: str, option: str) -> None:
        self.marker = marker
        self.option = option
        lines = (FOLDER / f"{option}.txt").read_text().splitlines()
        self.words = dict(line.split(maxsplit=1) for line in lines if line)
        self.results: dict[str, list[tuple[str, bool]]] = {}

    def named(self, item: pytest.Item) -> set[str]:
        """Returns the rows that a test's marks name.

        Raises:
            pytest.UsageError: A row is not in the table.
        """
        rows = {str(row) for mark in item.iter_markers(self.marker) for row in mark.args}
        if unknown := rows - self.words.keys():
            raise pytest.UsageError(
                f"{item.nodeid} is marked {self.marker}({', '.join(sorted(unknown))}),"
                f" which is not in tests/{self.option}.txt."
            )
        return rows

    def add(self, item: pytest.Item, passed: bool) -> None:
        """Keeps what came of a test."""
        for row in self.named(item):
            self.results.setdefault(row, []).append((kind(item), passed))

    def lines(self) -> Iterable[str]:
        """The table: a line for each row, then the counts."""
        found = {row: self._found(row) for row in self.words}
        for row, words in self.words.items():
            yield f"{row:>3}  {found[row][0]:7}{found[row][1]:8}{words}"
        shown = [where for state, where in found.values() if state == "shown"]
        yield (
            f"{len(shown)} of {len(self.words)} rows have a passing test,"
            f" {shown.count('cluster')} on the real cluster"
        )

    def _found(self, row: str) -> tuple[str, str]:
        results = self.results.get(row)
        if not results:
            return "-", ""
        if not all(passed for _, passed in results):
            return "FAILED", min((where for where, passed in results if not passed), key=KINDS.index)
        return "shown", min((where for where, _ in results), key=KINDS.index)


def kind(item: pytest.Item) -> str:
    """Returns what a test runs against: one of KINDS."""
    fixtures: Any = getattr(item, "fixturenames", ())
    if "cluster" in fixtures:
        return "cluster"
    return "server" if FOLDER / "faults" in item.path.parents else "other"
