"""A task of the cluster, found by its name."""

from __future__ import annotations

from ..cluster.namespace import Namespace, open_namespace
from ..cluster.refusals import RequestDenied
from ..config.options import RunOptions
from ..errors import InputError
from ..manifest.labels import NAME_LABEL
from ..manifest.task_pod import SELECTOR, TaskPod


async def look_up(name: str, options: RunOptions) -> tuple[Namespace, TaskPod, list[str]]:
    """Return the namespace, the task of that name, and others of the same name.

    Args:
        name: of a pod, or the user's for the task; of several, the newest is meant.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: there is none, or it may not be read.
    """
    ns = await open_namespace(options.context, options.namespace)
    try:
        listed = await ns.pods.list(f"{SELECTOR},{NAME_LABEL}={name}")
        pods = [TaskPod(pod) for pod in listed["items"]]
        if not pods:
            pods = [TaskPod(await ns.pods.get(name))]
    except RequestDenied as error:
        if error.code in (400, 404):
            raise InputError(
                f"There is no task {name!r} in {ns.where}.",
                "Its result was collected, or it was deleted; `%podtask list` shows all tasks.",
            ) from None
        raise
    pods.sort(key=lambda each: each.pod["metadata"]["creationTimestamp"], reverse=True)
    return ns, pods[0], [each.name for each in pods[1:]]
