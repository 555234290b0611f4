"""What has happened to a task so far, and what happens next, for any number of followers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from ..runner import protocol


class Update(NamedTuple):
    """Something to show: kind is phase, frame, note or done."""

    kind: str
    text: str = ""
    frame: protocol.Frame | None = None


class UpdateLog:
    """Keeps what came; of a display that was updated, how it began and the last state alone."""

    def __init__(self) -> None:
        self._kept: list[Update | None] = []
        self._newest: dict[str, int] = {}  # display id -> place of its last update
        self._takers: list[Callable[[Update], object]] = []
        self._in_pieces = False
        self._lock = threading.Lock()

    def put(self, update: Update) -> None:
        """Keeps an update, and gives it to who follows."""
        with self._lock:
            self._forget_older(update)
            self._kept.append(update)
            for take in self._takers:
                take(update)

    def follow(self, take: Callable[[Update], object]) -> None:
        """Calls ``take`` with all so far, in order, and from now on; it must not wait."""
        with self._lock:
            for update in self._kept:
                if update is not None:
                    take(update)
            self._takers.append(take)

    def leave(self, take: Callable[[Update], object]) -> None:
        """Ends that; done already is fine."""
        with self._lock:
            if take in self._takers:
                self._takers.remove(take)

    def text(self) -> bytes:
        """Returns the output so far, both streams in their order."""
        with self._lock:
            return b"".join(
                each.frame.data
                for each in self._kept
                if each and each.frame and each.frame.kind == protocol.STREAM
            )

    def _forget_older(self, update: Update) -> None:
        frame = update.frame
        if frame is None or frame.kind != protocol.DISPLAY:
            return
        piece, self._in_pieces = self._in_pieces, bool(frame.meta.get("more"))
        if piece or self._in_pieces or not frame.meta.get("update"):
            return
        name = str(frame.meta.get("id"))
        if name in self._newest:
            self._kept[self._newest[name]] = None
        self._newest[name] = len(self._kept)
