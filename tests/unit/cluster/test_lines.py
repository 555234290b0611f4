"""The lines of a streamed answer, wherever its chunks end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from podtask.cluster.client import MAX_LINE_BYTES, Api

from tests.unit.counted_bytes import CountedBytes, copied_by


def lines(chunks: list[bytes]) -> list[bytes]:
    """Return the lines of an answer that arrives in these chunks."""

    async def iter_any() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    @contextlib.asynccontextmanager
    async def answer(*args: Any, **options: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(content=SimpleNamespace(iter_any=iter_any))

    async def collect() -> list[bytes]:
        client: Any = SimpleNamespace(_answer=answer)
        return [line async for line in Api.stream_lines(client, "/")]

    return asyncio.run(collect())


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_lines_are_whole_wherever_chunks_end(size: int) -> None:
    """A line that is not ended is not a line yet."""
    data = b"one\n\ntwo\nthree"
    assert lines([data[start : start + size] for start in range(0, len(data), size)]) == [b"one", b"", b"two"]


@pytest.mark.fault(101)
def test_line_without_end_comes_in_pieces() -> None:
    """A container that writes without line feeds does not fill the memory of the notebook."""
    chunk = bytes(1 << 20)
    found = lines([chunk] * (2 * (MAX_LINE_BYTES >> 20) + 3) + [b"\n"])
    assert len(found) == 3
    assert max(map(len, found)) <= MAX_LINE_BYTES + len(chunk)
    assert sum(map(len, found)) == (2 * (MAX_LINE_BYTES >> 20) + 3) * len(chunk)


@pytest.mark.fault(101)
def test_long_line_is_not_copied_for_each_chunk() -> None:
    """A line of twice the size takes twice the work."""
    chunk = CountedBytes(bytes(4096))
    for count in (256, 512, 1024):
        assert copied_by(lines, [chunk] * count + [b"\n"]) <= 2 * count * len(chunk)
