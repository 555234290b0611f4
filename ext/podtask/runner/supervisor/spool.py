"""Store the frames that a client or a view may still need: in order, on disk, limited in size."""

import os
from array import array
from collections import deque
from typing import Any, Deque, List, Tuple

from ..debug_log import logger
from .temporary_files import temporary_file

SEGMENT_BYTES = 8 << 20
MAX_MEMORY_BYTES = 16 << 20


class Segment:
    """Consecutive frames in one file, or in memory while they are small or if no file can be created.

    Args:
        first: Number of the first frame.
        memory_bytes: Size up to which no file is created.

    Attributes:
        in_memory: Whether the frames are in memory because they cannot be written to a file.
    """

    def __init__(self, first: int, memory_bytes: int) -> None:
        self.first = first
        self.size = 0
        self.in_memory = False
        self._memory_bytes = memory_bytes
        self._file: Any = None
        self._frames: List[bytes] = []
        self._ends = array("Q")

    def append(self, frame: bytes) -> None:
        """Append an encoded frame; move to memory if the disk is full."""
        self._frames.append(frame)
        self._ends.append(self.size + len(frame))
        if not self.in_memory and self._ends[-1] > self._memory_bytes:
            self._write()
        self.size = self._ends[-1]

    def offset(self, seq: int) -> int:
        """Return where a frame begins."""
        index = seq - self.first
        return self._ends[index - 1] if index else 0

    def read(self, seq: int, max_bytes: int) -> Tuple[bytes, int]:
        """Return whole frames from ``seq`` on, about ``max_bytes`` in all, and the number of the next frame."""
        index = seq - self.first
        start = self.offset(seq)
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

    def __del__(self) -> None:
        self.close()

    def _write(self) -> None:
        """Write the frames that are in memory to the file."""
        offset = self.size if self._file is not None else 0
        self._file = self._file or temporary_file()
        self.in_memory = self._file is None
        if self._file is None:
            return
        try:
            _write_at(self._file.fileno(), b"".join(self._frames), offset)
        except OSError as error:  # the disk is full
            logger.debug("keeping frames in memory, writing to disk failed: %s", error)
            self.in_memory = True
            self._to_memory(offset)
        else:
            self._frames.clear()

    def _to_memory(self, size: int) -> None:
        """Read the first ``size`` bytes of the file, and close it."""
        start, frames = 0, []
        for end in self._ends:
            if end <= size:
                frames.append(os.pread(self._file.fileno(), end - start, start))
            start = end
        self._frames[:0] = frames
        self._file.close()
        self._file = None


class Spool:
    """Frames numbered 1, 2, ...; the oldest are dropped when there are more than ``limit`` bytes.

    Args:
        limit: Maximum number of bytes (at most 16 MiB if frames cannot be written to files).
        segment_bytes: Size of a file; the oldest is dropped as a whole.
        memory_bytes: Size up to which the newest frames are in memory, so that few frames need no file.

    Attributes:
        last: Number of the newest frame.
        trimmed: Number of the last frame that nobody needs any longer.
    """

    def __init__(
        self, limit: int = 256 << 20, segment_bytes: int = SEGMENT_BYTES, memory_bytes: int = 0
    ) -> None:
        self.limit = limit
        self.last = 0
        self.trimmed = 0
        self._size = 0
        self._segment_bytes = segment_bytes
        self._memory_bytes = memory_bytes
        self._segments: Deque[Segment] = deque()

    @property
    def first(self) -> int:
        """Number of the oldest frame that is kept; ``last + 1`` if there is none."""
        return max(self._segments[0].first, self.trimmed + 1) if self._segments else self.last + 1

    def append(self, frame: bytes) -> None:
        """Append the encoded frame number ``last + 1``."""
        self.last += 1
        if not self._segments or self._segments[-1].size >= self._newest_limit():
            self._segments.append(Segment(self.last, self._memory_bytes))
        newest = self._segments[-1]
        newest.append(frame)
        self._size += len(frame)
        limit = min(self.limit, MAX_MEMORY_BYTES) if newest.in_memory else self.limit
        while self._size > limit and len(self._segments) > 1:
            oldest = self._segments.popleft()
            self._size -= oldest.size
            oldest.close()
            logger.debug("the spool is full, dropped frames %d to %d", oldest.first, self.first - 1)

    def trim(self, seq: int) -> None:
        """Drop the frames up to a number: nobody needs them any longer."""
        self.trimmed = max(self.trimmed, seq)
        while self._segments:
            following = self._segments[1].first if len(self._segments) > 1 else self.last + 1
            if following > self.trimmed + 1:
                return
            oldest = self._segments.popleft()
            self._size -= oldest.size
            oldest.close()

    def read(self, seq: int, max_bytes: int = 256 << 10) -> Tuple[bytes, int]:
        """Return encoded frames from ``seq`` on, which must be kept, and the number of the next frame."""
        for segment in reversed(self._segments):
            if segment.first <= seq:
                return segment.read(seq, max_bytes)
        raise KeyError(seq)

    def size_from(self, seq: int) -> int:
        """Return the number of bytes of the frames from ``seq`` on."""
        size = 0
        for segment in reversed(self._segments):
            size += segment.size
            if segment.first <= seq:
                return size - segment.offset(seq)
        return size

    def _newest_limit(self) -> int:
        """Return the size from which on the newest segment is followed by another one."""
        return (
            min(SEGMENT_BYTES, self._segment_bytes) if self._segments[-1].in_memory else self._segment_bytes
        )

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
