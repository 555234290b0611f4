"""The pickles of an execution's values while they arrive, and the thread that unpickles them meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any


class ValuesDiscarded(Exception):
    """The values do not arrive: the pod pickles them again without one that failed, or the connection has ended."""


class ArrivingValues:
    """The pickles, then the out-of-band buffers, as far as they have arrived.

    The event loop adds bytes, and one thread may read them.

    Args:
        attempt: Number of the runner's attempt to pickle the values.

    Attributes:
        parts: The pickles, then each buffer; the last one may be incomplete.
        received: Number of bytes that have arrived.
    """

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.parts = [bytearray()]
        self.received = 0
        self._filled = 0  # bytes of the last part, if it is a buffer
        self._begun = 0  # items of the first group that the pod has begun to pickle
        self._packed: list[Mapping[str, Any]] | None = None  # all items, once everything has arrived
        self._is_discarded = False
        self._changed = threading.Condition()

    def put(self, meta: Mapping[str, Any], data: bytes) -> None:
        """Add the data of a blob frame, which begins where the last one has ended.

        Raises:
            ValueError: It is not the next piece of the values.
        """
        part = int(meta["part"])
        with self._changed:
            if part == 0 and len(self.parts) == 1:
                self.parts[0] += data
            else:
                self._put_into_buffer(part, meta, data)
            self.received += len(data)
            self._begun = int(meta["begun"])
            self._changed.notify_all()

    def _put_into_buffer(self, part: int, meta: Mapping[str, Any], data: bytes) -> None:
        if part == len(self.parts) and self._is_filled():
            self.parts.append(bytearray(int(meta["size"])))
            self._filled = 0
        stop = self._filled + len(data)
        if part != len(self.parts) - 1 or not part or stop > len(self.parts[part]):
            raise ValueError("a piece of its values is in a wrong place")
        self.parts[part][self._filled : stop] = data
        self._filled = stop

    def complete(self, end: Mapping[str, Any]) -> bool:
        """Return whether everything has arrived that a result announces; the readers find an end then.

        Raises:
            ValueError: The sizes of the parts are not those of the result.
        """
        if self.received < end["size"]:
            return False
        if self.received > end["size"] or list(map(len, self.parts)) != end["sizes"] or not self._is_filled():
            raise ValueError("the sizes of its values do not add up")
        with self._changed:
            self._packed = list(end["packed"])
            self._changed.notify_all()
        return True

    def discard(self) -> None:
        """Let the readers fail: the rest does not arrive."""
        with self._changed:
            self._is_discarded = self._packed is None
            self._changed.notify_all()

    # -- for the thread that reads -----------------------------------------------------------------

    @property
    def is_discarded(self) -> bool:
        """Whether the rest does not arrive."""
        return self._is_discarded

    def wait_for_packed(self) -> list[Mapping[str, Any]]:
        """Wait until everything has arrived; return the description of all items.

        Raises:
            ValuesDiscarded: It does not arrive.
        """
        with self._changed:
            self._wait_for(lambda: False)
            assert self._packed is not None
            return self._packed

    def wait_for_item(self, index: int) -> bool:
        """Wait until the pod has begun to pickle an item of the first group; return False if there is none."""
        with self._changed:
            self._wait_for(lambda: self._begun > index)
            return self._begun > index

    def copy_to(self, target: Any, start: int) -> int:
        """Wait for bytes of the pickles from an offset on; copy them to a buffer, and return their number.

        It is 0 at the end.
        """
        with self._changed:
            self._wait_for(lambda: len(self.parts[0]) > start)
            with memoryview(self.parts[0]) as view, view[start : start + len(target)] as piece:
                target[: len(piece)] = piece
                return len(piece)

    def buffers(self) -> Iterator[bytearray]:
        """Yield each buffer once it has arrived."""
        index = 1
        while self._wait_for_buffer(index):
            yield self.parts[index]
            index += 1

    def _wait_for_buffer(self, index: int) -> bool:
        with self._changed:
            self._wait_for(lambda: self._has_buffer(index))
            return self._has_buffer(index)

    def _has_buffer(self, index: int) -> bool:
        count = len(self.parts)
        return index < count - 1 or (index == count - 1 and self._is_filled())

    def _is_filled(self) -> bool:
        return len(self.parts) == 1 or self._filled == len(self.parts[-1])

    def _wait_for(self, is_ready: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: self._is_discarded or self._packed is not None or is_ready())
        if self._is_discarded:
            raise ValuesDiscarded
