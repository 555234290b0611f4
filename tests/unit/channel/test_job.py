"""The values of a result are put together from pieces of any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from podtask.channel.job import RunnerResult


class CountedList(list[Any]):
    """A list that counts how often an item is taken."""

    taken = 0

    def __iter__(self) -> Iterator[Any]:
        for item in super().__iter__():
            self.taken += 1
            yield item

    def __getitem__(self, key: Any) -> Any:
        self.taken += 1
        return super().__getitem__(key)


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 100])
def test_pieces_fill_the_parts_in_order(piece: int) -> None:
    """A piece may end within a part or span several parts; empty parts stay empty."""
    sizes = [0, 3, 0, 0, 1, 7, 2, 0]
    data = bytes(range(sum(sizes)))
    result = RunnerResult({}, [bytearray(size) for size in sizes])
    for start in range(0, len(data), piece):
        result.put(start, data[start : start + piece])
    assert [len(part) for part in result.parts] == sizes
    assert b"".join(result.parts) == data


def test_more_data_than_the_parts_hold_is_ignored() -> None:
    """Data after the last part is dropped."""
    result = RunnerResult({}, [bytearray(2)])
    result.put(1, b"abc")
    result.put(9, b"d")
    assert result.parts == [b"\0a"]


@pytest.mark.fault(101)
def test_many_parts_are_not_searched_for_each_piece() -> None:
    """Twice the values, in twice the parts, take twice the work."""
    for count in (1000, 2000, 4000):
        parts = CountedList(bytearray(8) for _ in range(count))
        result = RunnerResult({}, parts)
        for start in range(0, 8 * count, 16):
            result.put(start, bytes(16))
        assert parts.taken <= 4 * count


@pytest.mark.fault(90)
@pytest.mark.parametrize(
    ("size", "sizes"), [(10, [1 << 60]), (10, [5, 6]), (1, [2, -1]), (-1, [-1]), (1, [])], ids=str
)
def test_sizes_that_do_not_add_up_are_refused(size: int, sizes: list[int]) -> None:
    """A hostile pod does not make the notebook reserve memory for values that it does not send."""
    with pytest.raises(ValueError, match=r"do not add up|negative count"):
        RunnerResult.announced({"size": size, "sizes": sizes})
