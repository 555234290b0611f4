"""What ended tasks leave in the kernel: neither inputs nor displays nor handles."""

from __future__ import annotations

import array
import gc
import queue
import tracemalloc
import weakref
from typing import Any

import podtask
import pytest
from podtask.display import background
from podtask.display.background import DetachedTasks
from podtask.errors import PodtaskError
from podtask.frontend import Status, Terminal
from podtask.lifecycle.task import all_handles

from .scripts import Refuses
from .scripts_many import Pretend
from .user import SECONDS, Play

TASKS = 40
INPUT_BYTES = 1 << 20
MAX_KEPT_BYTES = TASKS * INPUT_BYTES // 10


class QueueTerminal(Terminal):
    """A terminal that reports how a task has ended."""

    ended: queue.SimpleQueue[str] = queue.SimpleQueue()

    def write(self, name: str, text: str) -> None:
        """Write nothing."""

    def show_status(self, status: Status) -> None:
        """Report the last line."""
        if status.ended:
            self.ended.put(status.text)


@pytest.mark.fault(95)
def test_ended_tasks_are_freed(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many detached tasks keep no inputs once they have ended, and are freed when the user lets go of them."""
    server = play(Pretend())
    monkeypatch.setattr(background, "current_screen", lambda outlives_cell: QueueTerminal())
    detached = DetachedTasks()
    inputs: list[weakref.ref[array.array[int]]] = []

    def submit_detached(options: podtask.RunOptions) -> podtask.Task:
        large = array.array("b", bytes(INPUT_BYTES))
        inputs.append(weakref.ref(large))
        task = podtask.submit(len, large, options=options)
        detached.add(task, "_task")
        return task

    podtask.submit("0", options=podtask.RunOptions.of(detach=True)).result(SECONDS)  # imports what tasks need
    tracemalloc.start()
    try:
        tasks = [submit_detached(podtask.RunOptions.of(detach=True)) for _ in range(TASKS)]
        for task in tasks:
            task.wait(SECONDS)
            QueueTerminal.ended.get(timeout=SECONDS)
        server.pods.history.clear()  # copies that the server of the test keeps in this process
        gc.collect()
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {task.status for task in tasks} == {"ok"}
    assert [each() for each in inputs] == [None] * TASKS
    assert kept_bytes < MAX_KEPT_BYTES
    print("bytes kept for each of", TASKS, "ended tasks:", kept_bytes // TASKS)
    assert {name for name, (_, size) in tasks[0].inputs.items() if size > INPUT_BYTES}
    assert set(all_handles()) >= set(tasks)
    handles = [weakref.ref(task) for task in tasks]
    del task, tasks
    gc.collect()
    assert [each() for each in handles] == [None] * TASKS


class Forbidden(Refuses):
    """No pod may be created."""

    code, message, reason, wanted = 403, "pods is forbidden", "Forbidden", 9


@pytest.mark.fault(95)
@pytest.mark.parametrize("script", [Forbidden(), Pretend(2)], ids=["refused", "cancelled"])
def test_task_without_a_result_is_freed(play: Play, script: Any) -> None:
    """A task that never ran, or was cancelled, keeps no inputs, whatever its error refers to."""
    play(script)
    large = array.array("b", bytes(INPUT_BYTES))
    alive = weakref.ref(large)
    task = podtask.submit(len, large, options=podtask.RunOptions())
    del large
    if isinstance(script, Pretend):
        next(update for update in iter(task.updates.get, None) if task.running())
        assert task.cancel()
    assert isinstance(task.error if task.wait(SECONDS) else None, (PodtaskError, Exception))
    gc.collect()
    assert alive() is None
