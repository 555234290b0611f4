"""Compare the minutes that the tests of each folder take with the minutes in a table."""

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
        table: Expected minutes of each folder; ``total`` is the limit of a whole run.
        seconds: Seconds that each folder took in this run, summed over the workers.
    """

    __test__ = False  # not a class of tests

    def __init__(self, text: str) -> None:
        lines = (line.partition("#")[0].split() for line in text.splitlines())
        self.table = {words[0]: float(words[1]) for words in lines if words}
        self.seconds: dict[str, float] = defaultdict(float)
        self._started = time.monotonic()

    def add(self, nodeid: str, seconds: float) -> None:
        """Add the duration of one test phase: set-up, call or tear-down."""
        self.seconds[folder_of(nodeid)] += seconds

    def lines(self, elapsed: float | None = None) -> Iterable[str]:
        """Yield a line for each folder that ran, then one for the whole run; yield nothing for a short run.

        Args:
            elapsed: Duration of the run in seconds; by default, the time since this object was created.
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
