"""Store the frames that a client may still need: in order, on disk, limited in size."""

import os
from collections import deque
from typing import Any, Deque, List, Tuple

from ..debug_log import logger
from .temporary_files import temporary_file

SEGMENT_BYTES = 8 << 20
MAX_MEMORY_BYTES = 16 << 20


class Segment:
    """Consecutive frames in one file, or in memory if no file can be created."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.size = 0
        self._file: Any = temporary_file()
        self._frames: List[bytes] = []
        self._ends: List[int] = []

    @property
    def in_memory(self) -> bool:
        """Whether the frames are in memory."""
        return self._file is None

    def append(self, frame: bytes) -> None:
        """Append an encoded frame; move to memory if the disk is full."""
        if self._file is not None:
            try:
                _write_at(self._file.fileno(), frame, self.size)
            except OSError as error:  # the disk is full
                logger.debug("keeping frames in memory, writing to disk failed: %s", error)
                self._to_memory()
        if self._file is None:
            self._frames.append(frame)
        self.size += len(frame)
        self._ends.append(self.size)

    def read(self, seq: int, max_bytes: int) -> Tuple[bytes, int]:
        """Return whole frames from ``seq`` on, about ``max_bytes`` in all, and the number of the next frame."""
        index = seq - self.first
        start = self._ends[index - 1] if index else 0
        stop_index = index
        while stop_index < len(self._ends) - 1 and self._ends[stop_index] - start < max_bytes:
            stop_index += 1
        if self._file is None:
            data = b"".join(self._frames[index : stop_index + 1])
        else:
            data = os.pread(self._file.fileno(), self._ends[stop_index] - start, start)
        return data, self.first + stop_index + 1

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()

    def _to_memory(self) -> None:
        start = 0
        for end in self._ends:
            self._frames.append(os.pread(self._file.fileno(), end - start, start))
            start = end
        self._file.close()
        self._file = None


class Spool:
    """Frames numbered 1, 2, ...; the oldest are dropped when there are more than ``limit`` bytes.

    Args:
        limit: Maximum number of bytes (at most 16 MiB if frames are kept in memory).
    """

    def __init__(self, limit: int = 256 << 20) -> None:
        self.limit = limit
        self.last = 0
        self._size = 0
        self._segments: Deque[Segment] = deque()

    @property
    def first(self) -> int:
        """Number of the oldest frame that is kept; ``last + 1`` if there is none."""
        return self._segments[0].first if self._segments else self.last + 1

    def append(self, frame: bytes) -> None:
        """Append the encoded frame number ``last + 1``."""
        self.last += 1
        if not self._segments or self._segments[-1].size >= SEGMENT_BYTES:
            self._segments.append(Segment(self.last))
        newest = self._segments[-1]
        newest.append(frame)
        self._size += len(frame)
        limit = min(self.limit, MAX_MEMORY_BYTES) if newest.in_memory else self.limit
        while self._size > limit and len(self._segments) > 1:
            oldest = self._segments.popleft()
            self._size -= oldest.size
            oldest.close()
            logger.debug("the spool is full, dropped frames %d to %d", oldest.first, self.first - 1)

    def read(self, seq: int, max_bytes: int = 256 << 10) -> Tuple[bytes, int]:
        """Return encoded frames from ``seq`` on, which must be kept, and the number of the next frame."""
        for segment in reversed(self._segments):
            if segment.first <= seq:
                return segment.read(seq, max_bytes)
        raise KeyError(seq)

    def close(self) -> None:
        """Close the files: the worker must not be able to write to them."""
        for segment in self._segments:
            segment.close()


def _write_at(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]
