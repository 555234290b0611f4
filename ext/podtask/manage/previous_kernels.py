"""What earlier kernels left: told to who comes back, and removed when nobody does."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

from ..cluster.namespace import open_namespace
from ..config.options import RunOptions
from ..errors import PodtaskError
from ..event_loop import loop
from ..manifest.identity import KERNEL_ID, current_user
from ..manifest.task_pod import TaskPod
from .task_list import all_tasks

_looked: set[tuple[object, str, str]] = set()


async def report_previous_tasks(options: RunOptions, notebook: str, note: Callable[[str], None]) -> None:
    """Report the tasks that earlier kernels of this notebook left, and delete expired pods.

    This happens once for each kernel and namespace, in the background: the cell does not wait.

    Args:
        options: Cluster, namespace, and how long finished pods are kept.
        notebook: Identifier of the notebook; empty if there is none.
        note: Is called with each line for the user.

    Raises:
        PodtaskError: No cluster is configured, or it gives no credentials.
    """
    ns = await open_namespace(options.context, options.namespace)
    once = (asyncio.get_running_loop(), ns.context, ns.name)
    if once not in _looked:
        _looked.add(once)
        loop().background(_report(options, notebook, note))


async def _report(options: RunOptions, notebook: str, note: Callable[[str], None]) -> None:
    ns = await open_namespace(options.context, options.namespace)
    try:
        pods = await all_tasks(ns)
        for line in news(pods, notebook):
            note(line)
        now = dt.datetime.now(dt.timezone.utc)
        for each in pods:
            if (
                each.is_finished
                and current_user()
                and each.user == current_user()
                and each.finished_seconds(now) > options.keep
            ):
                await ns.pods.delete(each.name)
    except PodtaskError:
        return  # news of others are worth no error; the next kernel tries again


def news(pods: list[TaskPod], notebook: str) -> list[str]:
    """Return what to tell of a notebook's earlier tasks, a line each."""
    ours = [each for each in pods if notebook and each.notebook == notebook and each.kernel != KERNEL_ID]
    run, wait = (
        [each for each in ours if not each.is_finished],
        [each for each in ours if each.is_result_in_log],
    )
    found = []
    if run:
        what = "tasks of this notebook still run" if len(run) > 1 else "task of this notebook still runs"
        found.append(f"{len(run)} {what}: {_names(run)} (%podtask attach NAME, or cancel NAME)")
    if wait:
        found.append(f"finished, result not collected: {_names(wait)} (%podtask attach NAME)")
    return found


def _names(tasks: list[TaskPod]) -> str:
    return ", ".join(each.alias for each in tasks)
