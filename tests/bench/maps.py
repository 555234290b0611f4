"""Maps of empty items on warm local workers, beside dask.distributed where that is installed."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable

import podtask

from tests.bench.table import Measurement

ITEMS = 1000
WORKERS = 8


def nothing(_: int) -> None:
    """Do nothing with an item."""


def measure(rounds: int) -> list[Measurement]:
    """Return the rate of empty items on eight local workers.

    Args:
        rounds: Number of maps.
    """
    ours = [_rate_of_map() for _ in range(rounds)]
    peer = _rates_of_dask(rounds)
    ratio = statistics.median(ours) / statistics.median(peer) if peer else None
    return [
        Measurement(
            "1,000 empty items, 8 local workers", "/s", ours, peer, ratio, ">= 1000/s, >= 0.5 of dask"
        )
    ]


def _rate_of_map() -> float:
    """Return items per second, from the first worker that is ready to the last result."""
    task = podtask.task(local=True)(nothing).submit_map(range(ITEMS), workers=WORKERS)
    assert task.results() == [None] * ITEMS
    return task.progress.rate


def _rates_of_dask(rounds: int) -> list[float]:
    """Return items per second of dask.distributed on as many warm processes; nothing if it is not installed."""
    if importlib.util.find_spec("distributed") is None:
        return []
    client_class: Callable[..., object] = importlib.import_module("distributed").Client
    found = []
    with client_class(n_workers=WORKERS, threads_per_worker=1) as client:  # type: ignore[attr-defined]
        for number in range(rounds):
            start = time.perf_counter()
            client.gather(client.map(nothing, range(number * ITEMS, (number + 1) * ITEMS)))
            found.append(ITEMS / (time.perf_counter() - start))
    return found


if __name__ == "__main__":
    for row in measure(3):
        beside = f"; dask {statistics.median(row.peer):.0f}" if row.peer else ""
        print(f"{row.subject}: median {statistics.median(row.ours):.0f}{row.unit}{beside}")
