"""Store the frames that a client may still need: in order, on disk, limited in size.

Files are unlinked as soon as they are open, so none is left behind when the runner ends.
"""

import os
from collections import deque
from typing import IO, Any, Deque, List, Optional, Tuple

from ..debug_log import logger

SEGMENT_BYTES = 8 << 20
TEMP_DIRS = ("/tmp", "/dev/shm")
MAX_MEMORY_BYTES = 16 << 20


def temporary_file() -> Optional[IO[bytes]]:
    """Return an unlinked, unbuffered file in the first writable directory, None if there is none.

    A read-only root file system is common under Pod Security "restricted".
    """
    for directory in (os.environ.get("TMPDIR"), *TEMP_DIRS):
        if directory is None:
            continue
        path = os.path.join(directory, f"podtask-{os.urandom(8).hex()}")
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            logger.debug("cannot create a file in %s: %s", directory, error.strerror)
            continue
        os.unlink(path)
        return os.fdopen(fd, "w+b", buffering=0)
    return None


def temporary_folder() -> str:
    """Return the path of a new folder in the first writable directory, an empty string if there is none."""
    for place in (os.environ.get("TMPDIR"), *TEMP_DIRS):
        path = os.path.abspath(os.path.join(place or "", f"podtask-{os.urandom(8).hex()}"))
        if place is not None:
            try:
                os.mkdir(path, 0o700)
            except OSError as error:
                logger.debug("no folder in %s: %s", place, error)
            else:
                return path
    return ""


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
