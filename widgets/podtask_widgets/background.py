"""Requests to the cluster, which run on the background event loop; an error is shown where the user looks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TypeVar

from podtask.errors import PodtaskError
from podtask.event_loop import loop

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
            on_result(future.result())
        except Exception as error:  # noqa: BLE001 -- a callback has no caller: its traceback would be in the notebook
            on_error(describe(error))

    future = loop().start(request)
    future.add_done_callback(finish)
    return future


def describe(error: Exception) -> str:
    """Return an error as text for the user: podtask's own as they are, others with their type."""
    known = isinstance(error, PodtaskError)
    return str(error if known else PodtaskError(f"unexpected {type(error).__name__}: {error}"))
