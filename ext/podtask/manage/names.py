"""Names of the objects in the cluster and namespace that options name: for Tab and the form."""

from __future__ import annotations

from ..cluster import object_names
from ..cluster.namespace import Namespace
from ..config.options import RunOptions
from ..manifest.task_pod import SELECTOR, TaskPod

TASK = "task"  # tasks have a name beside that of the pod


def known_names(kind: str, options: RunOptions) -> list[str]:
    """Return the names that are known now; ask for newer ones in the background.

    Args:
        kind: of ``object_names.RESOURCES``, "context" or "task"; any other kind has no names.
        options: Options with the kubeconfig context and the namespace to use.
    """
    where = options.context, options.namespace
    if kind == TASK:
        return object_names.known_names(kind, *where, _read_tasks)
    if kind == "context" or kind in object_names.RESOURCES:
        return object_names.known_names(kind, *where)
    return []


def read_names(kind: str, options: RunOptions) -> list[str]:
    """Return the names of a kind when the API server has answered.

    Args:
        kind: of ``object_names.RESOURCES``.
        options: Options with the kubeconfig context and the namespace to use.
    """
    return object_names.read_names(kind, options.context, options.namespace)


async def _read_tasks(ns: Namespace) -> list[str]:
    listed = await ns.pods.list(SELECTOR)
    return sorted({TaskPod(pod).alias for pod in listed["items"]})
