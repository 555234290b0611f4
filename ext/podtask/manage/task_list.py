"""The list of tasks in a namespace, shown as text and as static HTML."""

from __future__ import annotations

import asyncio
import datetime as dt
import html
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..cluster.namespace import Namespace, open_namespace
from ..cluster.refusals import RequestDenied
from ..cluster.workloads import workload_owner
from ..config.options import RunOptions
from ..diagnosis.queueing import QueuePlace, diagnose_queued
from ..errors import ClusterError
from ..manifest import owner_secrets
from ..manifest.labels import NAME_LABEL
from ..manifest.task_pod import SELECTOR, TaskPod, current_pods
from ..runner.durations import duration
from ..runner.log_lines import cell_output
from ..runner.protocol import RESULT_WAITS_PREFIX
from ..runner.safe_text import safe_text
from . import own_maps
from .user import current_user

log = logging.getLogger(__name__)
MAX_PARALLEL_LOGS = 16
MAX_LAST_LINE_CHARS = 60
WAITING_SUFFIX = ", waits"  # added to the state if the runner waits for a notebook to fetch the result
COLUMNS = ("name", "state", "age", "pod", "last line")
CELL_STYLE = "padding:2px 12px 2px 0;text-align:left;vertical-align:top;white-space:nowrap"
TABLE_STYLE = "font:12px/1.5 var(--jp-code-font-family,monospace);border-collapse:collapse"
# Context and namespace -> uid of a pod of the last list, whether it is finished -> last line that stays as it is.
_final_lines: dict[str, dict[tuple[str, bool], str]] = {}


@dataclass(frozen=True)
class TaskRow:
    """One task.

    Args:
        pod: The pod of the task.
        state: State of the task in one to three words.
        age_seconds: Seconds since the task was submitted.
        last_line: Last line of its output, or why it waits in a queue; may be empty.
    """

    pod: TaskPod
    state: str
    age_seconds: float
    last_line: str

    @property
    def key(self) -> str:
        """What no other row has: the name of its pod."""
        return self.pod.name

    @property
    def alias(self) -> str:
        """The user's name for the task; the name of its pod if it has none."""
        return self.pod.alias

    @property
    def is_result_unfetched(self) -> bool:
        """Whether the cell has ended and no notebook has fetched its result."""
        return self.pod.is_result_in_log or self.state.endswith(WAITING_SUFFIX)

    @property
    def has_cell_ended(self) -> bool:
        """Whether the cell has ended; its runner may still wait for the notebook."""
        return self.pod.is_finished or self.is_result_unfetched

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """The texts of the row, one for each column."""
        age = duration(self.age_seconds)
        texts = (self.pod.alias, self.state, age, self.pod.name, self.last_line)
        alias, state, age, name, last_line = map(safe_text, texts)
        return alias, state, age, name, last_line


@dataclass(frozen=True)
class MapRow:
    """One map.

    Args:
        workers: The rows of its workers, the newest first; at least one.
    """

    workers: tuple[TaskRow, ...]

    @property
    def name(self) -> str:
        """Name of the map."""
        return self.workers[0].pod.map

    @property
    def key(self) -> str:
        """What no other row has: another person may have given pods the label of this map."""
        pod = self.workers[0].pod
        return f"{pod.map}/{pod.user}/{pod.kernel}"

    @property
    def alias(self) -> str:
        """The user's name for the map; its name if it has none."""
        return self.workers[0].pod.labels.get(NAME_LABEL) or self.name

    @property
    def user(self) -> str:
        """Name of the user who started the map; empty if it is unknown."""
        return self.workers[0].pod.user

    @property
    def is_finished(self) -> bool:
        """Whether no worker runs or waits."""
        return all(row.pod.is_finished for row in self.workers)

    @property
    def has_cell_ended(self) -> bool:
        """Whether no worker can run an item."""
        return all(row.has_cell_ended for row in self.workers)

    @property
    def pods(self) -> str:
        """How many pods it has, in words."""
        return f"{len(self.workers)} pod{'s' * (len(self.workers) > 1)}"

    @property
    def last_line(self) -> str:
        """How far it is, if this kernel knows it; else why a worker waits in a queue, or the last line of one."""
        own = own_maps.find(self.name)
        if own is not None:
            return own.summary
        waiting_first = sorted(self.workers, key=lambda row: not row.pod.is_queued)
        return next((row.last_line for row in waiting_first if row.last_line), "")

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """The texts of the row, one for each column."""
        states = Counter(row.state for row in self.workers).most_common()
        state = ", ".join(f"{count} {each}" for each, count in states) if len(states) > 1 else states[0][0]
        age = duration(max(row.age_seconds for row in self.workers))
        alias, state, last_line = map(safe_text, (self.alias, state, self.last_line))
        return alias, state, age, self.pods, last_line


