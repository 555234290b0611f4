"""The background event loop of a process. It runs in a thread that is started at the first use.

A forked child process, such as a data loader's worker, does not have this thread: it gets a loop of
its own, and never cleans up what belongs to the parent.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import logging
import os
import signal
import threading
import types
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from .errors import InputError, ended_by_user
from .interrupts import WaitEvent

T = TypeVar("T")
F = TypeVar("F", bound="asyncio.Future[Any]")
log = logging.getLogger(__name__)
MAX_EXIT_SECONDS = 5  # for the clean-up when the interpreter exits


class Loop:
    """An asyncio event loop in a daemon thread. No exception in a callback or a task of the loop ends it."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.event_loop = asyncio.new_event_loop()
        self._closers: dict[Callable[[], Awaitable[None]], None] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._exiting = False
        self._lock = threading.RLock()  # held while the thread is started; a signal handler may start it, too
        self._thread = self._start_thread()
        atexit.register(self.clean_up)

    @property
    def is_usable(self) -> bool:
        """Whether this process may use the loop: it is not the parent's, and nothing has closed it."""
        return self.pid == os.getpid() and (self._exiting or not self.event_loop.is_closed())

    def start(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine in the loop, with the caller's context variables; return its future.

        Any thread may call this.
        """
        self._ensure_thread()
        return asyncio.run_coroutine_threadsafe(coroutine, self.event_loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop, wait for its end, and return its result.

        Raises:
            InputError: The caller is in the loop's own thread.
        """
        try:
            self.check_may_wait()
        except InputError:
            coroutine.close()
            raise
        future = self.start(coroutine)
        ended = WaitEvent()
        future.add_done_callback(lambda _: ended.set())
        try:
            ended.wait()
        except KeyboardInterrupt:
            raise ended_by_user(KeyboardInterrupt, "stopped waiting.") from None
        return future.result()

    def call_soon(self, call: Callable[[], object]) -> None:
        """Call a function in the loop. Any thread may call this."""
        self._ensure_thread()
        self.event_loop.call_soon_threadsafe(call)

    def check_may_wait(self) -> None:
        """Check that the caller may wait for the loop.

        Raises:
            InputError: The caller is in the loop's own thread, where waiting would stop all tasks for good.
        """
        if threading.current_thread() is self._thread:
            raise InputError(
                "This call waits for podtask's event loop, but was made in the thread of that loop.",
                "Make it in another thread, for example in a callback of task.add_done_callback().",
            )

    def at_exit(self, close: Callable[[], Awaitable[None]]) -> None:
        """Await ``close()`` when the interpreter exits; what was registered last is closed first."""
        self._closers[close] = None

    def not_at_exit(self, close: Callable[[], Awaitable[None]]) -> None:
        """Take back :meth:`at_exit`."""
        self._closers.pop(close, None)

    def background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the background; the interpreter waits for it when it exits.

        Call this from the loop only.
        """
        task = asyncio.ensure_future(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _start_thread(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="podtask", daemon=True)
        thread.start()
        return thread

    def _ensure_thread(self) -> None:
        """Start the thread again if it has ended; the loop goes on where it stopped."""
        with self._lock:
            if self.pid == os.getpid() and not self._thread.is_alive() and not self._exiting:
                self._thread = self._start_thread()

    def _run(self) -> None:
        asyncio.set_event_loop(self.event_loop)
        while not self._exiting and not self.event_loop.is_closed():
            try:
                self.event_loop.run_forever()
            except BaseException:  # asyncio lets SystemExit and KeyboardInterrupt end the loop
                log.debug("Restarting the event loop after an exception that ended it", exc_info=True)

    def clean_up(self) -> None:
        """Close what :meth:`at_exit` names, wait for what runs in the background, and end the loop."""
        if os.getpid() != self.pid or self.event_loop.is_closed():
            return
        try:
            self.start(self._close()).result(MAX_EXIT_SECONDS)
        except concurrent.futures.TimeoutError:
            print(
                "podtask: the clean-up did not end in time; pods may be left: kubectl get pods "
                "-l app.kubernetes.io/managed-by=podtask"
            )
        self._exiting = True
        self.event_loop.call_soon_threadsafe(self.event_loop.stop)
        self._thread.join(MAX_EXIT_SECONDS)
        if not self._thread.is_alive():
            self.event_loop.close()

    async def _close(self) -> None:
        # An error does not stop the clean-up; pods that could not be deleted were reported before.
        await asyncio.gather(*self._background, return_exceptions=True)
        for close in reversed(list(self._closers)):
            await close()
        remaining = asyncio.all_tasks() - {asyncio.current_task()}
        for task in remaining:
            task.cancel()
        await asyncio.gather(*remaining, return_exceptions=True)


@contextlib.contextmanager
def clean_up_at_sigterm() -> Iterator[None]:
    """Within the block, let SIGTERM clean up before it ends the process, as the exit of the interpreter does.

    Python calls the handler only between two instructions, so the block must not call what takes long in C. Does
    nothing if the program handles SIGTERM itself, or outside the main thread.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _on_sigterm(number: int, frame: types.FrameType | None) -> None:
    if _current is not None:
        _current.clean_up()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def ignore_result(task: F) -> F:
    """Suppress the warning about an exception that nobody retrieves; return the task.

    Up to Python 3.11, for example, a cancelled ``wait_for`` does not retrieve the exception of its task.
    """
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


_current: Loop | None = None
_lock = threading.Lock()


def loop() -> Loop:
    """Return the loop of this process; start it at the first call, and again if it was closed."""
    global _current
    with _lock:
        if _current is None or not _current.is_usable:
            _current = Loop()
        return _current
