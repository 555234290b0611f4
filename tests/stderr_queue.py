"""Standard error as a queue, for messages that podtask writes while no cell is waiting."""

from __future__ import annotations

import io
import queue
from collections.abc import Callable

QueueStderr = Callable[[], queue.Queue[str]]
"""Redirect standard error from now on; return the queue that receives each text."""


class StderrQueue(io.StringIO):
    """Stream that puts each text into a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: queue.Queue[str] = queue.Queue()

    def write(self, text: str) -> int:
        """Put a text into the queue unless it is only whitespace."""
        if text.strip():
            self.texts.put(text)
        return len(text)


def next_text_with(texts: queue.Queue[str], name: str) -> str:
    """Return the next text that contains a name; skip others, such as those about earlier pods."""
    while name not in (text := texts.get(timeout=60)):
        pass
    return text
