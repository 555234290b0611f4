"""Detached tasks: each is shown in the cell that submitted it, while other cells run.

One thread shows all of them, so that neither a slow terminal nor a hundred tasks block the event
loop that follows them.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from ..errors import PodtaskError
from ..frontend import Screen, current_screen, running_cell
from ..lifecycle.outcome import Outcome
from ..lifecycle.task import Task
from .view import TICK_SECONDS, View

log = logging.getLogger(__name__)
MAX_UPDATES_PER_TURN = 20  # of one task, so that a flood does not keep the others waiting
MAX_REFRESHES_PER_SECOND = 5  # of status lines whose only change is their seconds, all tasks together


class Background(View):
    """The view of a task that no cell waits for: shows its result or error as part of the output.

    Args:
        task: The task.
        screen: The cell that submitted it.
        variable: Name of the variable that holds the task, for hints.
    """

    shows_result = True
    assigns = False

    def __init__(self, task: Task, screen: Screen, variable: str) -> None:
        super().__init__(task, screen, variable)
        self.refreshed = time.monotonic()  # when the status line was last shown
        self.updates = task.update_log.reader()

    def _finish(self, outcome: Outcome) -> None:
        if self.bundle is not None and self.bundle[0]:
            self._screen.publish(*self.bundle, None, update=False)
        self.show_late_displays()
        # The status line says that the task was cancelled; the user wanted it, so no error is shown.
        if outcome.error is not None and outcome.status != "cancelled":
            self._screen.write("stderr", _error_text(outcome.error))


class DetachedTasks:
    """The detached tasks of this kernel, and the thread that shows them."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._ready: queue.SimpleQueue[Background] = queue.SimpleQueue()  # views that have updates to show
        self._views: list[Background] = []
        threading.Thread(target=self._run, name="podtask-display", daemon=True).start()

    def add(self, task: Task, variable: str) -> None:
        """Show a task in the running cell from now on."""
        view = Background(task, current_screen(outlives_cell=True), variable)
        task.own_cell = running_cell()
        view.show_status()
        self._views.append(view)
        view.updates.holds_runner = True
        view.updates.notify(lambda: self._ready.put(view))

    def _run(self) -> None:
        last_tick = time.monotonic()
        while True:
            self._show_next()
            if time.monotonic() - last_tick >= TICK_SECONDS:
                last_tick = time.monotonic()
                self._tick()

    def _show_next(self) -> None:
        """Show the next updates of a task; keep no reference to it while the thread waits for another one."""
        try:
            # Without tasks there are no seconds to count.
            view = self._ready.get(timeout=TICK_SECONDS if self._views else None)
        except queue.Empty:
            return
        self._guarded(view, self._show_updates)

    def _tick(self) -> None:
        for each in list(self._views):
            self._guarded(each, self._refresh)

    def _guarded(self, view: Background, show: Callable[[Background], None]) -> None:
        if view not in self._views:
            return
        try:
            show(view)
        except (
            BaseException
        ):  # a broken output, or SystemExit in it, must not end the thread that shows all tasks
            log.debug("Stopped showing a detached task", exc_info=True)
            self._remove(view)

    def _show_updates(self, view: Background) -> None:
        for _ in range(MAX_UPDATES_PER_TURN):
            try:
                update = view.updates.get_nowait()
            except queue.Empty:
                return
            if view.show_update(update):
                self._remove(view)
                view.end()
                return
        self._ready.put(view)

    def _refresh(self, view: Background) -> None:
        view.tick()
        if time.monotonic() - view.refreshed >= max(1.0, len(self._views) / MAX_REFRESHES_PER_SECOND):
            view.refreshed = time.monotonic()
            view.show_status()

    def _remove(self, view: Background) -> None:
        if view in self._views:
            self._views.remove(view)
        view.updates.close()


_current: DetachedTasks | None = None
_lock = threading.Lock()


def detached_tasks() -> DetachedTasks:
    """Return the detached tasks of this process."""
    global _current
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = DetachedTasks()
        return _current


def _error_text(error: BaseException) -> str:
    if isinstance(error, PodtaskError):
        lines: Any = error._render_traceback_()
        return "\n".join(lines) + "\n"
    return "".join(traceback.format_exception(error))
