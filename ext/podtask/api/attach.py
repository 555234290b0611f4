"""Follow a task again by its name, from this kernel or another one."""

from __future__ import annotations

from ..lifecycle.attach import ExistingRunner
from ..lifecycle.task import Task, all_handles
from .resolve import merge_options


def attach(
    name: str,
    *,
    namespace: str | None = None,
    context: str | None = None,
    results: str | None = None,
    trust: bool = False,
) -> Task:
    """Return the handle of a task that any kernel has submitted.

    The handle replays the output so far, then follows the task live. If the pod has ended, the output
    and the result are read from its log. A kernel that has followed the task until now stops following it.

    The function returns at once. If the task does not exist, :meth:`Task.result` raises the error.

    Args:
        name: Name of the pod, or the name given with ``--name``. Your own tasks come first.
        namespace: Namespace of the pod; by default the context's.
        context: Context of the kubeconfig; by default the current one.
        results: ``"plain"`` to unpickle nothing that comes from the pod; by default as the task was submitted.
        trust: Whether to unpickle the values of a task that another user, or you on another machine, has
            submitted. Unpickling runs code that the pod chooses.

    Raises:
        InputError: The name or an option is not valid.
    """
    given = {"namespace": namespace, "context": context, "results": results}
    options = merge_options({key: value for key, value in given.items() if value})
    return Task(ExistingRunner(name, options, trust))


def find_handle(pod_name: str) -> Task | None:
    """Return this kernel's handle of a task; None for a task of another kernel.

    Args:
        pod_name: Name of the task's pod.
    """
    return next((task for task in all_handles() if task.name == pod_name), None)
