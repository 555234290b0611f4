"""The updates of a task, past and future, for any number of subscribers."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..backends.base import Phase
from ..runner import protocol

log = logging.getLogger(__name__)


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


@dataclass(eq=False)
class _Subscriber:
    """A subscriber, and the updates that it has not received yet."""

    callback: Callable[[Update], object]
    pending: deque[Update]
    busy: bool = False  # whether a thread passes on the pending updates


class UpdateLog:
    """All updates of a task up to "done"; of an updated display, only the first and the latest state.

    The displays go once the task has ended and a view has shown them.

    Subscribers are called outside the lock, so they may use the log and the task.
    """

    def __init__(self) -> None:
        self._kept: list[Update | None] = []
        self._latest: dict[str, int] = {}  # display id -> index of its latest update
        self._subscribers: list[_Subscriber] = []
        self._in_parts = False
        self._ended = False
        self._lock = threading.Lock()

    def append(self, update: Update) -> None:
        """Keep an update, and pass it to every subscriber; drop an update that comes after "done"."""
        with self._lock:
            if self._ended:
                return
            self._ended = update.kind == "done"
            self._drop_superseded(update)
            self._kept.append(update)
            subscribers = list(self._subscribers)
            for each in subscribers:
                each.pending.append(update)
            if self._ended:
                self._subscribers.clear()
        for each in subscribers:
            try:
                self._deliver(each)
            except BaseException:  # a broken subscriber ends neither the task nor the others
                log.debug("A subscriber failed and gets no more updates", exc_info=True)
                self.unsubscribe(each.callback)

    def subscribe(self, callback: Callable[[Update], object]) -> None:
        """Call ``callback`` with all updates so far and with each new one, in order; it must not block."""
        with self._lock:
            subscriber = _Subscriber(callback, deque(each for each in self._kept if each is not None))
            if not self._ended:
                self._subscribers.append(subscriber)
        self._deliver(subscriber)

    def unsubscribe(self, callback: Callable[[Update], object]) -> None:
        """Stop calling ``callback``; do nothing if it is not subscribed."""
        with self._lock:
            for each in [each for each in self._subscribers if each.callback == callback]:
                each.pending.clear()
                self._subscribers.remove(each)

    def _deliver(self, subscriber: _Subscriber) -> None:
        """Pass the pending updates to a subscriber, one thread at a time.

        A thread that comes second does not wait: the first one passes on its updates as well.
        """
        with self._lock:
            if subscriber.busy:
                return
            subscriber.busy = True
        try:
            while True:
                with self._lock:
                    if not subscriber.pending:
                        subscriber.busy = False
                        return
                    update = subscriber.pending.popleft()
                subscriber.callback(update)
        except BaseException:
            subscriber.busy = False
            raise

    def drop_shown(self) -> None:
        """Drop the displays, which a view has shown; the output stays for :meth:`output`."""
        with self._lock:
            self._kept = [
                None if each and each.frame and each.frame.kind == protocol.DISPLAY else each
                for each in self._kept
            ]

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
