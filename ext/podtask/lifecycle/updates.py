"""The updates of a task, past and future, for any number of readers; most of them on disk, limited in size."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..backends.base import Phase
from ..runner import protocol
from ..runner.supervisor.spool import Spool

log = logging.getLogger(__name__)
MAX_OUTPUT_BYTES = 256 << 20  # as the runner keeps
MAX_OTHER_BYTES = 64 << 20  # of displays, phases and notes, which have a spool of their own
MAX_MEMORY_BYTES = 1 << 20  # of each spool; a task with less needs no file
MAX_AHEAD_BYTES = 4 << 20  # of what was received and not yet shown
FILES = 8  # of each spool
OUTPUT_KINDS = (protocol.STREAM, protocol.GAP)
NOT_A_FRAME = 0  # kind of an update that is not a frame of the runner
DROPPED_BY_RUNNER = "it came faster than it was shown, or no notebook was connected"


class Usage(NamedTuple):
    """What the primary container used in the last second.

    Args:
        cpu: CPU in cores.
        memory: Memory in bytes, without the pages of files that the kernel frees first.
        cpu_limit: The container's limit in cores; None if it has none.
        memory_limit: The container's limit in bytes; None if it has none.
    """

    cpu: float
    memory: int
    cpu_limit: float | None
    memory_limit: int | None

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Usage:
        """Return the usage in the meta of a checked frame."""
        return cls(meta["cpu"], meta["memory"], meta.get("cpu_limit"), meta.get("memory_limit"))


class Update(NamedTuple):
    """One update of a task; its kind is phase, frame, note, usage or done."""

    kind: str
    text: str = ""
    frame: protocol.Frame | None = None
    usage: Usage | None = None


class PhaseSpan(NamedTuple):
    """A phase, when it began (seconds since the submission of the task) and its duration in seconds."""

    phase: Phase
    start: float
    seconds: float


class UpdateLog:
    """The updates of a task up to "done", as numbered frames: output in one spool, everything else in another one.

    Displays are dropped once the task has ended and a view has shown them.
    """

    def __init__(self) -> None:
        self.state_changed = threading.Condition()
        self.output_spool = _new_spool(MAX_OUTPUT_BYTES)
        self.other_spool = _new_spool(MAX_OTHER_BYTES)
        self.usage: Usage | None = None  # the newest one; it is not kept among the updates
        self._last = 0
        self._ended = False
        self._listeners: list[Callable[[Update], object]] = []
        self._readers: list[UpdateReader] = []
        self._waiting: concurrent.futures.Future[None] | None = None  # for room

    def append(self, update: Update) -> None:
        """Keep an update, and tell every reader and listener; drop an update that comes after "done"."""
        with self.state_changed:
            if self._ended:
                return
            self._ended = update.kind == "done"
            self._last += 1
            spool = self.output_spool if _is_output(update) else self.other_spool
            spool.append(_encode(update, self._last))
            self.state_changed.notify_all()
            for reader in self._readers:
                reader.wake()
            listeners = list(self._listeners)
            if self._ended:
                self._listeners.clear()
        for callback in listeners:
            try:
                callback(update)
            except BaseException:  # a broken listener ends neither the task nor the others
                log.debug("A listener failed and gets no more updates", exc_info=True)
                with self.state_changed:
                    self._listeners = [each for each in self._listeners if each is not callback]

    def set_usage(self, usage: Usage) -> None:
        """Let every reader read the newest usage once, before anything else."""
        with self.state_changed:
            if not self._ended:
                self.usage = usage
                for reader in self._readers:
                    reader.has_new_usage = True
                    reader.wake()
                self.state_changed.notify_all()

    def listen(self, callback: Callable[[Update], object]) -> None:
        """Call ``callback`` with each new update. It may use the log and the task, and must not block."""
        with self.state_changed:
            if not self._ended:
                self._listeners.append(callback)

    def drop_shown(self) -> None:
        """Drop the displays, which a view has shown."""
        with self.state_changed:
            others, self.other_spool = _Cursor(self.other_spool), _new_spool(MAX_OTHER_BYTES)
            while (frame := others.pop()) is not None:
                if frame.kind not in (protocol.DISPLAY, protocol.GAP):
                    self.other_spool.append(protocol.encode(frame.kind, frame.meta, frame.data, frame.seq))

    def reader(self) -> UpdateReader:
        """Return a reader of all updates so far, and of each new one."""
        reader = UpdateReader(self)
        with self.state_changed:
            self._readers.append(reader)
        return reader

    def remove(self, reader: UpdateReader) -> None:
        """Forget a reader; do nothing if it was removed before."""
        with self.state_changed:
            if reader in self._readers:
                self._readers.remove(reader)
            self.notify_room()

    async def wait_for_room(self) -> None:
        """Wait until the readers that hold the runner have read all but the last MAX_AHEAD_BYTES."""
        while True:
            with self.state_changed:
                if self._has_room():
                    return
                waiting = self._waiting = concurrent.futures.Future()
            await asyncio.wrap_future(waiting)

    def notify_room(self) -> None:
        """Let the receiver of frames go on, if a reader has read enough. Call this while ``state_changed`` is held."""
        if self._waiting is not None and self._has_room():
            waiting, self._waiting = self._waiting, None
            if waiting.set_running_or_notify_cancel():
                waiting.set_result(None)

    def output(self, max_bytes: int | None = None) -> bytes:
        """Return the output that is kept, stdout and stderr in the order in which they were written.

        A line says where output was dropped.

        Args:
            max_bytes: About how much of its end to return; None for all.
        """
        found = bytearray()
        with self.state_changed:
            spool = self.output_spool
            cursor = _Cursor(spool)
            if max_bytes is not None:
                cursor.next = spool.last + 1
                while cursor.next > spool.first and spool.size_from(cursor.next) < max_bytes:
                    cursor.next -= 1
        while True:
            with self.state_changed:
                frame = cursor.pop()
            if frame is None:
                return bytes(found) if max_bytes is None else bytes(found[-max_bytes:])
            found += (
                frame.data if frame.kind == protocol.STREAM else f"\n[podtask: {gap_text(frame)}]\n".encode()
            )

    @property
    def has_all_output(self) -> bool:
        """Whether all output that was received is kept."""
        return self.output_spool.first == 1

    def _has_room(self) -> bool:
        return all(each.unread_bytes <= MAX_AHEAD_BYTES for each in self._readers if each.holds_runner)


class UpdateReader:
    """Reads the updates of a task in order, beginning with the first one that is kept.

    Where the log has dropped some, there is a frame of the kind GAP. Close the reader when it is not needed.

    Args:
        log: The log.

    Attributes:
        has_new_usage: Whether there is a usage that was not read.
    """

    def __init__(self, log: UpdateLog) -> None:
        self._log = log
        self._holds_runner = False
        self._on_ready: Callable[[], object] | None = None
        self._is_idle = True  # whether all was read
        self.has_new_usage = False
        self._cursors = (_Cursor(log.output_spool), _Cursor(log.other_spool))

    @property
    def holds_runner(self) -> bool:
        """Whether the runner is not read faster than this reader reads, as by a view that shows the updates."""
        return self._holds_runner

    @holds_runner.setter
    def holds_runner(self, holds: bool) -> None:
        with self._log.state_changed:
            self._holds_runner = holds
            self._log.notify_room()

    def notify(self, on_ready: Callable[[], object]) -> None:
        """Call ``on_ready`` now, and when there are updates after all were read; it must not block."""
        with self._log.state_changed:
            self._on_ready = on_ready
            self.wake()

    def get(self, timeout: float | None = None) -> Update:
        """Return the next update.

        Raises:
            queue.Empty: There was none for ``timeout`` seconds.
        """
        with self._log.state_changed:
            if not self._log.state_changed.wait_for(self._is_ready, timeout):
                self._is_idle = True
                raise queue.Empty
            if self.has_new_usage:
                self.has_new_usage = False
                return Update("usage", usage=self._log.usage)
            frame = min(filter(None, (cursor.peek() for cursor in self._cursors)), key=_number)
            for cursor in self._cursors:
                if cursor.peek() is frame:
                    cursor.pop()
            self._log.notify_room()
        return _decode(frame)

    def get_nowait(self) -> Update:
        """Return the next update.

        Raises:
            queue.Empty: There is none.
        """
        return self.get(timeout=0)

    def empty(self) -> bool:
        """Return whether no update is left to read."""
        with self._log.state_changed:
            return not self._is_ready()

    def close(self) -> None:
        """Stop reading: the runner no longer waits for this reader."""
        self._log.remove(self)

    def wake(self) -> None:
        """Call ``on_ready`` if all was read before; the log calls this for each update."""
        if self._is_idle and self._on_ready is not None:
            self._is_idle = False
            self._on_ready()

    @property
    def unread_bytes(self) -> int:
        """Bytes of the updates that were not read yet, except for a few that are already in memory."""
        return sum(cursor.unread_bytes for cursor in self._cursors)

    def _is_ready(self) -> bool:
        return self.has_new_usage or any(cursor.peek() is not None for cursor in self._cursors)


class _Cursor:
    """A place in a spool.

    Args:
        spool: The spool.

    Attributes:
        next: Number in the spool of the next frame to read.
    """

    def __init__(self, spool: Spool) -> None:
        self.next = 1
        self._spool = spool
        self._frames: deque[protocol.Frame] = deque()

    @property
    def unread_bytes(self) -> int:
        """Bytes of the frames that were not read from the spool yet."""
        return self._spool.size_from(self.next)

    def peek(self) -> protocol.Frame | None:
        """Return the next frame; None if there is none."""
        spool = self._spool
        if not self._frames and self.next < spool.first:
            why = f"the notebook keeps the last {spool.limit >> 20} MiB"
            dropped = {"from": self.next, "to": spool.first - 1, "why": why}
            self._frames.append(protocol.Frame(protocol.GAP, 0, dropped, b""))
            self.next = spool.first
        elif not self._frames and self.next <= spool.last:
            data, self.next = spool.read(self.next)
            self._frames.extend(protocol.Decoder().feed(data))
        return self._frames[0] if self._frames else None

    def pop(self) -> protocol.Frame | None:
        """Return the next frame, and go on after it; None if there is none."""
        return self._frames.popleft() if self.peek() is not None else None


def gap_text(gap: protocol.Frame) -> str:
    """Return the text that marks dropped output."""
    return f"output was dropped here: {gap.meta.get('why', DROPPED_BY_RUNNER)}"


def _new_spool(limit: int) -> Spool:
    return Spool(limit, limit // FILES, MAX_MEMORY_BYTES)


def _is_output(update: Update) -> bool:
    return update.frame is not None and update.frame.kind in OUTPUT_KINDS


def _number(frame: protocol.Frame) -> int:
    return frame.seq


def _encode(update: Update, number: int) -> bytes:
    frame = update.frame
    if frame is not None:
        return protocol.encode(frame.kind, frame.meta, frame.data, number)
    text = update.text.encode("utf-8", "backslashreplace")[: protocol.MAX_DATA]
    return protocol.encode(NOT_A_FRAME, {"kind": update.kind}, text, number)


def _decode(frame: protocol.Frame) -> Update:
    if frame.kind == NOT_A_FRAME:
        return Update(frame.meta["kind"], frame.data.decode("utf-8", "replace"))
    return Update("frame", frame=frame)
