"""Names of objects in the cluster, for Tab completion and the form: tasks, claims, secrets and so on."""

from __future__ import annotations

from ..cluster import object_names
from ..cluster.namespace import Namespace
from ..config.options import RunOptions
from ..manifest.task_pod import SELECTOR, TaskPod

TASK = "task"  # a task has its own name, which may differ from the name of its pod


def known_names(kind: str, options: RunOptions) -> list[str]:
    """Return the names of a kind that are known now; read newer ones in the background.

    Args:
        kind: A key of ``object_names.RESOURCES``, "context" or "task"; any other kind has no names.
        options: Options with the kubeconfig context and the namespace to use.
    """
    where = options.context, options.namespace
    if kind == TASK:
        return object_names.known_names(kind, *where, _read_task_names)
    if kind == "context" or kind in object_names.RESOURCES:
        return object_names.known_names(kind, *where)
    return []


def read_names(kind: str, options: RunOptions) -> list[str]:
    """Return the names of a kind; wait for the API server.

    Args:
        kind: A key of ``object_names.RESOURCES``.
        options: Options with the kubeconfig context and the namespace to use.
    """
    return object_names.read_names(kind, options.context, options.namespace)


async def _read_task_names(ns: Namespace) -> list[str]:
    listed = await ns.pods.list(SELECTOR)
    return sorted({TaskPod(pod).alias for pod in listed["items"]})
