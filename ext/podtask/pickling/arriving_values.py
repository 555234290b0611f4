"""The pickles of an execution's values while they arrive, and the thread that unpickles them meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MAX_COPIED_BYTES = 4 << 20  # at once: the event loop waits meanwhile


class ValuesDiscarded(Exception):
    """The values do not arrive: the pod pickles them again without one that failed, or the connection has ended."""


class ArrivingValues:
    """The pickles, then the out-of-band buffers, as far as they have arrived.

    The event loop adds bytes, and one thread may read them. It sleeps until it can copy some MiB, or all that it
    needs, because each change between threads takes time.

    Args:
        attempt: Number of the runner's attempt to pickle the values.

    Attributes:
        received: Number of bytes that have arrived.
    """

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self._pickles = bytearray()
        self._buffers: list[bytearray] = []  # the last one may be incomplete
        self.received = 0
        self._filled = 0  # bytes of the last buffer
        self._begun = 0  # items of the first group that the pod has begun to pickle
        self._packed: list[Mapping[str, Any]] | None = None  # all items, once everything has arrived
        self._is_discarded = False
        self._changed = threading.Condition()
        self._is_ready: Callable[[], bool] = lambda: False  # whether what the reader waits for has arrived

    def put(self, meta: Mapping[str, Any], data: bytes) -> None:
        """Add the data of a blob frame, which begins where the last one has ended.

        Raises:
            ValueError: It is not the next piece of the values.
        """
        part = int(meta["part"])
        with self._changed:
            if part == 0 and not self._buffers:
                self._pickles += data
            else:
                self._put_into_buffer(part, meta, data)
            self.received += len(data)
            self._begun = int(meta["begun"])
            if self._is_ready():  # else waking the reader would only cost time
                self._changed.notify_all()

    def _put_into_buffer(self, part: int, meta: Mapping[str, Any], data: bytes) -> None:
        if part == len(self._buffers) + 1 and self._is_filled():
            self._buffers.append(bytearray(int(meta["size"])))
            self._filled = 0
        stop = self._filled + len(data)
        if part != len(self._buffers) or not part or stop > len(self._buffers[-1]):
            raise ValueError("a piece of its values is in a wrong place")
        self._buffers[-1][self._filled : stop] = data
        self._filled = stop

    def complete(self, end: Mapping[str, Any]) -> bool:
        """Return whether everything has arrived that a result announces; the readers find an end then.

        Raises:
            ValueError: The sizes of the parts are not those of the result.
        """
        if self.received < end["size"]:
            return False
        sizes = [len(self._pickles), *map(len, self._buffers)]
        if self.received > end["size"] or sizes != end["sizes"] or not self._is_filled():
            raise ValueError("the sizes of its values do not add up")
        with self._changed:
            self._packed = list(end["packed"])
            self._changed.notify_all()
        return True

    @property
    def parts(self) -> list[bytearray]:
        """The pickles, then each buffer."""
        return [self._pickles, *self._buffers]

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
            wanted = min(len(target), MAX_COPIED_BYTES)
            self._wait_for(lambda: len(self._pickles) >= start + wanted)
            stop = min(start + wanted, len(self._pickles))
            with memoryview(self._pickles) as view, view[start:stop] as piece:
                target[: len(piece)] = piece
                return len(piece)

    def buffers(self) -> Iterator[bytearray]:
        """Yield each buffer once it has arrived."""
        index = 0
        while self._wait_for_buffer(index):
            yield self._buffers[index]
            index += 1

    def _wait_for_buffer(self, index: int) -> bool:
        with self._changed:
            self._wait_for(lambda: self._has_buffer(index))
            return self._has_buffer(index)

    def _has_buffer(self, index: int) -> bool:
        count = len(self._buffers)
        return index < count - 1 or (index == count - 1 and self._is_filled())

    def _is_filled(self) -> bool:
        return not self._buffers or self._filled == len(self._buffers[-1])

    def _wait_for(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready
        self._changed.wait_for(lambda: self._is_discarded or self._packed is not None or is_ready())
        if self._is_discarded:
            raise ValuesDiscarded
