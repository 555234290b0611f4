"""The module ``podtask`` for an image that does not have it, with the functions that are useful in a pod.

The source of a notebook may ``import podtask`` and decorate functions. In the pod these stay plain
functions. An installed podtask takes precedence; otherwise this module is loaded at the first import. The
notebook's ``podtask.wait_for`` is the function of this module, too.
"""

import socket
import time
from typing import Any, Iterable, List, Tuple

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.02, 0.5  # between two attempts


def wait_for(address: str, timeout: float = 30) -> None:
    """Wait until something listens at an address, such as a sidecar that starts slowly.

    Args:
        address: ``localhost:5432``, ``[::1]:80``.
        timeout: Maximum wait in seconds.

    Raises:
        ValueError: The address has no port.
        TimeoutError: Nothing listens there in time; the message has the error of the last attempt.
    """
    host, port = _parse_address(address)
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            socket.create_connection((host, port), max(0.1, deadline - time.monotonic())).close()
            return
        except OSError as error:
            time_left = deadline - time.monotonic()
            if time_left <= 0:
                raise TimeoutError(
                    f"Nothing listens at {address} after {timeout:g} s ({error}).\n"
                    "See what its container says: `%podtask logs NAME CONTAINER`, or task.logs(CONTAINER)."
                ) from None
        time.sleep(min(pause, time_left))
        pause = min(MAX_PAUSE_SECONDS, pause * 1.5)


def task(template: Any = None, **options: Any) -> Any:
    """Return the function itself, with the methods of a task. In a pod, calling it is an ordinary call."""
    if callable(template) and not options:
        return plain(template)
    return plain


def plain(function: Any) -> Any:
    """Give a function the methods that a task has in the notebook; their calls run in the same pod."""

    def local(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    def calls(
        *iterables: Iterable[Any], workers: int = 1, return_exceptions: bool = False, max_parallel: int = 1
    ) -> List[Any]:
        results: List[Any] = []
        for args in zip(*iterables):  # noqa: B905 -- Python 3.9 has no strict
            try:
                results.append(function(*args))
            except Exception as error:
                if not return_exceptions:
                    raise
                results.append(error)
        return results

    def submit(*args: Any, **kwargs: Any) -> None:
        name = function.__name__
        raise RuntimeError(
            f"{name}.submit works only in the notebook: a pod cannot start other pods.\n"
            f"In a pod, use {name}(...), {name}.map(...) or {name}.local(...), which run in the same pod."
        )

    function.local, function.map, function.submit = local, calls, submit
    for method in (function.local, function.map, function.submit):
        method.in_place = True  # tells the pickler not to send it
    return function


def _parse_address(address: str) -> Tuple[str, int]:
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not an address. Write host:port, as in localhost:5432.")
    return host.strip("[]"), int(port)


def load(path: str) -> Any:
    """Return the values that ``--results-in`` has written to a file, by name; that of the last expression is ``_``.

    Args:
        path: The file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It was not written by ``--results-in``.
    """
    # Start-up cost: few cells load such a file.
    import importlib

    return importlib.import_module("_podtask_runner.results_file").load(path)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)  # the import system looks for such names
    raise AttributeError(
        f"podtask.{name} works only in the notebook. In a pod, podtask has only load, wait_for and task."
    )


# Both sides find the function there, so a cell that reads the name ``wait_for`` can be sent.
wait_for.__module__ = "podtask"
