"""Hand out the items of a map to its workers, and decide what becomes of those that are lost. No I/O of its own."""

from __future__ import annotations

import concurrent.futures
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ..channel.item_channel import Item, ItemResult
from ..errors import Lost, ended_by_user
from ..event_loop import loop
from ..runner import protocol
from .item_output import ItemOutput
from .worker import MapWorker, WorkerListener

log = logging.getLogger(__name__)
MAX_LOST_RUNS = 3  # of one item; one that kills each worker must not go on for ever
# Status of a worker whose runner has reported its end: of its items, only the first one may have run.
REPORTED = (
    protocol.STATUS_OK,
    protocol.STATUS_ERROR,
    protocol.STATUS_CRASHED,
    protocol.STATUS_TIMEOUT,
    protocol.STATUS_TERMINATED,
)


class ItemResults(Protocol):
    """Takes what becomes of the items; called in the event loop."""

    @property
    def done(self) -> int:
        """How many items have ended."""

    def has(self, index: int) -> bool:
        """Return whether an item has ended."""

    def add(self, result: ItemResult, where: str) -> None:
        """Add the result of an item."""

    def add_error(self, index: int, error: BaseException) -> None:
        """Add the error of an item that has no result."""

    def add_stopped(self, index: int, error: BaseException) -> None:
        """Note that an item does not run to its end."""

    def discard(self, index: int) -> None:
        """Forget the result of an item, which runs again."""


