"""The minutes that the tests of each folder take, beside those that the table allows."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

TABLE = Path(__file__).with_name("minutes.txt")
TOTAL = "total"
SHORTEST_RUN_SECONDS = 60  # a shorter run prints no table


class TestMinutes:
    """Add up the time of the tests by folder.

    Attributes:
        table: Minutes of each folder as the table has them; ``total`` is what a whole run may take.
        seconds: Seconds of each folder in this run, summed over the workers.
    """

    __test__ = False  # this class holds no tests

    def __init__(self, text: str) -> None:
        lines = (line.partition("#")[0].split() for line in text.splitlines())
        self.table = {words[0]: float(words[1]) for words in lines if words}
        self.seconds: dict[str, float] = defaultdict(float)
        self._started = time.monotonic()

    def add(self, nodeid: str, seconds: float) -> None:
        """Add the time that a test, its set-up or its tear-down took."""
        self.seconds[folder_of(nodeid)] += seconds

    def lines(self, elapsed: float | None = None) -> Iterable[str]:
        """Yield a line for each folder that ran, then the time of the whole run; none for a short run.

        Args:
            elapsed: Seconds of the run; by default, those since this object was made.
        """
        elapsed = time.monotonic() - self._started if elapsed is None else elapsed
        if elapsed < SHORTEST_RUN_SECONDS:
            return
        yield f"{'folder':20}{'table':>7}{'this run':>10}"
        for folder, seconds in sorted(self.seconds.items()):
            yield f"{folder:20}{self._minutes(folder)}{seconds / 60:10.1f}"
        yield f"{'the whole run':20}{self._minutes(TOTAL)}{elapsed / 60:10.1f}"

    def _minutes(self, name: str) -> str:
        return f"{self.table[name]:7.1f}" if name in self.table else f"{'-':>7}"


def folder_of(nodeid: str) -> str:
    """Return the folder of a test: the first one below ``tests``."""
    parts = PurePosixPath(nodeid.partition("::")[0]).parts
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]
