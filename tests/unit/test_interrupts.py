"""Interrupts are not lost while podtask waits, and go to the task from the moment in which it is created."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from podtask.interrupts import InterruptGuard, WaitEvent, signals_wake_loop


def press_stop() -> None:
    """Send SIGINT to this thread."""
    signal.raise_signal(signal.SIGINT)


def rendered(error: BaseException) -> list[str]:
    """Return the lines that IPython shows of an error."""
    render: Callable[[], list[str]] = error._render_traceback_  # type: ignore[attr-defined]
    return render()


def error_of(action: Callable[[InterruptGuard], None], guard: InterruptGuard) -> BaseException:
    """Return the error that leaves a guarded block."""
    with pytest.raises(BaseException) as raised, guard:  # noqa: PT011 -- any error is to be seen
        action(guard)
    return raised.value


@pytest.fixture(autouse=True)
def _python_handler() -> Iterator[None]:
    """Let Python handle SIGINT: a shell ignores it for what runs in its background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def signal_before_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send SIGINT in the last moment before a selector sleeps."""
    select = selectors.DefaultSelector.select

    def send_and_select(self: Any, timeout: float | None = None) -> Any:
        monkeypatch.setattr(selectors.DefaultSelector, "select", select)
        press_stop()
        return select(self, timeout)

    monkeypatch.setattr(selectors.DefaultSelector, "select", send_and_select)


@pytest.fixture
def ended_by_handler() -> Iterator[WaitEvent]:
    """Install a user's handler of SIGINT; yield the event that it sets."""
    event = WaitEvent()
    before = signal.signal(signal.SIGINT, lambda number, frame: event.set())
    yield event
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("signal_before_sleep")
def test_interrupt_just_before_the_thread_sleeps_is_not_lost() -> None:
    """U1: a lock would sleep on; the selector is woken by the signal's byte."""
    with pytest.raises(KeyboardInterrupt):
        WaitEvent().wait(60)
    assert signal.set_wakeup_fd(-1) == -1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_interrupt_before_signals_wake_the_thread_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """U1: the same for an interrupt that comes as soon as podtask handles interrupts."""
    set_wakeup_fd = signal.set_wakeup_fd

    def press_and_set(fd: int, **options: bool) -> int:
        monkeypatch.undo()
        press_stop()
        return set_wakeup_fd(fd, **options)

    monkeypatch.setattr(signal, "set_wakeup_fd", press_and_set)
    with pytest.raises(KeyboardInterrupt):
        WaitEvent().wait(60)


@pytest.mark.usefixtures("signal_before_sleep")
def test_handler_of_the_user_is_called(ended_by_handler: WaitEvent) -> None:
    """A handler of the user takes part in the waiting, as in any code."""
    assert ended_by_handler.wait(60)


@pytest.mark.usefixtures("signal_before_sleep")
def test_loop_that_handles_signals_is_told_which_came_meanwhile(ended_by_handler: WaitEvent) -> None:
    """The bytes of signals are passed on to the file descriptor that is usually woken."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    try:
        assert ended_by_handler.wait(60)
        assert signal.set_wakeup_fd(before) == writer
        assert os.read(reader, 9) == bytes([signal.SIGINT])
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def test_waiting_has_a_limit() -> None:
    """After the time, or once the event is set, ``wait`` says whether it was set; in any thread."""
    event = WaitEvent()
    assert not event.wait(0)
    event.set()
    assert event.wait()
    found: list[bool] = []
    other = threading.Thread(target=lambda: found.append(event.wait()))
    other.start()
    other.join()
    assert found == [True]


def test_interrupt_that_is_held_goes_to_the_task() -> None:
    """U1: an interrupt between the creation of a task and its view is passed on to the view, as later ones are."""
    pressed: list[int] = []
    with InterruptGuard() as guard:
        guard.hold()
        press_stop()
        guard.handle_with(pressed.append)
        press_stop()
        guard.release("stopped.")
    assert pressed == [1, 2]


@pytest.mark.parametrize("holds", [False, True])
def test_interrupt_is_shown_in_one_line(holds: bool) -> None:
    """U1: before a task exists, and after its end, an interrupt raises KeyboardInterrupt without frames."""

    def stop(guard: InterruptGuard) -> None:
        if holds:
            guard.hold()
            guard.release("stopped; nothing was sent.")
        press_stop()

    error = error_of(stop, InterruptGuard("stopped; nothing was sent."))
    assert rendered(error) == ["KeyboardInterrupt: stopped; nothing was sent."]


def test_interrupt_cancels_a_task_that_nobody_waits_for() -> None:
    """U1: the task is ended, and the cell shows that it was stopped, so that a loop of submissions ends, too."""
    ended: list[str] = []

    def submit(guard: InterruptGuard) -> None:
        guard.hold()
        press_stop()
        guard.end_with(lambda: ended.append("task"), "stopped; train is cancelled.")

    error = error_of(submit, InterruptGuard())
    assert ended == ["task"]
    assert rendered(error) == ["KeyboardInterrupt: stopped; train is cancelled."]


def test_errors_leave_the_guard_as_they_are() -> None:
    """Neither an error nor the cell's own KeyboardInterrupt, which has its frames, becomes another one."""
    own = KeyboardInterrupt("of the cell")
    own._render_traceback_ = list  # type: ignore[attr-defined]

    def fail(guard: InterruptGuard) -> None:
        guard.hold()
        raise error

    for error in (ValueError("x"), own):
        assert error_of(fail, InterruptGuard()) is error
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signal_wakes_a_loop_that_sleeps() -> None:
    """What a handler schedules with ``call_soon`` runs at once, as ipykernel's cancelling of a cell does; twice at a time."""

    async def sleep_until_stopped(loop: asyncio.AbstractEventLoop) -> None:
        stopped = asyncio.Event()
        before = signal.signal(signal.SIGINT, lambda number, frame: loop.call_soon(stopped.set))
        selector: Any = loop._selector  # type: ignore[attr-defined]
        select = selector.select

        def send_and_select(timeout: float | None = None) -> Any:
            if timeout is None:  # the loop has nothing to do
                selector.select = select
                press_stop()
            return select(timeout)

        selector.select = send_and_select
        try:
            with signals_wake_loop():
                with signals_wake_loop():
                    pass
                await stopped.wait()
        finally:
            signal.signal(signal.SIGINT, before)

    async def main() -> None:
        await sleep_until_stopped(asyncio.get_running_loop())

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert signal.set_wakeup_fd(-1) == -1
