"""The updates of a task, past and future, for any number of subscribers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from ..backends.base import Phase
from ..runner import protocol


class Update(NamedTuple):
    """One update of a task; its kind is phase, frame, note or done."""

    kind: str
    text: str = ""
    frame: protocol.Frame | None = None


class PhaseSpan(NamedTuple):
    """A phase, when it began (seconds since the submission of the task) and its duration in seconds."""

    phase: Phase
    start: float
    seconds: float


class UpdateLog:
    """All updates of a task; of an updated display, only the first and the latest state."""

    def __init__(self) -> None:
        self._kept: list[Update | None] = []
        self._latest: dict[str, int] = {}  # display id -> index of its latest update
        self._subscribers: list[Callable[[Update], object]] = []
        self._in_parts = False
        self._lock = threading.Lock()

    def append(self, update: Update) -> None:
        """Keep an update, and pass it to every subscriber."""
        with self._lock:
            self._drop_superseded(update)
            self._kept.append(update)
            for callback in self._subscribers:
                callback(update)

    def subscribe(self, callback: Callable[[Update], object]) -> None:
        """Call ``callback`` with all updates so far and with each new one, in order; it must not block."""
        with self._lock:
            for update in self._kept:
                if update is not None:
                    callback(update)
            self._subscribers.append(callback)

    def unsubscribe(self, callback: Callable[[Update], object]) -> None:
        """Stop calling ``callback``; do nothing if it is not subscribed."""
        with self._lock:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

    def output(self) -> bytes:
        """Return the output so far, stdout and stderr in the order in which they were written."""
        with self._lock:
            return b"".join(
                each.frame.data
                for each in self._kept
                if each and each.frame and each.frame.kind == protocol.STREAM
            )

    def _drop_superseded(self, update: Update) -> None:
        frame = update.frame
        if frame is None or frame.kind != protocol.DISPLAY:
            return
        in_parts, self._in_parts = self._in_parts, bool(frame.meta.get("more"))
        if in_parts or self._in_parts or not frame.meta.get("update"):
            return
        display_id = str(frame.meta.get("id"))
        if display_id in self._latest:
            self._kept[self._latest[display_id]] = None
        self._latest[display_id] = len(self._kept)