class ItemDispatcher:
    """Hands out items. Everything but the constructor runs in the event loop.

    Args:
        items: The items.
        results: Takes the results.
        output: Takes the output.
        new_worker: Starts a worker.
        first_error: Whether the first error ends the map.
        reruns_lost: Whether an item that was lost with its worker runs again.
        on_change: Called after each change.

    Attributes:
        workers: The workers that have not ended.
        first_failed: Index of the item that has failed first; None if none has.
        failure: Why no worker can be started; None while one can.
        start_failures: The errors of workers that have ended before they took an item, since workers were last asked for.
        began: When the first worker was ready (monotonic); None before.
    """

    noun = "Item"  # for messages
    lost_hint = "Run it again with m.retry(), or by itself with --retry-on lost (retry_on='lost')."
    is_open = False  # whether items may follow, so that workers without items stay

    def __init__(
        self,
        items: Sequence[Item],
        results: ItemResults,
        output: ItemOutput,
        new_worker: Callable[[WorkerListener], MapWorker],
        first_error: bool,
        reruns_lost: bool,
        on_change: Callable[[], None],
    ) -> None:
        self.workers: list[MapWorker] = []
        self.first_failed: int | None = None
        self.failure: BaseException | None = None
        self.start_failures: list[BaseException] = []
        self.began: float | None = None
        self.ended_at: float | None = None
        self._items = items
        self._results = results
        self._output = output
        self._new_worker = new_worker
        self._first_error = first_error
        self._reruns_lost = reruns_lost
        self._on_change = on_change
        self._waiting = deque(range(len(items)))
        self._lost_runs: dict[int, int] = {}
        self._size = 0  # how many workers there are to be
        self._is_stopped = False

    @property
    def is_settled(self) -> bool:
        """Whether every item has a result or an error."""
        return self._results.done == len(self._items)

    @property
    def has_ended(self) -> bool:
        """Whether every item has ended, and every worker."""
        return self.is_settled and not self.workers

    def start(self, size: int) -> None:
        """Start workers.

        Args:
            size: How many there are to be; no more are started than items wait.
        """
        self._size = size
        self._fill()

    def scale(self, size: int) -> None:
        """Change the number of workers: start new ones, or let some end when they have run what they have.

        Of those that are too many, the ones that have not started end first, and at once.
        """
        self._size = size
        self.start_failures = []
        going = [worker for worker in self.workers if not worker.ends]
        going.sort(key=lambda each: (each.is_ready, not each.retires, len(each.open)))
        surplus = max(0, len(going) - size)
        for worker in going[:surplus]:
            worker.retires = True
            if not worker.is_ready:
                worker.end()
        for worker in going[surplus:]:
            worker.retires = False  # it may have been one too many before
        self._distribute()

    def run_again(self, indexes: Sequence[int]) -> None:
        """Run items again that have ended."""
        self._is_stopped, self.first_failed, self.failure = False, None, None
        self.ended_at = None
        self.start_failures = []
        for index in indexes:
            self._results.discard(index)
            self._lost_runs.pop(index, None)
            self._waiting.append(index)
        self._distribute()

    def stop(self, number: int) -> None:
        """Interrupt the items that run, and run no others; from the second time on, end the workers at once."""
        self._is_stopped = True
        self._waiting.clear()
        for worker in list(self.workers):
            if number == 1:
                worker.interrupt()
            else:
                worker.task.cancel_nowait()
        self._settle_stopped()

    # -- what workers report -----------------------------------------------------------------------

    def on_ready(self, worker: MapWorker) -> None:
        """Send the first item to a worker."""
        if self.began is None:
            self.began = time.monotonic()
        self._feed(worker)
        self._on_change()

    def on_result(self, worker: MapWorker, result: ItemResult) -> None:
        """Receive the result of an item."""
        if result.is_interrupted and not self._is_stopped:
            worker.is_interrupted = True  # its pod is being terminated, or its time is over: its end says why
            worker.open.appendleft(result.index)
            return
        if not self._results.has(result.index):
            self._results.add(result, worker.task.where)
            if result.is_error:
                self._on_failure(result.index)
        self._feed(worker)
        self._after_change()

    def on_result_dropped(self, worker: MapWorker, index: int) -> None:
        """Receive the index of an item whose result the runner could not keep."""
        reason = "the connection was cut, and its runner had no room for the result"
        self._lose(index, reason, worker)
        self._feed(worker)
        self._after_change()

    def on_output(self, index: int, data: bytes) -> None:
        """Receive output of an item."""
        self._output.add(index, data)

    def on_worker_end(self, worker: MapWorker) -> None:
        """Decide what becomes of the items of a worker that has ended."""
        self.workers.remove(worker)
        task, still_open = worker.task, list(worker.open)
        error = task.error
        log.debug("worker %s has ended: %s; open items: %s", task.name, task.status, still_open)
        if self._is_stopped:
            self._settle_stopped()
        elif still_open:
            reason = _reason(error)
            if task.status in REPORTED:
                self._waiting.extendleft(reversed(still_open[1:]))  # a worker runs its items in order
                del still_open[1:]
            for index in still_open:
                self._lose(index, reason, worker)
        elif not worker.is_ready and not worker.ends and error is not None:
            self.start_failures.append(error)
            if not self.workers:
                self.failure = error
        if self.failure is not None:
            self._fail_waiting(self.failure)
        elif worker.is_ready or worker.ends:
            self._distribute()
        self._after_change()

    # -- items and workers -------------------------------------------------------------------------

    def _distribute(self) -> None:
        for worker in list(self.workers):
            self._feed(worker)
        self._fill()

    def _feed(self, worker: MapWorker) -> None:
        """Send a worker what it has room for; let it end if nothing is left for it."""
        while worker.room > 0 and (item := self._next_item()) is not None:
            worker.send(item)
        is_over = not self._waiting and not self.is_open
        if worker.is_ready and not worker.open and (worker.retires or is_over):
            worker.end()

    def _next_item(self) -> Item | None:
        """Return the item that runs next, which waits no longer; None if none waits."""
        return self._items[self._waiting.popleft()] if self._waiting else None

    def _fill(self) -> None:
        """Start as many workers as are missing, but no more than items wait for one."""
        taking = [worker for worker in self.workers if not worker.ends and not worker.retires]
        starting = sum(not worker.is_ready for worker in taking)
        missing = min(self._size - len(taking), len(self._waiting) - starting)
        for _ in range(missing if not self._is_stopped else 0):
            worker = self._new_worker(self)
            self.workers.append(worker)
            worker.task.add_done_callback(
                lambda _, each=worker: loop().call_soon(lambda: self.on_worker_end(each))  # type: ignore[misc]
            )

    def _after_change(self) -> None:
        if not self._waiting and not self.is_open:
            for worker in list(self.workers):
                if not worker.is_ready:
                    worker.end()  # nothing is left for it
        if self.has_ended and self.ended_at is None:
            self.ended_at = time.monotonic()
        self._on_change()

    def _on_failure(self, index: int) -> None:
        if self.first_failed is None and not self._is_stopped:
            self.first_failed = index
            if self._first_error:
                self.stop(2)

    def _lose(self, index: int, reason: str, worker: MapWorker) -> None:
        """Run an item again that was lost, or give it its error."""
        runs = self._lost_runs[index] = self._lost_runs.get(index, 0) + 1
        if self._reruns_lost and runs < MAX_LOST_RUNS:
            self._waiting.appendleft(index)
            return
        again = f" It has been lost {runs} times." if runs > 1 else ""
        where = worker.task.where
        where = f" ({where})" if where and where not in reason else ""
        self._results.add_error(
            index,
            Lost(f"{self.noun} {index} was lost with its worker{where}: {reason}.{again}", self.lost_hint),
        )
        self._on_failure(index)

    def _fail_waiting(self, error: BaseException) -> None:
        while self._waiting:
            index = self._waiting.popleft()
            self._results.add_error(index, error)
            self._on_failure(index)

    def _settle_stopped(self) -> None:
        """Give the items that no worker has any longer the error that says that the map was stopped."""
        held = {index for worker in self.workers for index in worker.open}
        for index in range(len(self._items)):
            if not self._results.has(index) and index not in held:
                text = f"the map was stopped before item {index} had ended."
                self._results.add_stopped(index, ended_by_user(concurrent.futures.CancelledError, text))
        self._after_change()


def _reason(error: BaseException | None) -> str:
    """Return how a worker has ended, in words, without a full stop."""
    if error is None:
        return "its process ended"
    return str(getattr(error, "message", error)).partition("\n")[0].rstrip(".")
