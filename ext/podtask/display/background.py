"""Detached tasks: each goes on showing in the cell that submitted it while others run.

One thread shows them all, so that neither a slow terminal nor a hundred tasks hold up the loop
that follows them.
"""

from __future__ import annotations

import os
import queue
import threading
import time
import traceback
from typing import Any

from ..errors import PodtaskError
from ..frontend import Screen, screen
from ..lifecycle.outcome import Outcome
from ..lifecycle.task import Task
from ..lifecycle.updates import Update
from .view import TICK, View

PER_SECOND = 5  # status lines that only count seconds, all tasks together


class Background(View):
    """Shows a task that no cell waits for: result and error are part of its output.

    Args:
        task: the task.
        screen: of the cell that submitted it.
        called: how the user gets at the task.
    """

    shows_result = True

    def __init__(self, task: Task, screen: Screen, called: str) -> None:
        super().__init__(task, screen, called)
        self.counted = time.monotonic()  # when its status line was last shown

    def _finish(self, outcome: Outcome) -> None:
        if self.bundle is not None and self.bundle[0]:
            self._screen.publish(*self.bundle, None, update=False)
        self.show_late()
        if outcome.error is not None:
            self._screen.write("stderr", _text(outcome.error))


class Detached:
    """The detached tasks of this kernel, and the thread that shows them."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.tasks: list[Task] = []
        self._updates: queue.SimpleQueue[tuple[Background, Update]] = queue.SimpleQueue()
        self._views: list[Background] = []
        threading.Thread(target=self._run, name="podtask-shows", daemon=True).start()

    def show(self, task: Task, called: str) -> None:
        """Shows a task from now on in the cell that runs."""
        self.tasks.append(task)
        view = Background(task, screen(later=True), called)
        view.show_status()
        task.update_log.subscribe(lambda update: self._updates.put((view, update)))

    def _run(self) -> None:
        ticked = time.monotonic()
        while True:
            try:
                # Nothing to count, nothing to wake for.
                view, update = self._updates.get(timeout=TICK if self._views else None)
            except queue.Empty:
                pass
            else:
                if view not in self._views:
                    self._views.append(view)
                self._do(view, update)
            if time.monotonic() - ticked >= TICK:
                ticked = time.monotonic()
                for each in list(self._views):
                    self._do(each, None)

    def _do(self, view: Background, update: Update | None) -> None:
        try:
            if update is None:
                view.tick()
                if time.monotonic() - view.counted >= max(1.0, len(self._views) / PER_SECOND):
                    view.counted = time.monotonic()
                    view.show_status()
            elif view.take(update):
                self._views.remove(view)
                view.end()
        except Exception:  # noqa: BLE001 -- one cell's broken screen must not stop the others
            if view in self._views:
                self._views.remove(view)


_current: Detached | None = None
_lock = threading.Lock()


def detached() -> Detached:
    """Returns those of this process."""
    global _current
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = Detached()
        return _current


def _text(error: BaseException) -> str:
    if isinstance(error, PodtaskError):
        lines: Any = error._render_traceback_()
        return "\n".join(lines) + "\n"
    return "".join(traceback.format_exception(error))
