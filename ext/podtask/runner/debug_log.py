"""The runner's debug log, which a notebook shows after ``%podtask verbose``.

Each line travels to the notebook in a frame of the kind LOG. The lines are not written to the container's log,
because that holds the output of the cell. Lines never hold keys, tokens or values.

The standard ``logging`` is not used: its import takes 5 ms or more, and would delay the start of every cell.
"""

import time
from collections import deque
from typing import Any, Callable, Deque, Dict, Optional, Tuple

from . import protocol

MAX_LINES = 100
MAX_LINE_CHARS = 500  # so that a frame is short enough to be written to a pipe at once


class DebugLog:
    """The newest lines, kept until a notebook fetches them."""

    def __init__(self) -> None:
        self._lines: Deque[Tuple[float, str]] = deque(maxlen=MAX_LINES)
        self._emit: Optional[Callable[[int, Dict[str, Any]], None]] = None

    def debug(self, message: str, *args: object) -> None:
        """Add a line.

        Args:
            message: The line; may contain ``%s`` and the like.
            args: The values for the placeholders of the message.
        """
        line = (message % args if args else message)[:MAX_LINE_CHARS]
        if self._emit is not None:
            self._emit(protocol.LOG, {"text": line})
        else:
            self._lines.append((time.monotonic(), line))

    def send_through(self, emit: Callable[[int, Dict[str, Any]], None]) -> None:
        """Send all further lines as frames; the worker passes its lines to the supervisor in this way.

        Args:
            emit: Sends a frame, given its kind and meta.
        """
        self._lines.clear()
        self._emit = emit

    def take_frames(self) -> bytes:
        """Remove the lines and return them as encoded frames, each with its age in seconds."""
        now = time.monotonic()
        frames = []
        while self._lines:  # a signal handler may add lines meanwhile
            added, line = self._lines.popleft()
            frames.append(protocol.encode(protocol.LOG, {"text": line, "age": round(now - added, 3)}))
        return b"".join(frames)


logger = DebugLog()  # the debug log of this process
