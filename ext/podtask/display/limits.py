"""Limit the text that a notebook shows to its head and its tail.

A browser freezes on tens of megabytes of text, and jupyter_server silently drops messages that come
too fast, errors and results included. The task itself keeps the whole output.
"""

from __future__ import annotations

from collections import deque

HEAD_CHARS = 1 << 20  # of a cell's text, shown as they come
TAIL_CHARS = 64 << 10  # of the end of the text, shown when the cell has ended


class OutputLimiter:
    """A limit on the text of a cell: shows its head at once, and keeps its tail for the end."""

    def __init__(self) -> None:
        self._head_left = HEAD_CHARS
        self._tail: deque[tuple[str, str]] = deque()
        self._kept = 0
        self.left_out = 0  # characters

    def add(self, name: str, text: str) -> tuple[str, bool]:
        """Return the part of a stream's text to show now, and whether the head ends with it."""
        shown, rest = text[: self._head_left], text[self._head_left :]
        ends = bool(rest) and not self._kept
        self._head_left -= len(shown)
        if rest:
            self._tail.append((name, rest[-TAIL_CHARS:]))
            self.left_out += len(rest) - len(self._tail[-1][1])
            self._kept += len(self._tail[-1][1])
            while self._kept - len(self._tail[0][1]) >= TAIL_CHARS:
                dropped = len(self._tail.popleft()[1])
                self._kept -= dropped
                self.left_out += dropped
        return shown, ends

    def take_tail(self) -> list[tuple[str, str]]:
        """Return (stream, text) of the tail, in order; ``left_out`` is final after this."""
        tail = list(self._tail)
        cut = self._kept - TAIL_CHARS
        if cut > 0:
            name, first = tail[0]
            tail[0] = name, first[cut:]
            self.left_out += cut
        self._tail.clear()
        self._kept = 0
        return tail
