"""Find a task in the cluster by its name."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

from ..cluster.namespace import Namespace, open_namespace
from ..cluster.refusals import RequestDenied
from ..config.option_types import parse_task_name
from ..config.options import RunOptions
from ..errors import InputError
from ..manifest import owner_secrets
from ..manifest.identity import MAP_NAME, TASK_NAME
from ..manifest.labels import MAP_LABEL, NAME_LABEL, TASK_LABEL
from ..manifest.task_pod import SELECTOR, TaskPod, current_pods
from ..runner.durations import duration
from .task_list import list_jobs
from .user import current_user

MAX_CANDIDATES = 8


class TaskNotFound(InputError):
    """No pod of the namespace runs a task of this name."""


async def look_up_task(name: str, options: RunOptions) -> tuple[Namespace, TaskPod]:
    """Return the namespace and the pod of a task; those whose secret the user has come first, then the user's others.

    Args:
        name: Name of the task or of its pod.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: The task does not exist, a map or several tasks have the name, or reading them is not allowed.
    """
    ns, found = await look_up_pods(name, options)
    if len(found) > 1:
        raise InputError(
            f"{name!r} is a map with {len(found)} workers in {ns.where}.",
            f"Give the name of one of its pods: {', '.join(each.name for each in found[:MAX_CANDIDATES])}. "
            f"`%podtask cancel {name}` ends all of them.",
        )
    return ns, found[0]


async def look_up_pods(name: str, options: RunOptions) -> tuple[Namespace, Sequence[TaskPod]]:
    """Return the namespace and the pod of a task, or the pods of the workers of a map.

    Args:
        name: Name of the task or of its pod, or of the map.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: The task does not exist, several tasks have the name, or reading them is not allowed.
    """
    parse_task_name(name)
    ns = await open_namespace(options.context, options.namespace)
    # The pods of a Job have other names than the task.
    names_task, names_map = TASK_NAME.fullmatch(name), MAP_NAME.fullmatch(name)
    selector = f"{SELECTOR},{TASK_LABEL if names_task else MAP_LABEL if names_map else NAME_LABEL}={name}"
    user, listed, pod = await asyncio.gather(current_user(ns), ns.pods.list(selector), _read_pod(ns, name))
    pods = {each["metadata"]["uid"]: TaskPod(each) for each in listed["items"]}
    if pod is not None and pod.is_managed:
        pods[pod.uid] = pod
    needs_jobs = not pods or any(each.is_replaced for each in pods.values())
    found = current_pods(pods.values(), await list_jobs(ns, selector) if needs_jobs else ())
    if not found:
        if pod is not None:
            raise InputError(
                f"The pod {name} in {ns.where} does not run a podtask task.",
                "%podtask list shows the pods that do.",
            )
        raise TaskNotFound(
            f"Task {name!r} not found in {ns.where}.",
            "Its result was fetched, or it was deleted; `%podtask list` shows all tasks.",
        )
    if names_task:  # first of all: whoever creates a pod chooses the labels of user and name
        found = [each for each in found if name in (each.name, each.task)] or found
    for is_preferred in (
        _is_proven,
        user.owns,
        lambda each: name in (each.name, each.task),
        _is_not_terminating,
    ):
        found = [each for each in found if is_preferred(each)] or found
    if len({each.map or each.uid for each in found}) > 1:
        raise InputError(
            f"{len(found)} tasks are named {name!r} in {ns.where}: {_describe(found)}.",
            "Give the full name of one of them.",
        )
    return ns, found


def _is_proven(pod: TaskPod) -> bool:
    """Return whether this user has the owner's secret of a task: whoever creates a pod chooses its name and labels."""
    return owner_secrets.load(pod.task, pod.shown_key, pod.lock) is not None


def _is_not_terminating(pod: TaskPod) -> bool:
    return not pod.is_terminating


async def _read_pod(ns: Namespace, name: str) -> TaskPod | None:
    try:
        return TaskPod(await ns.pods.get(name))
    except RequestDenied as error:
        if error.code in (400, 404):
            return None
        raise


def _describe(pods: list[TaskPod]) -> str:
    """Return the full names, owners and ages of tasks, the newest first."""
    now = dt.datetime.now(dt.timezone.utc)
    newest = sorted(pods, key=lambda pod: pod.age_seconds(now))[:MAX_CANDIDATES]
    names = [f"{pod.task} ({pod.owner}, {duration(pod.age_seconds(now))} old)" for pod in newest]
    if len(pods) > len(newest):
        names.append(f"and {len(pods) - len(newest)} more")
    return ", ".join(names)
