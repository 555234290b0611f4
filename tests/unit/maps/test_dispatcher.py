"""Which worker gets which item, and how many workers there are."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any, cast

import pytest
from podtask.channel.item_channel import Item, ItemResult
from podtask.maps.dispatcher import ItemDispatcher
from podtask.maps.item_output import ItemOutput
from podtask.maps.progress import ItemState
from podtask.maps.results import MapResults
from podtask.maps.worker import WorkerListener

pytestmark = pytest.mark.feature("N10")


class Worker:
    """A worker that takes one item at a time; the test says when it is ready and when an item ends."""

    def __init__(self, listener: WorkerListener) -> None:
        self._listener: Any = listener
        self.open: deque[int] = deque()
        self.is_ready = self.ends = self.retires = self.is_interrupted = False
        self.task = SimpleNamespace(where="pod w", add_done_callback=lambda _: None)

    @property
    def room(self) -> int:
        return 0 if self.ends or self.retires or not self.is_ready else 1 - len(self.open)

    def send(self, item: Item) -> None:
        self.open.append(item.index)

    def end(self) -> None:
        self.ends = True

    def become_ready(self) -> None:
        self.is_ready = True
        self._listener.on_ready(self)

    def finish_item(self) -> None:
        index = self.open.popleft()
        self._listener.on_result(self, ItemResult(index=index, data=b"", end=None, seconds=0.1))


class Map:
    """A dispatcher of some items, and the workers that it has started."""

    def __init__(self, items: int, workers: int) -> None:
        self.started: list[Worker] = []
        self.results = MapResults(items, lambda error: "")
        self.dispatcher = ItemDispatcher(
            [cast(Item, SimpleNamespace(index=index)) for index in range(items)],
            self.results,
            ItemOutput(),
            self._start,
            first_error=False,
            reruns_lost=False,
            on_change=lambda: None,
        )
        self.dispatcher.start(workers)

    @property
    def going(self) -> list[Worker]:
        """The workers that take items, now or once they are ready."""
        return [worker for worker in self.started if not worker.ends and not worker.retires]

    def _start(self, listener: WorkerListener) -> Any:
        self.started.append(Worker(listener))
        return self.started[-1]


def test_fewer_workers_end_those_that_have_not_started_at_once() -> None:
    """Pods that wait for a node leave the queue; the workers that run keep their items."""
    made = Map(items=20, workers=6)
    for worker in made.started[:2]:
        worker.become_ready()
    made.dispatcher.scale(2)
    assert [worker.ends for worker in made.started] == [False, False, True, True, True, True]
    assert made.going == made.started[:2]
    assert [list(worker.open) for worker in made.going] == [[0], [1]]


def test_running_worker_that_is_one_too_many_ends_after_its_item() -> None:
    """It gets no further item, and ends when it has run the one that it has."""
    made = Map(items=20, workers=2)
    first, second = made.started
    first.become_ready()
    second.become_ready()
    made.dispatcher.scale(1)
    last = first if first.retires else second
    assert not last.ends
    last.finish_item()
    assert last.ends
    assert not last.open
    assert len(made.going) == 1


def test_more_workers_after_fewer_keep_those_that_were_to_end() -> None:
    """A worker that still runs an item goes on, and no other is started in its place."""
    made = Map(items=20, workers=3)
    for worker in made.started:
        worker.become_ready()
    made.dispatcher.scale(1)
    made.dispatcher.scale(3)
    assert made.going == made.started
    assert len(made.started) == 3
    made.dispatcher.scale(5)
    assert len(made.started) == len(made.going) == 5


def test_no_more_workers_than_items_wait_are_started() -> None:
    """Workers without an item would only wait."""
    made = Map(items=3, workers=1)
    made.started[0].become_ready()
    made.dispatcher.scale(10)
    assert len(made.started) == 3


def test_item_that_runs_again_keeps_the_place_of_the_others() -> None:
    """A reader of the order of ends misses no item when one before its place runs again."""
    made = Map(items=3, workers=1)
    made.started[0].become_ready()
    for _ in range(3):
        made.started[0].finish_item()
    assert made.results.order == [0, 1, 2]
    made.dispatcher.run_again([1])
    assert made.results.order == [0, None, 2]
    assert not made.results.has(1)
    assert made.results.done == 2
    assert list(made.results.states([1])) == [ItemState.SUCCEEDED, ItemState.RUNNING, ItemState.SUCCEEDED]
