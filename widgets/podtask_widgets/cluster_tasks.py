"""Requests to the cluster for the task list; they run on the background event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TypeVar

from podtask.errors import PodtaskError
from podtask.event_loop import loop
from podtask.manage.task_list import TaskRow

T = TypeVar("T")


def run_in_background(
    request: Coroutine[object, object, T],
    on_result: Callable[[T], None],
    on_error: Callable[[str], None],
) -> Future[T]:
    """Start a request and return its future at once.

    Args:
        request: Coroutine to run.
        on_result: Called with the result, in another thread.
        on_error: Called with the error's message, in another thread.
    """

    def finish(future: Future[T]) -> None:
        try:
            result = future.result()
        except PodtaskError as error:
            on_error(str(error))
            return
        on_result(result)

    future = loop().start(request)
    future.add_done_callback(finish)
    return future


def container_names(row: TaskRow) -> list[str]:
    """Return the names of a task's containers, the primary one first and init containers last."""
    spec = row.pod.pod["spec"]
    names = [each["name"] for each in [*spec["containers"], *spec.get("initContainers", [])]]
    return sorted(names, key=lambda name: name != row.pod.primary)
