"""Code of the user that is called while a task runs or ends: it may use every task, and may fail."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from concurrent.futures import ALL_COMPLETED, as_completed, wait
from pathlib import Path
from typing import Any, NoReturn

import podtask
import pytest
from podtask.backends.base import Phase
from podtask.display import background
from podtask.display.background import DetachedTasks
from podtask.errors import InputError
from podtask.frontend import Status
from podtask.lifecycle.task import all_handles
from podtask.lifecycle.updates import Update
from podtask.runner import protocol

LOCAL = podtask.RunOptions.of(local=True)
FOREVER = "import signal\nsignal.pause()"
SECONDS = 60
sleep = podtask.task(local=True)(time.sleep)  # the tests end it


class Abort(BaseException):
    """An exception that is not an Exception."""


@pytest.mark.fault(96)
@pytest.mark.feature("P02")
def test_callback_may_call_any_method_of_any_task() -> None:
    """A callback asks its own task's pod, ends another task and waits for it, and everything goes on."""
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    other = podtask.submit(FOREVER, options=LOCAL)
    task = podtask.submit("print('out')\n40 + 2", options=LOCAL)

    def ask(ended: podtask.Task) -> None:
        told.put((ended.logs(), "out" in ended.logs("main"), ended.events(), ended.result()))
        ended.delete()
        told.put((other.cancel(), other.wait(SECONDS)))

    task.add_done_callback(ask)
    assert told.get(timeout=SECONDS) == ("out\n", True, [], 42)
    assert told.get(timeout=SECONDS) == (True, True)
    assert podtask.submit("7", options=LOCAL).result(SECONDS) == 7


@pytest.mark.fault(96, 97)
def test_callbacks_run_in_order_whatever_they_raise(caplog: pytest.LogCaptureFixture) -> None:
    """Callbacks run in their order, outside the event loop; an error of any kind is logged as for any future."""
    told: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    task = podtask.submit(FOREVER, options=LOCAL)

    def add(number: int, error: BaseException | None) -> None:
        def call(_: podtask.Task) -> None:
            told.put((number, threading.current_thread().name))
            if error is not None:
                raise error

        task.add_done_callback(call)

    for number, error in enumerate([SystemExit(1), KeyboardInterrupt(), Abort(), ValueError(), None]):
        add(number, error)
    with caplog.at_level(logging.ERROR, "concurrent.futures"):
        assert task.cancel()
        assert [told.get(timeout=SECONDS) for _ in range(5)] == [
            (number, "podtask-callbacks") for number in range(5)
        ]
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [
        SystemExit,
        KeyboardInterrupt,
        Abort,
        ValueError,
    ]
    add(5, ValueError())  # after the end: here and now, and logged
    assert told.get(timeout=SECONDS) == (5, threading.current_thread().name)


@pytest.mark.fault(96)
def test_futures_complete_while_a_callback_runs() -> None:
    """wait() and as_completed() do not wait for callbacks."""
    gate = threading.Event()
    task = podtask.submit("7", options=LOCAL)
    task.add_done_callback(lambda _: gate.wait(SECONDS))
    assert wait([task], SECONDS, ALL_COMPLETED).done == {task}
    assert [each.result() for each in as_completed([task], SECONDS)] == [7]
    gate.set()


@pytest.mark.fault(96, 97)
def test_listener_in_the_event_loop_cannot_stop_it(tmp_path: Path) -> None:
    """A listener may read the output; what would wait for the loop is refused; SystemExit ends nothing."""
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    task = podtask.submit(f"open({str(gate)!r}).close()\ninput()", options=LOCAL)

    def misuse(update: Update) -> None:
        if update.frame is None or update.frame.kind != protocol.INPUT_REQUEST:
            return
        told.put(task.logs())
        for call in (task.wait, task.result, task.cancel, task.delete, lambda: task.logs("main")):
            try:
                call()
            except InputError as error:
                told.put(error.message)
        raise SystemExit

    task.update_log.listen(misuse)
    gate.write_text("")
    assert told.get(timeout=SECONDS) == ""
    for _ in range(5):
        assert "in the thread of that loop" in told.get(timeout=SECONDS)
    task.reply({"value": "hello"})
    assert task.result(SECONDS) == "hello"


class RecordingScreen:
    """A screen that records its lines; the task named "broken" ends the thread that writes there.

    Args:
        error: Raised by each attempt to write.
    """

    folds = True

    def __init__(self, error: BaseException | None = None) -> None:
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._error = error

    def write(self, name: str, text: str) -> None:
        """Record a text, or fail."""
        self.lines.put(text)
        if self._error is not None:
            raise self._error

    def show_status(self, status: Status) -> None:
        """Record a status line."""
        self.lines.put(status.lines[0])

    def show_line(self, text: str) -> None:
        """Record a line."""
        self.lines.put(text)


@pytest.mark.fault(97, 100)
def test_detached_tasks_are_shown_after_a_failure_and_cost_nothing_after_their_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SystemExit in a display ends the view of its task only; a late report of an ended task is dropped."""
    screens = [RecordingScreen(SystemExit(1)), RecordingScreen(), RecordingScreen()]
    waiting = list(screens)
    monkeypatch.setattr(background, "current_screen", lambda outlives_cell: waiting.pop(0))
    detached = DetachedTasks()

    def show(text: str) -> podtask.Task:
        task = podtask.submit(f"print({text!r})", options=LOCAL)
        detached.add(task, "_task")
        return task

    def wait_for(screen: RecordingScreen, text: str) -> None:
        while text not in screen.lines.get(timeout=SECONDS):
            pass

    show("first")
    wait_for(screens[0], "first")
    second = show("second")
    wait_for(screens[1], "second")
    wait_for(screens[1], "✓ ")
    phases = second.phases
    second._follower.on_note("late")
    second._follower.on_phase(Phase("Left", "it could not be deleted"))
    third = show("third")
    wait_for(screens[2], "third")
    wait_for(screens[2], "✓ ")
    assert screens[1].lines.empty()
    assert detached._views == []
    assert second.phases == phases
    assert [second.status, third.status] == ["ok", "ok"]


@pytest.mark.fault(99)
def test_map_sends_nothing_if_a_call_cannot_be_sent() -> None:
    """If a call cannot be sent, map starts no worker, and its error names the call and the argument."""
    before = all_handles()
    with pytest.raises(InputError) as caught:
        sleep.map([9999, 9999, threading.Lock()])
    assert caught.value.message.startswith("Call 3 of 3: The 1st argument of sleep (lock)")
    assert [task for task in all_handles() if task not in before] == []


class Abrupt:
    """An object whose pickling ends with SystemExit."""

    def __reduce__(self) -> NoReturn:
        raise SystemExit("no")


@pytest.mark.fault(97, 99)
@pytest.mark.parametrize("return_exceptions", [False, True])
def test_map_ends_what_it_has_sent_after_any_error(return_exceptions: bool) -> None:
    """SystemExit while a call is packed, or an input over the limit, ends the others, too."""
    with pytest.raises(SystemExit, match="no"):
        sleep.map([9999, Abrupt()], return_exceptions=return_exceptions)
    limited = sleep.with_options(max_input="1Mi")
    with pytest.raises(InputError, match=r"Call 2 of 2: .* over the limit of 1 MiB"):
        limited.map([9999, bytes(2 << 20)], return_exceptions=return_exceptions)
