"""How much of a cell's output the notebook gets: head and tail of the text, no giant displays.

A browser freezes on tens of megabytes of text, and jupyter_server silently drops what comes too
fast, errors and results among it. The task keeps everything.
"""

from __future__ import annotations

from collections import deque
from typing import Any

HEAD = 1 << 20  # characters of a cell shown as they come
TAIL = 64 << 10  # and of the last ones, when it has ended
BUNDLE = 8 << 20  # characters of one display


class OutputLimiter:
    """Counts a cell's text; past the head it keeps a tail for the end."""

    def __init__(self) -> None:
        self._room = HEAD
        self._tail: deque[tuple[str, str]] = deque()
        self._kept = 0
        self.left_out = 0  # characters

    def take(self, name: str, text: str) -> tuple[str, bool]:
        """Returns the part of a stream's text to show now, and whether the head ends here."""
        shown, rest = text[: self._room], text[self._room :]
        ends = bool(rest) and not self._kept
        self._room -= len(shown)
        if rest:
            self._tail.append((name, rest[-TAIL:]))
            self.left_out += len(rest) - len(self._tail[-1][1])
            self._kept += len(self._tail[-1][1])
            while self._kept - len(self._tail[0][1]) >= TAIL:
                dropped = len(self._tail.popleft()[1])
                self._kept -= dropped
                self.left_out += dropped
        return shown, ends

    def end(self) -> list[tuple[str, str]]:
        """Returns (stream, text) of the tail, in order; ``left_out`` is complete then."""
        tail = list(self._tail)
        cut = self._kept - TAIL
        if cut > 0:
            name, first = tail[0]
            tail[0] = name, first[cut:]
            self.left_out += cut
        self._tail.clear()
        self._kept = 0
        return tail


def bounded(data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Returns a bundle without what is too large to show, and what was left out, in words."""
    kept, words = {}, []
    for mime, value in data.items():
        size = len(value) if isinstance(value, str) else len(str(value))
        if size <= BUNDLE:
            kept[mime] = value
        else:
            words.append(f"{mime} ({size / 2**20:.1f} MiB)")
    return kept, words
