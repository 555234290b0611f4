"""The background event loop goes on whatever is raised in it, and never waits for itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest
from podtask import event_loop
from podtask.errors import InputError
from podtask.event_loop import Loop


class Abort(BaseException):
    """An exception that is not an Exception."""


@pytest.fixture
def loop() -> Iterator[Loop]:
    """Yield a loop of the test's own."""
    made = Loop()
    yield made
    made.clean_up()  # its thread does not outlive the test


def thrower(error: BaseException) -> Callable[[], None]:
    """Return a function that raises an error."""

    def throw() -> None:
        raise error

    return throw


@pytest.mark.fault(97)
@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), Abort(), ValueError()], ids=repr)
def test_no_exception_ends_the_loop(loop: Loop, error: BaseException) -> None:
    """After an exception in a callback or a task of the loop, the other tasks go on."""
    gate = asyncio.Event()

    async def wait_for_gate() -> int:
        await gate.wait()
        return 7

    async def fail() -> None:
        raise error

    waits = loop.start(wait_for_gate())
    loop.call_soon(thrower(error))
    with pytest.raises(type(error)):
        loop.run(fail())
    loop.call_soon(gate.set)
    assert waits.result(60) == 7


@pytest.mark.fault(97)
def test_stopped_loop_goes_on(loop: Loop) -> None:
    """A stop of the loop from outside does not end it."""
    loop.call_soon(loop.event_loop.stop)
    assert loop.run(asyncio.sleep(0, 7)) == 7


@pytest.mark.fault(97)
def test_dead_thread_is_started_again(loop: Loop) -> None:
    """A loop whose thread has ended gets another thread at the next use, and keeps its tasks."""
    gate = asyncio.Event()
    waits = loop.start(gate.wait())
    dead = threading.Thread(target=int)
    dead.start()
    dead.join()
    ours, loop._thread = loop._thread, dead
    loop._exiting = True
    loop.event_loop.call_soon_threadsafe(loop.event_loop.stop)
    ours.join(60)
    loop._exiting = False
    loop.call_soon(gate.set)
    assert waits.result(60) is True


@pytest.mark.fault(97)
def test_closed_loop_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that was closed is replaced by a new one."""
    monkeypatch.setattr(event_loop, "_current", None)
    first = event_loop.loop()
    assert event_loop.loop() is first
    first._exiting = True
    first.event_loop.call_soon_threadsafe(first.event_loop.stop)
    first._thread.join(60)
    first.event_loop.close()
    first._exiting = False
    second = event_loop.loop()
    assert second is not first
    assert second.run(asyncio.sleep(0, 7)) == 7
    second.clean_up()  # its thread does not outlive the test


@pytest.mark.fault(96)
def test_waiting_in_the_loops_own_thread_is_refused(loop: Loop) -> None:
    """A call that waits for the loop is refused in the loop's thread, in place of stopping all tasks for good."""

    async def wait_for_itself() -> int:
        return loop.run(asyncio.sleep(0, 7))

    with pytest.raises(InputError, match="was made in the thread of that loop") as caught:
        loop.run(wait_for_itself())
    assert "add_done_callback" in caught.value.hint
    assert loop.run(asyncio.sleep(0, 7)) == 7
