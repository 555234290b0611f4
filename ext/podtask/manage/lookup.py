"""Find a task in the cluster by its name."""

from __future__ import annotations

from ..cluster.namespace import Namespace, open_namespace
from ..cluster.refusals import RequestDenied
from ..config.options import RunOptions
from ..errors import InputError
from ..manifest.labels import NAME_LABEL
from ..manifest.task_pod import SELECTOR, TaskPod


async def look_up_task(name: str, options: RunOptions) -> tuple[Namespace, TaskPod, list[str]]:
    """Return the namespace, the pod of the task, and the names of other pods with the same task name.

    Args:
        name: Name of the task or of its pod; if several tasks have the name, the newest is returned.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: The task does not exist, or reading it is not allowed.
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
                f"Task {name!r} not found in {ns.where}.",
                "Its result was collected, or it was deleted; `%podtask list` shows all tasks.",
            ) from None
        raise
    pods.sort(key=lambda pod: str(pod.pod["metadata"]["creationTimestamp"]), reverse=True)
    return ns, pods[0], [pod.name for pod in pods[1:]]
