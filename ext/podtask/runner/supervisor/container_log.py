"""The log of the container: a copy of the output for ``kubectl logs``, and finally the record."""

import hashlib
import os
import select
import selectors
from typing import Any, Iterable

from .. import protocol
from ..debug_log import logger

MAX_LOG_BYTES = 3 << 20  # size of the log file on the node; later output is only in the spool
LINE_OVERHEAD_BYTES = 44  # that the container runtime adds to each line
MAX_BACKLOG_BYTES = 8 << 20
STALLED_SECONDS = 30.0  # without progress, until the last lines are dropped


class LogCopy:
    """A copy of the output in the log of the container, written without blocking.

    What the descriptor does not accept at once is kept and written later.

    Args:
        fd: Descriptor of the container's stdout.

    Attributes:
        total: Bytes of the output so far.
        copied: Bytes of the output that are in the log.
        size: Approximate size of the node's log file.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.total = self.copied = 0
        self.size = 0
        self._digest = hashlib.sha256()
        self._full = False
        self._backlog = bytearray()
        self._newline = True
        os.set_blocking(fd, False)

    @property
    def sha256(self) -> str:
        """Hash of the copied output, in hex."""
        return self._digest.hexdigest()

    @property
    def pending(self) -> bool:
        """Whether data waits to be written."""
        return bool(self._backlog)

    def write_output(self, data: bytes) -> None:
        """Copy output, up to the limit of the log."""
        self.total += len(data)
        room = MAX_LOG_BYTES - self.size
        if self._full or not data:
            return
        if len(data) + LINE_OVERHEAD_BYTES * data.count(b"\n") > room:
            self._full = True  # no later output either, so that the copy has no gaps
            data = data[: max(0, room)]
            data = data[: max(0, room - LINE_OVERHEAD_BYTES * data.count(b"\n"))]
        self.copied += len(data)
        self._digest.update(data)
        self._append(data)

    def write_frame(self, kind: int, seq: int, frame: bytes, data: bytes) -> None:
        """Copy the output in a spooled frame."""
        if kind == protocol.STREAM:
            self.write_output(data)

    def watch(self, selector: Any) -> None:
        """Make the selector of the main loop write the backlog."""
        watched = any(key.fileobj == self.fd for key in selector.get_map().values())
        if self.pending and not watched:
            selector.register(self.fd, selectors.EVENT_WRITE, self.flush)
        elif watched and not self.pending:
            selector.unregister(self.fd)

    def write_line(self, text: str) -> None:
        """Write one of the runner's own lines, at the start of a line."""
        self._append((b"" if self._newline else b"\n") + text.encode() + b"\n")

    def flush(self) -> None:
        """Write as much of the backlog as the descriptor accepts."""
        try:
            while self._backlog:
                del self._backlog[: os.write(self.fd, self._backlog)]
        except BlockingIOError:
            return
        except OSError as error:  # the reading end was closed
            logger.debug("writing to the container's log failed: %s", error)
            self._backlog.clear()
            self._full = True

    def finish(self, lines: Iterable[str]) -> None:
        """Write the last lines, and wait until they are written."""
        for line in lines:
            self.write_line(line)
            if not self._drain(0):
                return

    def wait_for_room(self) -> None:
        """Wait until the backlog is small enough, so that a flood of output is not kept in memory."""
        self._drain(MAX_BACKLOG_BYTES)

    def _drain(self, max_bytes: int) -> bool:
        """Write until the backlog has at most ``max_bytes``; return False if nobody reads the log."""
        while len(self._backlog) > max_bytes:
            if not select.select([], [self.fd], [], STALLED_SECONDS)[1]:
                logger.debug("nobody has read the container's log for %g s", STALLED_SECONDS)
                return False
            self.flush()
        return True

    def _append(self, data: bytes) -> None:
        self.size += len(data) + LINE_OVERHEAD_BYTES * data.count(b"\n")
        self._newline = data.endswith(b"\n") if data else self._newline
        self._backlog += data
        self.flush()
