"""Large values take a bounded multiple of their size, in the notebook and in the cell's process."""

from __future__ import annotations

import sys

import pytest

from tests.bench.memory import LIMIT, peaks

SIZE = 192 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("way", "kind"), [("in", "array"), ("back", "bytes")])
def test_transfer_takes_little_more_memory_than_twice_the_value(way: str, kind: str) -> None:
    """A value and its pickle are in memory at the same time, and nothing else of its size."""
    found = peaks(way, kind, SIZE)
    assert all(multiple <= LIMIT for multiple in found.values()), found
