"""Inputs that a cell changes in place or rebinds are reported, and brought back with -o auto."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from podtask.runner.protocol import MAX_WATCHED_BYTES
from podtask.runner.worker.changes import InputSnapshot


@pytest.mark.parametrize("change", [list.clear, lambda x: x.append(0), lambda x: x.extend(range(10**6))])
def test_change_shows_in_the_pickle(change: Any) -> None:
    """Smaller, larger and much larger pickles are detected as changes; equal ones are not."""
    names: dict[str, Any] = {"x": [1, 2], "same": {1, 2}, "lock": threading.Lock()}
    given = InputSnapshot(names, names)
    assert given.changed_names(names) == []
    change(names["x"])
    assert given.changed_names(names) == ["x"]


def test_large_values_are_not_compared() -> None:
    """Values over the limit, and those after it that exceed the total, are not compared."""
    names: dict[str, Any] = {"big": bytearray(MAX_WATCHED_BYTES), "small": [1]}
    given = InputSnapshot(names, names)
    names["big"][0] = 1
    names["small"].append(2)
    assert given.changed_names(names) == []


def test_new_objects_are_new_names() -> None:
    """A name that is bound to another object counts as new, not as changed."""
    names = {"x": [1]}
    given = InputSnapshot(names, names)
    later = {"x": [2], "y": 1}
    assert [name for name in later if given.is_new(name, later[name])] == ["x", "y"]
    assert given.changed_names(later) == []


def test_comparing_costs_little() -> None:
    """Comparing thirty inputs of a kilobyte takes a few milliseconds before and after the cell."""
    names = {f"x{n}": list(range(n, n + 300)) for n in range(30)}
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        InputSnapshot(names, names).changed_names(names)
        best = min(best, time.perf_counter() - start)
    assert best < 0.02
