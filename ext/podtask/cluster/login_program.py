"""Run functions that read credentials: they may hang, or report a failure only in a log."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import textwrap
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar

from ..runner.safe_text import redact

T = TypeVar("T")
MAX_LINE_CHARS = 300  # of the output of a login program that is shown
MAX_WORDS_CHARS = 4096  # of the output that is read: more than what is shown, so that no token is cut in two

_running: dict[tuple[int, Hashable], concurrent.futures.Future[Any]] = {}


async def run_in_thread(key: Hashable, work: Callable[[], T], seconds: float) -> T:
    """Return the result of a blocking function, run in a daemon thread of its own.

    The default thread pool is not used: a few functions that hang would block all its threads.

    Args:
        key: Identifies the call; a second call with the same key waits for the first one's result.
        work: Function to run.
        seconds: Seconds to wait.

    Raises:
        asyncio.TimeoutError: The function has not returned in time; it keeps running.
    """
    process_key = os.getpid(), key  # a forked child does not have these threads
    shared: concurrent.futures.Future[T] | None = _running.get(process_key)
    if shared is None:
        shared = _running[process_key] = concurrent.futures.Future()
        shared.set_running_or_notify_cancel()  # a caller that gives up does not cancel it for the others
        thread = threading.Thread(
            target=_run, args=(process_key, shared, work), name="podtask-login", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # at the interpreter's end, no thread can be started
            _run(process_key, shared, work)
    future = asyncio.wrap_future(shared)
    try:
        # Not wait_for: on Python 3.10 and 3.11 it may swallow a cancellation of its caller.
        done, _ = await asyncio.wait({future}, timeout=seconds)
    finally:
        future.cancel()
    if not done:
        if _running.get(process_key) is shared:  # the next caller starts again: the login may have been fixed
            del _running[process_key]
        raise asyncio.TimeoutError
    return future.result()


def _run(key: tuple[int, Hashable], shared: concurrent.futures.Future[T], work: Callable[[], T]) -> None:
    try:
        value = work()
    except BaseException as error:  # noqa: BLE001 -- raised by the waiting caller
        _forget(key, shared)
        shared.set_exception(error)
    else:
        _forget(key, shared)
        shared.set_result(value)


def _forget(key: tuple[int, Hashable], shared: concurrent.futures.Future[Any]) -> None:
    if _running.get(key) is shared:
        del _running[key]


@contextlib.contextmanager
def collect_log() -> Iterator[list[str]]:
    """Collect what the client library logs in this thread: it reports a failed login only there.

    The collected messages are not shown in the notebook, and the root logger is not changed.
    """
    collector = _LogCollector()
    root = logging.getLogger()
    handlers_before = list(root.handlers)
    root.addFilter(collector)
    try:
        yield collector.messages
    finally:
        root.removeFilter(collector)
        if collector.messages and not handlers_before:  # logging added a handler for the first message
            for handler in list(root.handlers):
                root.removeHandler(handler)


def one_line(words: object) -> str:
    """Return the output of a program or an error in one line, without anything that may be a token."""
    text = " ".join(str(words)[:MAX_WORDS_CHARS].split()) or type(words).__name__
    return textwrap.shorten(redact(text, long_words=True), MAX_LINE_CHARS, placeholder=" ...")


class _LogCollector(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name != "root" or record.thread != self._thread:
            return True
        self.messages.append(record.getMessage())
        return False
