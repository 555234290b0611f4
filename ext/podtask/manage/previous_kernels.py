"""Report the tasks that earlier kernels of a notebook left behind, and delete expired pods."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

from ..cluster.namespace import open_namespace
from ..config.options import RunOptions
from ..errors import PodtaskError
from ..event_loop import loop
from ..manifest.identity import KERNEL_ID
from ..manifest.task_pod import TaskPod
from .task_list import delete_pod, read_task_pods
from .user import current_user

_reported: set[tuple[object, str, str]] = set()  # (event loop, context, namespace)


async def report_previous_tasks(options: RunOptions, notebook: str, note: Callable[[str], None]) -> None:
    """Report the user's tasks that earlier kernels of this notebook left behind, and delete expired pods.

    This happens once for each kernel and namespace, in the background: the cell does not wait.

    Args:
        options: Options with the kubeconfig context and the namespace to use.
        notebook: Identifier of the notebook; empty if there is none.
        note: Called with each line for the user.

    Raises:
        PodtaskError: No cluster is configured, or it gives no credentials.
    """
    ns = await open_namespace(options.context, options.namespace)
    place = (asyncio.get_running_loop(), ns.context, ns.name)
    if place not in _reported:
        _reported.add(place)
        loop().background(_report_and_delete(options, notebook, note))


async def _report_and_delete(options: RunOptions, notebook: str, note: Callable[[str], None]) -> None:
    ns = await open_namespace(options.context, options.namespace)
    try:
        user, pods = await asyncio.gather(current_user(ns), read_task_pods(ns))
        now = dt.datetime.now(dt.timezone.utc)
        previous = [pod for pod in pods if user.owns(pod) and pod.kernel != KERNEL_ID]
        expired = [pod for pod in previous if pod.is_expired(now)]
        for line in describe_previous_tasks([pod for pod in previous if pod not in expired], notebook):
            note(line)
        for pod in expired:
            await delete_pod(ns, pod)
    except PodtaskError:
        return  # this report is optional; the next kernel tries again


def describe_previous_tasks(pods: list[TaskPod], notebook: str) -> list[str]:
    """Return a line each on running tasks, unfetched results and sessions, only if there are any.

    Args:
        pods: Pods of the user's tasks that other kernels submitted.
        notebook: Identifier of the notebook; only its tasks are reported.
    """
    of_notebook = [pod for pod in pods if notebook and pod.notebook == notebook]
    sessions = sorted(pod.session for pod in of_notebook if pod.session and not pod.is_finished)
    previous = [pod for pod in of_notebook if not pod.session]
    running = [pod for pod in previous if not pod.is_finished]
    unfetched = [pod for pod in previous if pod.is_result_in_log]
    lines = []
    if running:
        verb = (
            "tasks of this notebook are still running"
            if len(_names(running)) > 1
            else "task of this notebook is still running"
        )
        lines.append(
            f"{len(_names(running))} {verb}: {_join_names(running)} (%podtask attach NAME, or cancel NAME)"
        )
    if unfetched:
        lines.append(f"finished, result not fetched: {_join_names(unfetched)} (%podtask attach NAME)")
    if sessions:
        shown = ", ".join(sessions)
        lines.append(
            f"sessions of this notebook that go on: {shown} (%%podtask --session NAME, or %podtask end NAME)"
        )
    return lines


def _join_names(pods: list[TaskPod]) -> str:
    return ", ".join(_names(pods))


def _names(pods: list[TaskPod]) -> list[str]:
    """Return the names of tasks and maps, each once."""
    return list(dict.fromkeys(pod.map or pod.alias for pod in pods))
