"""What is asked of the cluster for the list of tasks: the tasks, logs, and the end of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from podtask.cluster.client import ApiError
from podtask.cluster.namespace import delete_pod, open_namespace
from podtask.cluster.refusals import denied
from podtask.config.options import RunOptions
from podtask.errors import InputError, PodtaskError
from podtask.event_loop import loop
from podtask.manifest.task_pod import Found
from podtask.runner.supervisor.log_record import MARK

T = TypeVar("T")
LINES = 200


def ask(asked: Coroutine[Any, Any, T], done: Callable[[T], None], failed: Callable[[str], None]) -> None:
    """Asks beside everything else; nobody waits.

    Args:
        asked: of this module's, or of the package's.
        done: called with the answer, in another thread.
        failed: called with what is wrong, in words.
    """

    def ended(future: Future[T]) -> None:
        try:
            found = future.result()
        except PodtaskError as error:
            failed(str(error))
            return
        done(found)

    loop().start(asked).add_done_callback(ended)


async def after(seconds: float, asked: Coroutine[Any, Any, T]) -> T:
    """Returns an answer that is asked for later."""
    try:
        await asyncio.sleep(seconds)
    except BaseException:
        asked.close()
        raise
    return await asked


async def log(found: Found, container: str, options: RunOptions) -> str:
    """Returns the last lines of a container's log.

    Raises:
        PodtaskError: there is none, or it may not be read.
    """
    api, namespace, where = await open_namespace(options.context, options.namespace)
    path = f"/api/v1/namespaces/{namespace}/pods/{found.name}/log"
    try:
        text = await api.text(path, container=container, tailLines=str(LINES))
    except ApiError as error:
        if error.code in (400, 404):
            raise InputError(f"No log of {container!r} yet, or no more.", "Refresh asks again.") from None
        raise denied(error.code, error.message, "get", "pods/log", where) from None
    return "\n".join(line for line in text.splitlines() if not line.startswith(MARK))


async def delete(found: Found, options: RunOptions) -> None:
    """Deletes a task's pod, with the grace that the pod has; gone already is fine.

    Raises:
        PodtaskError: it may not be deleted, or there is no cluster.
    """
    api, namespace, _ = await open_namespace(options.context, options.namespace)
    await delete_pod(api, namespace, found.name)


def containers(found: Found) -> list[str]:
    """Returns the names of a task's containers: the cell's first, then those beside and before it."""
    spec = found.pod["spec"]
    names = [each["name"] for each in [*spec["containers"], *spec.get("initContainers", [])]]
    return sorted(names, key=lambda name: name != found.primary)
