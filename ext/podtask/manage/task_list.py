"""The list of tasks in a namespace, as text and as HTML that needs no widgets and no kernel."""

from __future__ import annotations

import asyncio
import datetime as dt
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..cluster.namespace import Namespace, open_namespace
from ..config.options import RunOptions
from ..errors import ClusterError
from ..manifest.task_pod import SELECTOR, TaskPod, without_result_record
from ..runner.protocol import RESULT_WAITS_PREFIX

AT_ONCE = 16  # logs that are read at the same time
MAX_LINE_CHARS = 60  # characters of a last line
WAITING = ", waits"  # behind the state of a cell that has ended, whose runner is there
COLUMNS = ("name", "state", "age", "pod", "last line")
CELL = "padding:2px 12px 2px 0;text-align:left;vertical-align:top;white-space:nowrap"
TABLE = "font:12px/1.5 var(--jp-code-font-family,monospace);border-collapse:collapse"


@dataclass(frozen=True)
class TaskRow:
    """One task.

    Args:
        found: its pod.
        state: in a word or three.
        age: seconds since it was submitted.
        last: the last line of its output.
    """

    found: TaskPod
    state: str
    age: float
    last: str

    @property
    def untaken(self) -> bool:
        """Whether its cell has ended, and the result is still for who comes."""
        return self.found.is_result_in_log or self.state.endswith(WAITING)

    @property
    def over(self) -> bool:
        """Whether its cell runs no more."""
        return self.found.is_finished or self.untaken

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """What the columns show."""
        return (self.found.alias, self.state, duration(self.age), self.found.name, self.last)


class TaskList(Sequence[TaskRow]):
    """The tasks of a namespace, the newest first.

    Args:
        rows: a task each.
        where: context/namespace.
    """

    def __init__(self, rows: list[TaskRow], where: str) -> None:
        self._rows = rows
        self._where = where

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> TaskRow:  # type: ignore[override]  # of slices nobody has need
        return self._rows[place]

    def __repr__(self) -> str:
        if not self._rows:
            return self._none
        table = [self._heads, *self._lines()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in table
        )

    def _repr_html_(self) -> str:
        if not self._rows:
            return f"<div>{html.escape(self._none)}</div>"
        lines = [_line("th", self._heads), *(_line("td", line) for line in self._lines())]
        return f'<table style="{TABLE}">{"".join(lines)}</table>'

    @property
    def _none(self) -> str:
        return f"No tasks in {self._where}."

    @property
    def _several(self) -> bool:
        return len({row.found.user for row in self._rows}) > 1

    @property
    def _heads(self) -> tuple[str, ...]:
        return ("user", *COLUMNS) if self._several else COLUMNS

    def _lines(self) -> Iterator[tuple[str, ...]]:
        for row in self._rows:
            yield (row.found.user or "-", *row.cells) if self._several else row.cells


async def roster(options: RunOptions) -> TaskList:
    """Return the tasks of a namespace; from the background loop.

    Raises:
        PodtaskError: there is no cluster, or pods may not be listed.
    """
    ns = await open_namespace(options.context, options.namespace)
    pods = await all_tasks(ns)
    now, few = dt.datetime.now(dt.timezone.utc), asyncio.Semaphore(AT_ONCE)

    async def row(found: TaskPod) -> TaskRow:
        async with few:
            last = await _last_line(ns, found)
        state = found.state
        if last.startswith(RESULT_WAITS_PREFIX) and not found.is_finished:
            state, last = f"{last.removeprefix(RESULT_WAITS_PREFIX).partition(')')[0]}{WAITING}", ""
        return TaskRow(found, state, found.age_seconds(now), last[-MAX_LINE_CHARS:])

    return TaskList(list(await asyncio.gather(*map(row, pods))), ns.where)


async def all_tasks(ns: Namespace) -> list[TaskPod]:
    """Return the tasks' pods, the newest first.

    Raises:
        ClusterError: they may not be listed, or the API server cannot be reached.
    """
    listed = await ns.pods.list(SELECTOR)
    pods = [TaskPod({"apiVersion": "v1", "kind": "Pod", **pod}) for pod in listed["items"]]
    return sorted(pods, key=lambda each: str(each.pod["metadata"]["creationTimestamp"]), reverse=True)


def duration(seconds: float) -> str:
    """Return a duration in one unit or two: ``42s``, ``5m``, ``3h10m``, ``2d``."""
    minutes = int(seconds) // 60
    if minutes < 1:
        return f"{max(0, int(seconds))}s"
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60}m" if minutes % 60 else f"{minutes // 60}h"
    return f"{minutes // (24 * 60)}d"


async def _last_line(ns: Namespace, found: TaskPod) -> str:
    if found.is_result_in_log:
        return ""  # the record is behind it
    try:
        text = await ns.pods.log_part(found.name, found.primary, tailLines="3", limitBytes="65536")
    except ClusterError:  # none yet, or not allowed: the list is worth having without
        return ""
    lines = [line for line in without_result_record(text).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _line(tag: str, cells: Sequence[str]) -> str:
    shown = "".join(f'<{tag} style="{CELL}">{html.escape(cell)}</{tag}>' for cell in cells)
    return f"<tr>{shown}</tr>"
