"""The tasks there are: those of this kernel, and those in the cluster."""

from __future__ import annotations

from ..display.background import detached
from ..lifecycle.attach import ExistingRunner
from ..lifecycle.task import Task
from .resolve import merge_options


def attach(name: str, *, namespace: str | None = None, context: str | None = None) -> Task:
    """Returns the handle of a task that this kernel, an earlier or another one has submitted.

    What was printed so far is replayed, then it goes on live. A pod that has ended is read from
    its log. Who else follows the task is told that it was taken over.

    Args:
        name: of the pod, or the one given with ``--as``.
        namespace: of the pod; the context's without.
        context: of the kubeconfig; the current one without.

    Returns:
        At once; what cannot be found is told by :meth:`Task.result`.

    Raises:
        InputError: the name, or an option, is none.
    """
    where = {"namespace": namespace, "context": context}
    return Task(ExistingRunner(name, merge_options({k: v for k, v in where.items() if v})))


def find_detached_task(pod_name: str) -> Task | None:
    """Return this kernel's handle of a detached task; None for a task of another kernel.

    Args:
        pod_name: Name of the task's pod.
    """
    return next((task for task in detached().tasks if task.name == pod_name), None)
