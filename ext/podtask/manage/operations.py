"""What commands ask of the cluster about tasks: the list, a log, the end of one, a clean-up."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass

from ..cluster.namespace import open_namespace
from ..cluster.refusals import RequestDenied
from ..config.options import RunOptions
from ..errors import InputError
from ..manifest.identity import current_user
from ..manifest.task_pod import without_result_record
from .lookup import look_up
from .task_list import all_tasks

TAIL_LINES = 200


@dataclass(frozen=True)
class CleanupResult:
    """What was removed, and what was not.

    Args:
        deleted: names of pods.
        kept: tasks with a result that nobody has taken.
    """

    deleted: list[str]
    kept: list[str]


async def log(name: str, container: str | None, options: RunOptions) -> str:
    """Return the log of a task's container, of the primary one where none is named.

    Raises:
        PodtaskError: there is no such task or container, or its log may not be read.
    """
    ns, found, _ = await look_up(name, options)
    chosen = found.container_name(container)
    try:
        text = await ns.pods.log(found.name, chosen)
    except RequestDenied as error:
        if error.code in (400, 404):
            raise InputError(
                f"Container {chosen!r} of {found.name} has no log yet.",
                f"`%podtask why {name}` shows what it waits for.",
            ) from None
        raise
    return without_result_record(text)


async def end(name: str, options: RunOptions, finished: bool, force: bool = False) -> str:
    """Delete a task's pod, with the grace that it has; returns the pod's name.

    Args:
        name: of the task, or of its pod.
        options: Options with the kubeconfig context and the namespace to use.
        finished: whether one that has ended is meant too.
        force: whether without its grace, and without a word of its node.

    Raises:
        PodtaskError: there is none, it has ended, or it may not be deleted.
    """
    ns, found, _ = await look_up(name, options)
    if found.is_finished and not finished:
        raise InputError(
            f"{found.name} has ended: {found.state}.",
            f"`%podtask attach {name}` collects its result, `%podtask delete {name}` removes it.",
        )
    await ns.pods.delete(found.name, 0 if force else None)
    return found.name


async def clean_up(options: RunOptions) -> CleanupResult:
    """Removes this user's finished pods but for those whose result waits, which have their time.

    Raises:
        PodtaskError: nobody knows who asks, there is no cluster, or pods may not be listed or deleted.
    """
    if not current_user():
        raise InputError(
            "Cannot tell which tasks are yours: this process has no user name.",
            "Set USER here and where tasks are submitted.",
        )
    ns = await open_namespace(options.context, options.namespace)
    now = dt.datetime.now(dt.timezone.utc)
    mine = [each for each in await all_tasks(ns) if each.is_finished and each.user == current_user()]
    kept = [each for each in mine if each.is_result_in_log and each.finished_seconds(now) <= options.keep]
    gone = [each for each in mine if each not in kept]
    await asyncio.gather(*(ns.pods.delete(each.name) for each in gone))
    return CleanupResult([each.name for each in gone], [each.alias for each in kept])


async def read_log_tail(pod_name: str, container: str, options: RunOptions) -> str:
    """Return the last 200 lines of a container's log, without the task's result.

    Args:
        pod_name: Name of the task's pod.
        container: Name of the container.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: The container has no log, or it may not be read.
    """
    ns = await open_namespace(options.context, options.namespace)
    try:
        text = await ns.pods.log_part(pod_name, container, tailLines=str(TAIL_LINES))
    except RequestDenied as error:
        if error.code in (400, 404):
            raise InputError(
                f"Container {container!r} has no log yet, or its pod is gone.", "Refresh to try again."
            ) from None
        raise
    return without_result_record(text)


async def delete_task_pod(pod_name: str, options: RunOptions) -> None:
    """Delete a task's pod with its own grace period; do nothing if it is gone already.

    Args:
        pod_name: Name of the task's pod.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: The pod may not be deleted, or the API server cannot be reached.
    """
    ns = await open_namespace(options.context, options.namespace)
    await ns.pods.delete(pod_name)
