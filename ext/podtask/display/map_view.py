"""The lines of a map: how far it is, and its failures in groups."""

from __future__ import annotations

from html import escape
from typing import Any

from ..errors import ended_by_user
from ..frontend import Status, Tone, current_screen, keep_together
from ..interrupts import InterruptGuard
from ..maps.map_task import MapTask
from ..maps.progress import FailureGroup, Progress
from ..runner.durations import exact_duration
from ..runner.safe_text import safe_text
from .status_line import mark_html
from .view import TICK_SECONDS

MAX_GROUPS = 5


class MapView:
    """The lines of a map while the caller waits for it.

    Args:
        task: The map.
    """

    def __init__(self, task: MapTask) -> None:
        self._task = task
        self._screen = current_screen()
        self._interrupted = False

    def follow(self, return_exceptions: bool, guard: InterruptGuard) -> list[Any]:
        """Wait for all items, and return their values in order.

        Args:
            return_exceptions: Whether to return errors in place of values.
            guard: Covers the calls.

        Raises:
            KeyboardInterrupt: The user has stopped the map.
            BaseException: The error of the item that has failed first, unless errors are returned.
        """
        task = self._task
        guard.handle_with(self._on_interrupt)
        while not task.done():
            self._screen.show_status(map_status(task.progress))
            task.wait(TICK_SECONDS)
        self._screen.show_status(map_status(task.progress, ended=True))
        if self._interrupted:
            text = f"stopped; {task.succeeded} of {len(task)} calls had succeeded."
            raise ended_by_user(KeyboardInterrupt, text)
        if not return_exceptions and task.first_error is not None:
            raise task.first_error
        return task.results()

    def _on_interrupt(self, number: int) -> None:
        self._interrupted = True
        self._task.interrupt()


def map_status(progress: Progress, ended: bool = False) -> Status:
    """Return the line of a map for a screen, with its failures below.

    Args:
        progress: How far it is.
        ended: Whether it has ended.
    """
    is_bad = bool(progress.failed or progress.stopped)
    tone = Tone.BAD if is_bad else Tone.GOOD if progress.workers or ended else Tone.WARN
    mark = ("✗" if is_bad else "✓") if ended else ("●" if progress.workers else "○")
    summary = progress_line(progress, ended)
    groups = [_group_line(group) for group in progress.failures[:MAX_GROUPS]]
    more = len(progress.failures) - MAX_GROUPS
    if more > 0:
        groups.append(f"and {more} more kinds of failures: m.failed")
    rows = [f"{mark_html(tone, mark)} {keep_together(escape(summary))}", *map(escape, groups)]
    version = (progress.done, progress.failed, progress.workers, progress.starting, progress.waits_for)
    return Status(
        "\n".join([f"{mark} {summary}", *groups]),
        html="<div>" + "\n".join(rows) + "</div>",
        version=version,
        brief=f"{progress.done} of {progress.total} done",
        ended=ended,
    )


def progress_line(progress: Progress, ended: bool = False) -> str:
    """Return how far a map is, in one line."""
    words = [f"{progress.done} of {progress.total} done"]
    if progress.failed:
        words.append(f"{progress.failed} failed")
    if progress.stopped:
        words.append(f"{progress.stopped} not run")
    if ended:
        words.append(exact_duration(progress.seconds))
        return " · ".join(words)
    if progress.rate:
        words.append(f"{progress.rate:.3g}/s")
    if progress.seconds_left is not None and progress.done < progress.total:
        words.append(f"{exact_duration(progress.seconds_left)} left")
    if progress.workers:
        words.append(f"{progress.workers} worker{'s' if progress.workers > 1 else ''}")
    if progress.starting:
        words.append(f"{progress.starting} starting")
    if progress.waits_for:
        words.append(progress.waits_for)
    return " · ".join(words)


def _group_line(group: FailureGroup) -> str:
    place = f" at {group.location}" if group.location else ""
    count = f"{group.count} items, first {group.first}" if group.count > 1 else f"item {group.first}"
    message = f": {group.message}" if group.message else ""
    return safe_text(f"{group.kind}{place} · {count}{message}")
