"""Programs and files that give credentials: they may hang, fail, and say why where nobody looks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import re
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
# What may be a token, in the words of who was to give one: a JSON web token, or one long word.
SECRET = re.compile(r"eyJ[\w.-]{16,}|[\w+/=-]{40,}")

_asked: dict[tuple[int, Hashable], concurrent.futures.Future[Any]] = {}


async def aside(key: Hashable, work: Callable[[], T], seconds: float) -> T:
    """Returns what blocking work comes to, in a thread that the interpreter's end does not wait for.

    It is no thread of the pool, in which results are unpacked: a few that hang would fill that.

    Args:
        key: who asks for the same meanwhile waits for the work that is under way.
        work: what blocks.
        seconds: to wait.

    Raises:
        asyncio.TimeoutError: it has not ended; it is not stopped by that.
    """
    ours = os.getpid(), key  # a forked child has none of these threads
    found: concurrent.futures.Future[T] | None = _asked.get(ours)
    if found is None:
        found = _asked[ours] = concurrent.futures.Future()
        found.set_running_or_notify_cancel()  # who gives up does not cancel it for the others
        doing = threading.Thread(target=_do, args=(ours, found, work), name="podtask-login", daemon=True)
        try:
            doing.start()
        except RuntimeError:  # the interpreter ends, and has no threads for a last deletion
            _do(ours, found, work)
    future = asyncio.wrap_future(found)
    try:
        # No wait_for, which on Python 3.10 and 3.11 may swallow that its caller is cancelled.
        done, _ = await asyncio.wait({future}, timeout=seconds)
    finally:
        future.cancel()
    if not done:
        if _asked.get(ours) is found:  # who asks next asks anew: the login may have been mended
            del _asked[ours]
        raise asyncio.TimeoutError
    return future.result()


def _do(key: tuple[int, Hashable], into: concurrent.futures.Future[T], work: Callable[[], T]) -> None:
    try:
        value = work()
    except BaseException as error:  # noqa: BLE001 -- it ends up at who waits
        _forget(key, into)
        into.set_exception(error)
    else:
        _forget(key, into)
        into.set_result(value)


def _forget(key: tuple[int, Hashable], asked: concurrent.futures.Future[Any]) -> None:
    if _asked.get(key) is asked:
        del _asked[key]


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """Collects what the client library logs in this thread: of a program that fails it says no more.

    What is collected is not shown by the logging of the notebook, nor sets that up.
    """
    ear = _Ear()
    root = logging.getLogger()
    before = list(root.handlers)
    root.addFilter(ear)
    try:
        yield ear.words
    finally:
        root.removeFilter(ear)
        if ear.words and not before:  # the first word makes one, which is the notebook's to do
            for made in list(root.handlers):
                root.removeHandler(made)


def said(words: object) -> str:
    """Returns what a program or an error has said, in one line and without what may be a token."""
    text = " ".join(str(words).split()) or type(words).__name__
    return SECRET.sub("...", text)[:300]


class _Ear(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name != "root" or record.thread != self._thread:
            return True
        self.words.append(record.getMessage())
        return False
