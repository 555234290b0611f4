"""Many tasks at once: one line for each, results in the order of the calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..errors import InputError, ended_by_user
from ..frontend import Status, Tone, current_screen, keep_together
from ..interrupts import InterruptGuard
from ..lifecycle.task import Task
from ..runner.durations import exact_duration
from .status_line import ENDS, Clock, count_script, mark_html, phase_text
from .view import TICK_SECONDS

MAX_LINES = 40


@dataclass(frozen=True)
class CallLine:
    """The line of one call.

    Args:
        tone: Color of the mark.
        mark: One character.
        text: Number of the call, and what it does or how and after which time it ended.
        clock: Time since it began to do this; None if it has ended.
    """

    tone: Tone
    mark: str
    text: str
    clock: Clock | None = None

    def __str__(self) -> str:
        time = f" · {self.clock}" if self.clock else ""
        return f"{self.mark} {self.text}{time}"

    @property
    def html(self) -> str:
        """The line as HTML, whose time the page counts."""
        texts = [keep_together(escape(self.text)), *([self.clock.html] if self.clock else [])]
        return f"{mark_html(self.tone, self.mark)} {keep_together(' · ').join(texts)}"


class ParallelCalls:
    """Calls of which a limited number run at once; shows a line for each.

    Args:
        calls: Functions that each submit a task.
        max_parallel: How many tasks run at once.

    Raises:
        InputError: ``max_parallel`` is not a positive whole number.
    """

    def __init__(self, calls: Sequence[Callable[[], Task]], max_parallel: int) -> None:
        if not hasattr(max_parallel, "__index__") or max_parallel < 1:
            raise InputError(
                f"max_parallel={max_parallel!r} is not a positive whole number.", "Give 1 or more."
            )
        self._waiting = list(reversed(calls))
        self._max_parallel = max_parallel
        self._total = len(calls)
        self._tasks: list[Task] = []
        self._screen = current_screen()
        self._changed = threading.Event()
        self._interrupted = False

    def follow(self, return_exceptions: bool, guard: InterruptGuard) -> list[Any]:
        """Wait for all tasks, and return their results.

        Args:
            return_exceptions: Whether to return errors in place of results.
            guard: Covers the calls.

        Raises:
            InputError: A call cannot be submitted. The other tasks are cancelled.
            BaseException: The first error, unless errors are returned. The other tasks are cancelled.
        """
        first: BaseException | None = None
        guard.hold()
        guard.handle_with(self._on_interrupt)
        while self._waiting or not all(task.done() for task in self._tasks):
            try:
                self._start()
                self._show()
            except BaseException as error:  # noqa: BLE001 -- raised below, once no task runs any more
                first = first or error
                self._stop()
            self._changed.wait(TICK_SECONDS)
            self._changed.clear()
            failed = [task.error for task in self._tasks if task.error is not None]
            if failed and first is None and not return_exceptions:
                first = failed[0]
                self._stop()
        self._show(ended=True)
        if self._interrupted:
            ended = sum(task.status == "ok" for task in self._tasks)
            raise ended_by_user(KeyboardInterrupt, f"stopped; {ended} of {self._total} calls had succeeded.")
        if first is not None:
            raise first
        return [task.result() if task.error is None else task.error for task in self._tasks]

    def _start(self) -> None:
        while self._waiting and sum(not task.done() for task in self._tasks) < self._max_parallel:
            number = self._total - len(self._waiting) + 1
            try:
                task = self._waiting.pop()()
            except InputError as error:
                raise InputError(f"Call {number} of {self._total}: {error.message}", error.hint) from None
            task.add_done_callback(lambda _: self._changed.set())
            self._tasks.append(task)

    def _stop(self) -> None:
        self._waiting.clear()
        for task in self._tasks:
            task.cancel_nowait()

    def _on_interrupt(self, number: int) -> None:
        self._interrupted = True
        self._waiting.clear()
        for task in self._tasks:
            if not task.done():
                (task.interrupt if number == 1 else task.cancel_nowait)()

    def _show(self, ended: bool = False) -> None:
        lines = [_line(index, task) for index, task in enumerate(self._tasks)]
        if len(lines) > MAX_LINES:  # show the running tasks, and how many have ended
            lines = [line for line, task in zip(lines, self._tasks, strict=True) if not task.done()]
        done = sum(task.done() for task in self._tasks)
        self._screen.show_status(calls_status(lines[:MAX_LINES], done, self._total, ended))


def calls_status(lines: Sequence[CallLine], done: int, total: int, ended: bool = False) -> Status:
    """Return the lines of calls for a screen, with their number below.

    Args:
        lines: The lines to show.
        done: How many calls have ended.
        total: How many calls there are.
        ended: Whether no call runs any more.
    """
    summary = f"{done} of {total} done"
    rows = "\n".join([*(each.html for each in lines), summary])
    count = count_script() if any(each.clock for each in lines) else ""
    return Status(
        "\n".join([*map(str, lines), summary]),
        html=f"<div>{rows}{count}</div>",
        version=([(each.mark, each.text) for each in lines], summary),
        brief=summary,
        ended=ended,
    )


def _line(index: int, task: Task) -> CallLine:
    if task.status == "ok":
        return CallLine(Tone.GOOD, "✓", f"{index} · {exact_duration(task.seconds)}")
    if task.done():
        tone, mark, how = ENDS.get(task.status, ENDS["failed"])
        return CallLine(tone, mark, f"{index} · {how} {exact_duration(task.seconds)}")
    phase, running = task.phases[-1].phase, task.status == "Running"
    is_running = running and phase.name == "Running"
    said = "running" if is_running else phase_text(phase, task.local)
    tone = Tone.GOOD if is_running else Tone.WARN if phase.waiting else Tone.NONE
    return CallLine(tone, "●" if running else "○", f"{index} · {said}", Clock(task.phase_seconds))
