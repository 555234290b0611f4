"""A cell in a warm session on this machine, beside a cell magic that does nothing, in alternation."""

from __future__ import annotations

import statistics
import time

from tests.bench.table import Measurement, compare
from tests.notebook import Kernel

NOTHING = (
    "from IPython.core.magic import register_cell_magic\n"
    "@register_cell_magic\ndef nothing(line, cell):\n    return 5"
)
SESSION = "%%podtask --local --session bench\n"
LONG = "".join(f"name_{number} = [x, {number}, len(str({number}))]\n" for number in range(49)) + "x"


def measure(pairs: int) -> list[Measurement]:
    """Return how long a short cell takes, and what a short cell and a new one of 50 lines take above the magic.

    Args:
        pairs: Number of pairs of cells.
    """
    kernel = Kernel()
    try:
        for source in ("%load_ext podtask", NOTHING, f"{SESSION}x = 0"):
            assert kernel.run(source).error is None
        short = [_pair(kernel, f"{SESSION}x += 1\nx") for _ in range(pairs)]
        # Each is a new text: the names of a cell that is run again are known.
        long = [_pair(kernel, f"{SESSION}{LONG} + {number}") for number in range(max(3, pairs // 10))]
        kernel.run("%podtask end bench")
    finally:
        kernel.close()
    above = sorted(ours - nothing for ours, nothing in short)
    last = above[min(len(above) - 1, int(0.99 * len(above)))]
    return [
        compare(
            "warm cell of a session", "ms", [each[0] for each in short], [each[1] for each in short], "none"
        ),
        Measurement("above a magic that does nothing", "ms", above, [], None, "median <= 2"),
        Measurement("the same, 99th percentile", "ms", [last], [], None, "<= 5"),
        Measurement(
            "the same, a new cell of 50 lines", "ms", [a - b for a, b in long], [], None, "median <= 4"
        ),
    ]


def _pair(kernel: Kernel, source: str) -> tuple[float, float]:
    """Return the milliseconds of a cell, and of a cell magic that does nothing."""
    times = []
    for each in ("%%nothing\nx", source):
        start = time.perf_counter()
        ran = kernel.run(each)
        times.append(1000 * (time.perf_counter() - start))
        assert ran.error is None
    return times[1], times[0]


if __name__ == "__main__":
    for row in measure(300):
        print(f"{row.subject}: median {statistics.median(row.ours):.2f} {row.unit}")
