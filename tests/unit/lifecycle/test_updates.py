"""The log of updates: in order for each subscriber, nothing after the end, and no deadlock."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
from podtask.lifecycle.updates import Update, UpdateLog
from podtask.runner import protocol

SECONDS = 60


def note(text: str) -> Update:
    """Return a note."""
    return Update("note", text)


def display(text: bytes, kind: int = protocol.DISPLAY, **meta: Any) -> Update:
    """Return a frame."""
    return Update("frame", frame=protocol.Frame(kind, 1, meta, text))


def in_thread(call: Callable[[], object]) -> None:
    """Call a function in a thread; fail if it does not return."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), "deadlock"


@pytest.mark.fault(96)
def test_subscriber_may_use_the_log() -> None:
    """A subscriber may read the output, subscribe and unsubscribe while it is called."""
    log, seen = UpdateLog(), []

    def once(update: Update) -> None:
        seen.append((update.text, log.output()))
        log.subscribe(lambda each: seen.append((each.text, b"")))
        log.unsubscribe(once)

    log.append(display(b"out", protocol.STREAM, name="stdout"))
    in_thread(lambda: log.subscribe(once))
    in_thread(lambda: log.append(note("last")))
    assert seen[0] == ("", b"out")
    assert ("last", b"") in seen
    assert ("last", b"out") not in seen


@pytest.mark.fault(96)
def test_slow_subscriber_delays_neither_the_task_nor_others() -> None:
    """While a subscriber is replayed the past in one thread, another thread appends; its order is kept."""
    log, entered, gate = UpdateLog(), threading.Event(), threading.Event()
    seen: queue.SimpleQueue[str] = queue.SimpleQueue()

    def slow(update: Update) -> None:
        entered.set()
        gate.wait(SECONDS)
        seen.put(update.text)

    log.append(note("1"))
    replay = threading.Thread(target=log.subscribe, args=(slow,), daemon=True)
    replay.start()
    assert entered.wait(SECONDS)
    in_thread(lambda: log.append(note("2")))
    in_thread(lambda: log.append(Update("done")))
    gate.set()
    assert [seen.get(timeout=SECONDS) for _ in range(3)] == ["1", "2", ""]


@pytest.mark.fault(97)
@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), ValueError()], ids=repr)
def test_broken_subscriber_gets_no_more_updates(error: BaseException) -> None:
    """A subscriber that raises ends neither the task nor other subscribers."""
    log, broken, seen = UpdateLog(), [], []

    def throw(update: Update) -> None:
        broken.append(update.text)
        raise error

    log.subscribe(throw)
    log.subscribe(lambda update: seen.append(update.text))
    log.append(note("1"))
    log.append(note("2"))
    assert (broken, seen) == (["1"], ["1", "2"])


@pytest.mark.fault(100)
@pytest.mark.parametrize("late", [note("late"), Update("phase", "Left"), Update("done")], ids=str)
def test_update_after_the_end_is_dropped(late: Update) -> None:
    """Nothing follows the last update, neither for subscribers so far nor for later ones."""
    log = UpdateLog()
    early: list[Update] = []
    after: list[Update] = []
    log.subscribe(early.append)
    log.append(Update("done"))
    log.append(late)
    log.subscribe(after.append)
    assert early == after == [Update("done")]


@pytest.mark.fault(95)
def test_shown_displays_are_dropped_and_the_output_is_kept() -> None:
    """What a view has shown is freed once the task has ended, but for the text that logs() returns."""
    log = UpdateLog()
    left: list[Update] = []
    for update in (display(b"out", protocol.STREAM, name="stdout"), display(b"{}"), Update("done")):
        log.append(update)
    log.drop_shown()
    log.subscribe(left.append)
    assert [update.frame and update.frame.kind for update in left] == [protocol.STREAM, None]
    assert log.output() == b"out"
