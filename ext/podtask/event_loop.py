"""The background event loop of a kernel: one thread, made at the first use, guarded by process id.

A forked child (a data loader, say) has no such thread and must touch nothing of ours.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
EXIT_SECONDS = 5  # for what must not be left behind when the interpreter ends


class Loop:
    """An asyncio loop in a daemon thread."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.asyncio = asyncio.new_event_loop()
        self._closers: dict[Callable[[], Awaitable[None]], None] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="podtask", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)

    def start(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine in the loop, with the caller's context."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.asyncio)

    def at_exit(self, close: Callable[[], Awaitable[None]]) -> None:
        """Await ``close()`` once when the interpreter exits."""
        self._closers[close] = None

    def background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that only the exit of the interpreter waits for; call it from the loop."""
        task = asyncio.ensure_future(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _run(self) -> None:
        asyncio.set_event_loop(self.asyncio)
        self.asyncio.run_forever()

    def _at_exit(self) -> None:
        if os.getpid() != self.pid:
            return
        try:
            self.start(self._close()).result(EXIT_SECONDS)
        except concurrent.futures.TimeoutError:
            print(
                "podtask: the clean-up did not end in time; see kubectl get pods "
                "-l app.kubernetes.io/managed-by=podtask"
            )
        self.asyncio.call_soon_threadsafe(self.asyncio.stop)
        self._thread.join(EXIT_SECONDS)
        if not self._thread.is_alive():
            self.asyncio.close()

    async def _close(self) -> None:
        # One that fails leaves the others; what could not be deleted has been told by then.
        await asyncio.gather(*self._background, return_exceptions=True)
        for close in self._closers:
            await close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def ignore_result(task: asyncio.Future[T]) -> asyncio.Future[T]:
    """Ignore what a task raises if it is no longer awaited; return the task.

    Up to Python 3.11 ``wait_for`` is such a place: cancelled itself, it forgets what it waited for.
    """
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return task


_current: Loop | None = None
_lock = threading.Lock()


def loop() -> Loop:
    """Return the loop of this process."""
    global _current
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = Loop()
        return _current
