"""The copy of a cell's output in the container's own log, for ``kubectl logs``."""

import os

LIMIT = 3 << 20  # bytes; what comes later is in the spool only


class LogCopy:
    """Writes what the descriptor takes, keeps the rest for later, never blocks.

    Args:
        fd: the container's stdout.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._taken = 0
        self._backlog = b""
        os.set_blocking(fd, False)

    @property
    def pending(self) -> bool:
        return bool(self._backlog)

    def add(self, data: bytes) -> None:
        """Takes output in; over the limit it is not copied."""
        data = data[: LIMIT - self._taken]
        self._taken += len(data)
        self._backlog += data
        self.flush()

    def flush(self) -> None:
        """Writes what there is room for."""
        try:
            while self._backlog:
                self._backlog = self._backlog[os.write(self.fd, self._backlog) :]
        except BlockingIOError:
            return
        except OSError:  # nobody reads the log any more
            self._backlog = b""
            self._taken = LIMIT