class TaskList(Sequence[TaskRow]):
    """The tasks of a namespace, the newest first. It shows one row for each map.

    Args:
        rows: The tasks, with the workers of maps.
        where: Context and namespace, as shown to the user.
    """

    def __init__(self, rows: list[TaskRow], where: str) -> None:
        self._rows = rows
        self._where = where

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> TaskRow:  # type: ignore[override]  # slices are not supported
        return self._rows[index]

    @property
    def entries(self) -> list[TaskRow | MapRow]:
        """The tasks and the maps, the newest first."""
        workers: dict[str, list[TaskRow]] = {}
        for row in self._rows:
            workers.setdefault(MapRow((row,)).key if row.pod.map else row.key, []).append(row)
        return [MapRow(tuple(rows)) if rows[0].pod.map else rows[0] for rows in workers.values()]

    def __repr__(self) -> str:
        if not self._rows:
            return self._empty_text
        table = [self._headings, *(self._line(each) for each in self.entries)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in table
        )

    def _repr_html_(self) -> str:
        if not self._rows:
            return f"<div>{html.escape(self._empty_text)}</div>"
        rows = [_html_row("th", map(html.escape, self._headings)), *map(self._html_line, self.entries)]
        return f'<table style="{TABLE_STYLE}">{"".join(rows)}</table>'

    @property
    def namespace(self) -> str:
        """The namespace of the tasks."""
        return self._where.rpartition("/")[2]

    @property
    def _empty_text(self) -> str:
        return f"No tasks in {self._where}. Of another namespace: %podtask list -n NAME."

    @property
    def _has_several_users(self) -> bool:
        return len({row.pod.user for row in self._rows}) > 1

    @property
    def _headings(self) -> tuple[str, ...]:
        return ("user", *COLUMNS) if self._has_several_users else COLUMNS

    def _line(self, entry: TaskRow | MapRow) -> tuple[str, ...]:
        user = entry.user if isinstance(entry, MapRow) else entry.pod.user
        return (safe_text(user) or "-", *entry.cells) if self._has_several_users else entry.cells

    def _html_line(self, entry: TaskRow | MapRow) -> str:
        cells = [html.escape(cell) for cell in self._line(entry)]
        if isinstance(entry, MapRow):
            pods = "".join(f"<div>{html.escape(_worker_text(row))}</div>" for row in entry.workers)
            summary = f'<summary style="cursor:pointer">{html.escape(entry.pods)}</summary>'
            cells[-2] = f"<details>{summary}{pods}</details>"
        return _html_row("td", cells)


async def list_tasks(options: RunOptions) -> TaskList:
    """Return the tasks of a namespace, each with its state and the last line of its output; not the user's sessions.

    Args:
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: No cluster is configured, or listing pods is not allowed.
    """
    ns = await open_namespace(options.context, options.namespace)
    user, pods = await asyncio.gather(current_user(ns), read_task_pods(ns))
    pods = [pod for pod in pods if not (pod.session and user.owns(pod) and not pod.is_finished)]
    known = _final_lines.get(ns.where, {})
    final_lines = {key: known[key] for key in map(_state_key, pods) if key in known}
    _final_lines[ns.where] = final_lines
    workloads = await read_workloads(ns, pods)
    now, log_slots = dt.datetime.now(dt.timezone.utc), asyncio.Semaphore(MAX_PARALLEL_LOGS)

    async def make_row(pod: TaskPod) -> TaskRow:
        if pod.is_queued:
            reason = diagnose_queued(pod.queue, QueuePlace(workloads.get(pod.uid))).message
            return TaskRow(pod, pod.state, pod.age_seconds(now), _shortened(reason))
        key = _state_key(pod)
        last_line = final_lines.get(key, "")
        if key not in final_lines:
            async with log_slots:
                last_line, is_final = await _read_last_line(ns, pod)
            if is_final:
                final_lines[key] = last_line
        state = pod.state
        if last_line.startswith(RESULT_WAITS_PREFIX) and not pod.is_finished:
            cell_status = last_line.removeprefix(RESULT_WAITS_PREFIX).partition(")")[0]
            state, last_line = f"{cell_status}{WAITING_SUFFIX}", ""
        return TaskRow(pod, state, pod.age_seconds(now), _shortened(last_line))

    return TaskList(list(await asyncio.gather(*map(make_row, pods))), ns.where)


