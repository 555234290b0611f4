"""A task that its cell waits for: shown as it goes, stopped by interrupts, asking its person.

Everything is shown from the thread that waits, so that it lands in its cell.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..frontend import Screen
from ..lifecycle.outcome import Outcome
from ..lifecycle.task import Task
from ..lifecycle.updates import Update
from .view import View


class Foreground(View):
    """Shows a task until it ends.

    Args:
        task: the task.
        screen: a Notebook or a Terminal.
        called: how the user gets at the task.
    """

    def __init__(self, task: Task, screen: Screen, called: str = "task") -> None:
        super().__init__(task, screen, called)
        self._asking = False
        self._waiter = threading.current_thread()

    def follow(self) -> Outcome:
        """Shows updates as they come; returns the outcome.

        The first interrupt is the cell's KeyboardInterrupt, the second deletes the pod.
        """
        updates: queue.SimpleQueue[Update] = queue.SimpleQueue()
        with interrupts(self._on_interrupt):
            self._task.update_log.subscribe(updates.put)
            try:
                return self._follow(updates)
            finally:
                self._task.update_log.unsubscribe(updates.put)

    def _follow(self, updates: queue.SimpleQueue[Update]) -> Outcome:
        self.show_status()
        done = False
        while not done:
            wait = self.wait_seconds()
            try:
                update = updates.get(timeout=wait) if wait else updates.get_nowait()
            except queue.Empty:
                self.tick()
                self.show_status()
                continue
            done = self.take(update)
        return self.end()

    def _on_interrupt(self, number: int) -> None:
        if self._asking and self._task.done():
            raise KeyboardInterrupt  # the question is taken back
        if number > 1:
            self._task.cancel_nowait()
            return
        self._task.interrupt()
        if self._asking:
            raise KeyboardInterrupt

    def _ask(self, meta: dict[str, Any]) -> None:
        self._asking = True
        self._task.add_done_callback(self._stop_asking)
        try:
            answer: dict[str, Any] = {"value": self._screen.ask(meta["prompt"], bool(meta["password"]))}
        except (EOFError, NotImplementedError, RuntimeError):  # no person: a kernel without stdin
            answer = {"eof": True}
        except KeyboardInterrupt:  # the cell has been told
            return
        finally:
            self._asking = False
        self._task.reply(answer)

    def _stop_asking(self, task: Task) -> None:
        """A question whose cell has ended is taken back: only a signal ends ``input()``."""
        main = threading.main_thread()
        if self._asking and main.ident is not None and self._waiter is main:
            signal.pthread_kill(main.ident, signal.SIGINT)


@contextmanager
def interrupts(handle: Callable[[int], None]) -> Iterator[None]:
    """Owns SIGINT, in the main thread: calls ``handle`` with how many there were."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = 0

    def on_interrupt(number: int, frame: Any) -> None:
        nonlocal seen
        seen += 1
        handle(seen)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
