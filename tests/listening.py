"""Standard error as a queue, for what is told when no cell waits any more."""

from __future__ import annotations

import io
import queue
from collections.abc import Callable

Listen = Callable[[], queue.Queue[str]]
"""Returns what has each text that goes to standard error from now on."""


class Ear(io.StringIO):
    """What is written is in a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.said: queue.Queue[str] = queue.Queue()

    def write(self, text: str) -> int:
        """Takes a text, but for line ends alone."""
        if text.strip():
            self.said.put(text)
        return len(text)


def heard(said: queue.Queue[str], name: str) -> str:
    """Returns what is told of a pod; of an earlier test's, whose server is gone, more may come."""
    while name not in (told := said.get(timeout=60)):
        pass
    return told
