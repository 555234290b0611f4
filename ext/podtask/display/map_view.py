"""A map on a screen: the line that says how far it is, its items as squares, and its failures in groups."""

from __future__ import annotations

import time
import traceback
import uuid
from collections.abc import Callable
from html import escape
from typing import Any

from ..errors import PodtaskError, ended_by_user
from ..frontend import NOTE_STYLE, Status, Tone, current_screen, keep_together
from ..interrupts import InterruptGuard
from ..maps.map_task import MapTask
from ..maps.progress import FailureGroup, Progress
from ..runner.durations import duration, exact_duration
from ..runner.safe_text import safe_text
from .details import TEXT_STYLE
from .squares import bar_text, squares_html
from .status_line import fold, mark_html, phase_text
from .view import TICK_SECONDS

SHOW_SECONDS = 1.0  # between two versions: a front end draws the whole display again
MAX_GROUPS = 5
MAX_INDEXES = 8  # of a group
MAX_ERROR_CHARS = 10_000
GROUP_STYLE = "margin-left:2ch"
SUMMARY_STYLE = "padding-left:2ch;text-indent:-2ch"  # wrapped lines begin below the first word


class MapView:
    """The lines of a map while the caller waits for it.

    Args:
        task: The map.
    """

    def __init__(self, task: MapTask) -> None:
        self._task = task
        self._screen = current_screen()
        self._key = uuid.uuid4().hex
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
        shown_at = -SHOW_SECONDS
        while not task.done():
            if time.monotonic() >= shown_at + SHOW_SECONDS:
                shown_at = time.monotonic()
                self._screen.show_status(map_status(task.progress))
            task.wait(TICK_SECONDS)
        if task.start_error is not None:
            self._screen.show_status(Status("no worker has started", "✗", Tone.BAD, ended=True))
            raise task.start_error
        self._screen.show_status(map_status(task.progress, self._key, self._error_text))
        if self._interrupted:
            text = f"stopped; {task.succeeded} of {len(task)} calls had succeeded."
            raise ended_by_user(KeyboardInterrupt, text)
        if not return_exceptions and task.first_error is not None:
            raise task.first_error
        return task.results()

    def _error_text(self, index: int) -> str:
        error = self._task.error(index)
        return "" if error is None else error_text(error)

    def _on_interrupt(self, number: int) -> None:
        self._interrupted = True
        self._task.interrupt()


def map_status(progress: Progress, key: str = "", error_text: Callable[[int], str] | None = None) -> Status:
    """Return the line of a map for a screen, with its squares and its failures below.

    Args:
        progress: How far it is.
        key: Identifies the map on its page.
        error_text: Returns the error of an item in full; None while the map runs.
    """
    ended = error_text is not None
    tone = Tone.GOOD if progress.workers or ended else Tone.WARN
    mark = "✓" if ended else "●" if progress.workers else "○"
    if progress.failed:
        tone, mark = Tone.BAD, "✗" if ended else mark
    elif progress.stopped:
        tone, mark = Tone.WARN, "■" if ended else mark
    summary = progress_line(progress, ended)
    groups = progress.failures[:MAX_GROUPS]
    lines = [_group_line(group) for group in groups]
    advice = progress.waits_for.hint if progress.waits_for and not ended else ""
    notes = [*([advice] if advice else []), *_start_failures(progress)]
    line = f"{mark_html(tone, mark)} {keep_together(escape(summary))}"
    rows = [f'<div style="{SUMMARY_STYLE}">{line}</div>']
    rows += [f'<div style="{GROUP_STYLE};{NOTE_STYLE}">{escape(note)}</div>' for note in notes]
    if progress.total:
        rows.append(squares_html(progress.states, _reasons(progress)))
    for number, (group, line) in enumerate(zip(groups, lines, strict=True)):
        shown = f"<span>{keep_together(escape(line))}</span>"
        if error_text is not None:
            text = safe_text(error_text(group.indexes[0]))
            title = f"the error of item {group.indexes[0]}"
            content = f'<pre tabindex="0" role="region" aria-label="{title}" style="{TEXT_STYLE}">{escape(text)}</pre>'
            shown = fold(f"{key} {number}", f'<summary style="cursor:pointer">{shown}</summary>', content)
        rows.append(f'<div style="{GROUP_STYLE}">{shown}</div>')
    more = len(progress.failures) - MAX_GROUPS
    if more > 0:
        lines.append(f"and {more} more kinds of failures: m.failed")
        rows.append(f'<div style="{GROUP_STYLE};{NOTE_STYLE}">{escape(lines[-1])}</div>')
    bar = [bar_text(progress.states)] if progress.total else []
    return Status(
        "\n".join([f"{mark} {summary}", *notes, *bar, *lines]),
        html=f'<div style="white-space:normal">{"".join(rows)}</div>',
        version=(
            progress.states,
            progress.workers,
            progress.starting,
            progress.waits_for,
            progress.start_failures,
            ended,
        ),
        brief=f"{progress.done} of {progress.total} done",
        ended=ended,
    )


def error_text(error: BaseException) -> str:
    """Return an error of an item in full: the frames of the cell, then the message; of a message of podtask, that alone."""
    if isinstance(error, PodtaskError):
        return f"{type(error).__name__}: {error}"
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
    return text if len(text) <= MAX_ERROR_CHARS else f"…{text[1 - MAX_ERROR_CHARS :]}"


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
        words.append(f"{duration(progress.seconds_left)} left")
    if progress.workers:
        words.append(f"{progress.workers} worker{'s' if progress.workers > 1 else ''}")
    if progress.starting:
        what = phase_text(progress.waits_for) if progress.waits_for else "starting"
        words.append(f"{progress.starting} {what}")
    return " · ".join(words)


def _start_failures(progress: Progress) -> list[str]:
    """Return why workers have not started, and what to do."""
    error, count = progress.start_error, progress.start_failures
    if error is None:
        return []
    message, _, hint = str(error).partition("\n")
    return [f"{count} worker{'s' * (count > 1)} did not start: {message}", *hint.splitlines()]


def _reasons(progress: Progress) -> dict[int, str]:
    """Return why items have failed, by index."""
    return {
        index: f"{group.kind} at {group.location}" if group.location else group.kind
        for group in progress.failures
        for index in group.indexes
    }


def _group_line(group: FailureGroup) -> str:
    indexes = ", ".join(map(str, group.indexes[:MAX_INDEXES]))
    if len(group.indexes) > MAX_INDEXES:
        indexes += ", …"
    count = len(group.indexes)
    items = f"{count} items: {indexes}" if count > 1 else f"item {indexes}"
    message = f": {group.message}" if group.message else ""
    place = [group.location] if group.location else []
    return safe_text(" · ".join([f"{group.kind}{message}", *place, items]))
