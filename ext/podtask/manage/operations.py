"""Read the logs of tasks and delete tasks."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from ..cluster.namespace import open_namespace
from ..cluster.refusals import RequestDenied
from ..config.options import RunOptions
from ..errors import InputError
from ..manifest import owner_secrets
from ..manifest.identity import KERNEL_ID
from ..manifest.task_pod import TaskPod
from ..runner.log_lines import cell_output
from ..runner.safe_text import escape_controls
from .lookup import look_up_pods, look_up_task
from .task_list import delete_pod, read_task_pods
from .user import current_user

MAX_TAIL_LINES = 200


@dataclass(frozen=True)
class CleanupResult:
    """What a clean-up deleted, and what it kept.

    Args:
        deleted: Names of the deleted pods.
        kept: Names of the finished tasks whose result was not fetched yet.
    """

    deleted: list[str]
    kept: list[str]


async def read_log(name: str, container: str | None, options: RunOptions) -> str:
    """Return the log of a task's container, without the task's result.

    Control characters are escaped, unless the log is the output of a cell of this user.

    Args:
        name: Name of the task or of its pod.
        container: Name of the container; None for the primary one.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: The task or container does not exist, or reading its log is not allowed.
    """
    ns, pod = await look_up_task(name, options)
    container_name = pod.container_name(container)
    try:
        text = await ns.pods.log(pod.name, container_name)
    except RequestDenied as error:
        if error.code in (400, 404):
            raise InputError(
                f"Container {container_name!r} of {pod.name} has no log yet.",
                f"`%podtask why {name}` shows what it waits for.",
            ) from None
        raise
    output = cell_output(text)
    owned = owner_secrets.load(pod.task, pod.key, pod.lock) is not None
    # Only the cell's own output may control the terminal.
    return output if owned and container_name == pod.primary else escape_controls(output)


async def delete_task(name: str, options: RunOptions, finished: bool, force: bool = False) -> str:
    """Delete a task's pod, or the pods of a map's workers; return the name of the task or of the map.

    Args:
        name: Name of the task or of its pod, or of the map.
        options: Options with the kubeconfig context and the namespace to use.
        finished: Whether a task that has ended may be deleted, too.
        force: Whether to delete the pod at once, without grace period, even if its node does not answer.

    Raises:
        PodtaskError: The task does not exist, it has ended, or deleting it is not allowed.
    """
    ns, pods = await look_up_pods(name, options)
    pod = next((each for each in pods if not each.is_finished), pods[0])
    full_name = pod.map if len(pods) > 1 else pod.task
    if name not in (pod.name, pod.task, pod.map) and not (await current_user(ns)).owns(pod):
        raise InputError(
            f"{name!r} is a task of {pod.owner}, not yours.",
            f"To delete it nevertheless, give its full name: {full_name}",
        )
    if pod.is_finished and not finished:
        raise InputError(
            f"{full_name} has ended: {pod.state}.",
            f"`%podtask attach {name}` fetches its result, `%podtask delete {name}` removes it.",
        )
    await asyncio.gather(*(delete_pod(ns, each, 0 if force else None) for each in pods))
    return full_name


async def clean_up(options: RunOptions, keep: float | None = None) -> CleanupResult:
    """Delete the current user's finished pods, and those that did not start in time.

    A result that was not fetched is kept until it expires.

    Args:
        options: Options with the kubeconfig context and the namespace to use.
        keep: Seconds after which a result expires; None for the ``--keep`` of each task.

    Raises:
        PodtaskError: No cluster is configured, or listing or deleting pods is not allowed.
    """
    ns = await open_namespace(options.context, options.namespace)
    user, pods = await asyncio.gather(current_user(ns), read_task_pods(ns))
    now = dt.datetime.now(dt.timezone.utc)
    own = [pod for pod in pods if user.owns(pod)]
    finished = [pod for pod in own if pod.is_finished and not pod.is_replaced]
    limits = {pod.name: pod.options.keep if keep is None else keep for pod in finished}
    kept = [pod for pod in finished if pod.is_result_in_log and pod.finished_seconds(now) <= limits[pod.name]]
    deleted = [pod for pod in finished if pod not in kept]
    deleted += [pod for pod in own if pod.kernel != KERNEL_ID and pod.is_start_overdue(now)]
    await asyncio.gather(*(delete_pod(ns, pod) for pod in deleted))
    return CleanupResult([pod.task for pod in deleted], [pod.alias for pod in kept])


async def read_log_tail(pod_name: str, container: str, options: RunOptions) -> str:
    """Return the last 200 lines of a container's log, without the task's result.

    Args:
        pod_name: Name of the task's pod.
        container: Name of the container.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: The container has no log, or reading it is not allowed.
    """
    ns = await open_namespace(options.context, options.namespace)
    try:
        text = await ns.pods.log_part(pod_name, container, tailLines=str(MAX_TAIL_LINES))
    except RequestDenied as error:
        if error.code in (400, 404):
            raise InputError(
                f"Container {container!r} has no log yet, or its pod is gone.", "Refresh to try again."
            ) from None
        raise
    return cell_output(text)


async def delete_task_pods(pods: Sequence[TaskPod], options: RunOptions) -> None:
    """Delete the pods of a task or of a map with their own grace period; do nothing for those that are gone already.

    Args:
        pods: The pods, as they were listed.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: Deleting the pod is not allowed, or the API server cannot be reached.
    """
    ns = await open_namespace(options.context, options.namespace)
    await asyncio.gather(*(delete_pod(ns, pod) for pod in pods))
