"""A task that its cell waits for: shown as it runs, interrupted by the stop button, answered by its user.

Everything is shown from the thread that waits, so that it appears in the waiting cell.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from typing import Any

from ..event_loop import clean_up_at_sigterm
from ..frontend import Screen
from ..interrupts import InterruptGuard
from ..lifecycle.outcome import Outcome
from ..lifecycle.task import Task
from ..runner.safe_text import escape_controls
from .view import View


class Foreground(View):
    """The view of a task that its cell waits for.

    Args:
        task: The task.
        screen: A notebook's cell or a terminal.
        variable: Name of the variable that holds the task, for hints.
    """

    def __init__(self, task: Task, screen: Screen, variable: str = "task") -> None:
        super().__init__(task, screen, variable)
        self._waiting_thread = threading.current_thread()
        self._updates = task.update_log.reader()

    def follow(self, guard: InterruptGuard) -> Outcome:
        """Show updates as they come, and return the outcome.

        The first interrupt raises KeyboardInterrupt in the cell, the second one deletes the pod.

        Args:
            guard: Covers the cell. It has held interrupts since before the task was created.
        """
        with clean_up_at_sigterm(), contextlib.closing(self._updates):
            guard.handle_with(self._on_interrupt)
            self._updates.holds_runner = True
            return self._follow()

    def _follow(self) -> Outcome:
        self.show_status()
        done, shown_stops = False, 0
        while not done:
            if self._stops != shown_stops:  # the signal may have come while something else was shown
                shown_stops = self._stops
                self.show_status()
            seconds = self.wait_seconds()
            try:
                update = self._updates.get(timeout=seconds)
            except queue.Empty:
                self.tick()
                self.show_status()
                continue
            done = self.show_update(update)
        return self.end()

    def _on_interrupt(self, number: int) -> None:
        was_asking, self._asking = self._asking, False
        if not self._task.done():
            self._stops = number
            if number > 1:
                self._task.cancel_nowait()
            else:
                self._task.interrupt()
        if was_asking:  # also if the cell has ended: this withdraws the question
            raise KeyboardInterrupt

    def _answer_input(self, meta: dict[str, Any]) -> None:
        try:
            self._asking = True
            self.show_status()  # before this thread waits for the user
            self._updates.holds_runner = False  # the end of the cell must arrive, although it may write on
            self._task.add_done_callback(self._stop_asking)
            prompt = escape_controls(meta["prompt"]) if self._task.is_untrusted else meta["prompt"]
            answer: dict[str, Any] = {"value": self._screen.ask_for_input(prompt, bool(meta["password"]))}
            self._asking = False
        except (EOFError, NotImplementedError, RuntimeError):  # a kernel without stdin
            answer = {"eof": True}
        except KeyboardInterrupt:  # the interrupt was passed on to the cell
            return
        finally:
            self._asking = False
            self._updates.holds_runner = True
            self.show_status()
        self._task.reply(answer)

    def _stop_asking(self, task: Task) -> None:
        """Withdraw the question of a cell that has ended: only a signal ends ``input()``."""
        main = threading.main_thread()
        if self._asking and main.ident is not None and self._waiting_thread is main:
            signal.pthread_kill(main.ident, signal.SIGINT)