async def read_task_pods(ns: Namespace) -> list[TaskPod]:
    """Return the pods of all tasks in a namespace, one for each, the newest first.

    Raises:
        ClusterError: Listing pods is not allowed, or the API server cannot be reached.
    """
    listed, jobs = await asyncio.gather(ns.pods.list(SELECTOR), list_jobs(ns, SELECTOR))
    pods = [TaskPod({"apiVersion": "v1", "kind": "Pod", **pod}) for pod in listed["items"]]
    return sorted(
        current_pods(pods, jobs),
        key=lambda each: str(each.pod["metadata"]["creationTimestamp"]),
        reverse=True,
    )


async def list_jobs(ns: Namespace, selector: str) -> list[dict[str, Any]]:
    """Return the Jobs that a label selector matches; none if they may not be listed: most tasks have no Job."""
    try:
        listed = await ns.jobs.list(selector)
    except RequestDenied as error:
        log.debug("The Jobs of tasks are not shown: %s", error)
        return []
    return list(listed["items"])


async def delete_pod(ns: Namespace, pod: TaskPod, grace_seconds: int | None = None) -> None:
    """Delete a task's pod, and the Job that would replace it; forget the owner's secret.

    Args:
        ns: Namespace of the pod.
        pod: The pod, as it was listed.
        grace_seconds: Grace period; None for the pod's own, 0 to delete it without its node.

    Raises:
        ClusterError: Deleting is not allowed, or the API server cannot be reached.
    """
    if pod.job is not None:
        await ns.jobs.delete(pod.job.name, pod.job.uid)
    await ns.pods.delete(pod.name, pod.uid, grace_seconds)
    owner_secrets.remove(pod.task, pod.shown_key)


async def read_workloads(ns: Namespace, pods: Sequence[TaskPod]) -> dict[str, dict[str, Any]]:
    """Return the Workloads of the pods that Kueue holds, by the UIDs of the pods; those that may be read."""
    if not any(pod.is_queued for pod in pods):
        return {}
    try:
        return {workload_owner(each): each for each in await ns.workloads.list()}
    except ClusterError:  # the tasks are listed without the reason
        return {}


def _state_key(pod: TaskPod) -> tuple[str, bool]:
    """Return the key of a cached last line: it is read again once the runner of the task has ended, too."""
    return pod.uid, pod.is_finished


async def _read_last_line(ns: Namespace, pod: TaskPod) -> tuple[str, bool]:
    """Return the last line of a task's output, and whether there will be no other one."""
    if pod.is_result_in_log:
        return "", True  # the log ends with the result, not with the cell's output
    if pod.has_no_log_yet:
        return "", False
    try:
        text = await ns.pods.log_part(pod.name, pod.primary, tailLines="3", limitBytes="65536")
    except RequestDenied as error:  # the log does not exist, or reading it is forbidden
        return "", pod.is_finished and error.code in (400, 403, 404)
    except ClusterError:  # list the task anyway
        return "", False
    lines = [line for line in cell_output(text).splitlines() if line.strip()]
    last_line = lines[-1] if lines else ""
    return last_line, pod.is_finished or last_line.startswith(RESULT_WAITS_PREFIX)


def _shortened(line: str) -> str:
    """Return the beginning of a line, with an ellipsis if it is long."""
    return line if len(line) <= MAX_LAST_LINE_CHARS else f"{line[: MAX_LAST_LINE_CHARS - 1]}…"


def _worker_text(row: TaskRow) -> str:
    """Return the row of a map's worker as one text."""
    _, state, age, pod, last_line = row.cells
    return " · ".join(filter(None, [pod, state, age, last_line]))


def _html_row(tag: str, cells: Iterable[str]) -> str:
    """Return a row of a table.

    Args:
        tag: Tag of the cells.
        cells: The HTML of the cells.
    """
    row = "".join(f'<{tag} style="{CELL_STYLE}">{cell}</{tag}>' for cell in cells)
    return f"<tr>{row}</tr>"
