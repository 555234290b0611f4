"""Interrupts by the user (the stop button, Ctrl-C): shown in one line, and never in the middle of a step.

Python raises KeyboardInterrupt between any two steps of the main thread, also inside its own library: a
``threading.Condition`` that is interrupted while it releases its lock raises RuntimeError, or keeps the lock for good.
podtask therefore waits with a handler of its own, and passes the interrupt on where nothing is half done.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import signal
import socket
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, final

from .errors import ended_by_user

MAX_WAKE_BYTES = 4096
NO_SIGNAL = b"\0"  # wakes without a signal


@final
class InterruptGuard:
    """Covers a cell or a call from its first step to its last one: ``with InterruptGuard() as guard``.

    At first an interrupt raises KeyboardInterrupt, as everywhere. Once a task is about to be created, interrupts are
    held, and then passed to the task. A KeyboardInterrupt that leaves the block is shown in one line, without frames.

    Args:
        text: What was stopped, for the line of a KeyboardInterrupt.
    """

    def __init__(self, text: str = "stopped.") -> None:
        self._text = text
        self._before: Callable[[int, types.FrameType | None], Any] | None = None  # while interrupts are held
        self._handle: Callable[[int], None] | None = None
        self._count = self._handled = 0
        self._raises_at_end = False

    def __enter__(self) -> InterruptGuard:
        return self

    def __exit__(self, kind: object, error: BaseException | None, frames: object) -> None:
        try:
            self._restore()
            is_interrupt = isinstance(error, KeyboardInterrupt) and not hasattr(error, "_render_traceback_")
        except KeyboardInterrupt:
            is_interrupt = True
        if is_interrupt or (self._raises_at_end and self._count):
            raise ended_by_user(KeyboardInterrupt, self._text) from None

    def hold(self, text: str = "stopped.") -> None:
        """From now on, count interrupts until :meth:`handle_with` or :meth:`end_with` says what they do.

        Args:
            text: What was stopped, for the line of a KeyboardInterrupt.
        """
        self._text = text
        before = _interrupt_handler()
        if self._before is None and before is not None:
            self._before = before
            signal.signal(signal.SIGINT, self._on_interrupt)

    def handle_with(self, handle: Callable[[int], None]) -> None:
        """From now on, call a function at each interrupt, with their number so far; also for those that are held."""
        self._handle = handle
        self._deliver()

    def end_with(self, end: Callable[[], None], text: str) -> None:
        """From now on, call a function at each interrupt, and raise KeyboardInterrupt at the end of the block.

        Args:
            end: Ends what the block has started.
            text: What was ended.
        """
        self._text, self._raises_at_end = text, True
        self.handle_with(lambda _: end())

    def release(self, text: str) -> None:
        """From now on, let an interrupt raise KeyboardInterrupt again.

        Args:
            text: What is stopped then.
        """
        self._text, self._handle = text, None
        self._restore()

    def _restore(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            signal.signal(signal.SIGINT, before)

    def _on_interrupt(self, number: int, frame: types.FrameType | None) -> None:
        self._count += 1
        self._deliver()

    def _deliver(self) -> None:
        if self._handle is not None and self._handled < self._count:
            self._handled = self._count
            self._handle(self._count)


class WaitEvent:
    """An event for which the thread that has made it waits, without losing an interrupt.

    A signal that arrives just before the main thread sleeps in a lock does not wake it. So the main thread sleeps in a
    selector, which a byte wakes, from a signal or from :meth:`set`; meanwhile the handler of interrupts is not called.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._sockets: tuple[socket.socket, ...] = ()
        if _interrupt_handler() is not None:
            self._sockets = socket.socketpair()
            for each in self._sockets:
                each.setblocking(False)

    def __del__(self) -> None:  # not before: another thread may be in set()
        for each in self._sockets:
            each.close()

    def set(self) -> None:
        """End the waiting. Any thread may call this."""
        self._event.set()
        for writer in self._sockets[1:]:
            with contextlib.suppress(BlockingIOError):  # full, so that it wakes the other side anyway
                writer.send(NO_SIGNAL)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for :meth:`set`, and return whether it was called. Handlers of interrupts are called between two waits.

        Args:
            timeout: Seconds to wait; None for no limit.

        Raises:
            KeyboardInterrupt: The handler of the caller has raised it, as that of Python does.
        """
        handler = _interrupt_handler()
        if not self._sockets or handler is None:
            return self._event.wait(timeout)
        received: list[types.FrameType | None] = []
        signals = bytearray()
        fd_before = None
        try:
            signal.signal(signal.SIGINT, lambda number, frame: received.append(frame))
            fd_before = signal.set_wakeup_fd(self._sockets[1].fileno(), warn_on_full_buffer=False)
            for data in self._wake_ups(timeout):
                signals += data
                while received:
                    handler(signal.SIGINT, received.pop(0))
        finally:
            if fd_before is not None:
                signal.set_wakeup_fd(fd_before)
                _pass_on(signals.replace(NO_SIGNAL, b""), fd_before)
            signal.signal(signal.SIGINT, handler)
            for late in received:
                handler(signal.SIGINT, late)
        return self._event.is_set()

    def _wake_ups(self, timeout: float | None) -> Iterator[bytes]:
        """Yield the signals that have come, at first and at each wake-up, until the event is set or the time is over."""
        yield b""  # the first signal may have come before it could wake this thread
        end = None if timeout is None else time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._sockets[0], selectors.EVENT_READ)
            while not self._event.is_set():
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return
                if selector.select(left):
                    yield self._sockets[0].recv(MAX_WAKE_BYTES)


def _pass_on(signals: bytes | bytearray, fd: int) -> None:
    """Tell the event loop that signals usually wake which ones have come."""
    if signals and fd != -1:
        with contextlib.suppress(OSError):  # the loop was closed, or has not read for long
            os.write(fd, signals)


def _interrupt_handler() -> Callable[[int, types.FrameType | None], Any] | None:
    """Return the handler of interrupts in Python; None outside the main thread, or if there is none."""
    if threading.current_thread() is not threading.main_thread():
        return None
    handler = signal.getsignal(signal.SIGINT)
    return handler if callable(handler) else None


class _LoopWaker:
    """Wakes an event loop that sleeps when a signal arrives.

    Args:
        loop: The loop of the main thread.
    """

    _current: ClassVar[_LoopWaker | None] = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.users = 0  # how many wait in the loop
        self.loop = loop
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        loop.add_reader(self._reader, self._drain)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    @classmethod
    def of_running_loop(cls) -> _LoopWaker | None:
        """Return the waker of the running loop; None outside the main thread, and if signals wake a loop already."""
        if threading.current_thread() is not threading.main_thread():
            return None
        loop = asyncio.get_running_loop()
        if cls._current is None:
            current = signal.set_wakeup_fd(-1)
            if current != -1:
                signal.set_wakeup_fd(current)
                return None
            cls._current = cls(loop)
        return cls._current if cls._current.loop is loop else None

    def close(self) -> None:
        """Leave the loop as it was before."""
        _LoopWaker._current = None
        current = signal.set_wakeup_fd(-1)
        if current != self._writer.fileno():  # somebody else wakes the loop now
            signal.set_wakeup_fd(current)
        self.loop.remove_reader(self._reader)
        self._reader.close()
        self._writer.close()

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(MAX_WAKE_BYTES)


@contextlib.contextmanager
def signals_wake_loop() -> Iterator[None]:
    """Within the block, let a signal wake the running event loop, so that what its handler has scheduled runs.

    ipykernel's handler of an interrupt schedules the end of a cell in a loop that may sleep: asyncio wakes a loop only
    for the handlers of ``add_signal_handler``. Does nothing outside the main thread, and if signals wake a loop already.
    """
    waker = _LoopWaker.of_running_loop()
    if waker is None:
        yield
        return
    waker.users += 1
    try:
        yield
    finally:
        waker.users -= 1
        if not waker.users:
            waker.close()
