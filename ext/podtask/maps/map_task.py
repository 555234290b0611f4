"""The handle of a map: its results, its failures, and methods to control it.

Every method may be called from any thread but that of podtask's event loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from ..backends.base import Phase
from ..errors import InputError, TaskTimeout
from ..event_loop import clean_up_at_sigterm, loop
from ..interrupts import InterruptGuard, WaitEvent
from ..manage import own_maps
from ..manifest.identity import new_map_name
from ..pickling.exceptions import CallerFrames
from .dispatcher import ItemDispatcher
from .item_output import ItemOutput
from .prepare_map import PreparedMap, check_workers
from .progress import Progress
from .results import MapResults
from .worker import MapWorker, WorkerListener


class MapTask:
    """The handle of a map. Its workers start at once.

    Args:
        prepared: What it sends.
        first_error: Whether the first error ends it.

    Attributes:
        name: Its name, which the pods of its workers have in their label ``podtask/map``.
    """

    stays_here = True  # the search for a part of a value that cannot be pickled stops here

    def __init__(self, prepared: PreparedMap, first_error: bool = False) -> None:
        self.name = new_map_name()
        self._prepared = prepared
        self._waiting: dict[WaitEvent, Callable[[], bool]] = {}
        self._results = MapResults(len(prepared.items), prepared.cell.hint_for)
        self._output = ItemOutput()
        self._dispatcher = ItemDispatcher(
            prepared.items,
            self._results,
            self._output,
            self._new_worker,
            first_error,
            prepared.cell.options.retry_on == "lost",
            self._on_change,
        )
        self._stops = 0
        own_maps.add(self)
        loop().run(self._call(lambda: self._dispatcher.start(prepared.workers)))

    def __reduce__(self) -> NoReturn:
        raise InputError(
            "the handle of a map can only be used in the notebook.",
            "Call results() in the notebook and use its value in the cell.",
        )

    def __repr__(self) -> str:
        return f"<Map: {self.summary}>"

    def __len__(self) -> int:
        return len(self._prepared.items)

    # -- state -------------------------------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        """How far it is."""
        dispatcher, results = self._dispatcher, self._results
        workers = list(dispatcher.workers)
        ready = sum(worker.is_ready for worker in workers)
        phases: list[Phase] = [
            worker.task.phases[-1].phase
            for worker in workers
            if not worker.is_ready and not worker.task.local
        ]
        failures = dispatcher.start_failures
        seconds = 0.0
        if dispatcher.began is not None:
            seconds = (dispatcher.ended_at or time.monotonic()) - dispatcher.began
        return Progress(
            total=results.total,
            done=results.done - len(results.stopped),
            failed=len(results.failed),
            stopped=len(results.stopped),
            workers=ready,
            starting=len(workers) - ready,
            waits_for=next(
                (phase for phase in phases if phase.waiting), None if ready else next(iter(phases), None)
            ),
            start_failures=len(failures),
            start_error=failures[-1] if failures else None,
            seconds=seconds,
            failures=tuple(results.failure_groups()),
            states=results.states(index for worker in workers for index in worker.running),
        )

    @property
    def alias(self) -> str:
        """The name given with ``--name``; empty if it has none."""
        return self._prepared.cell.options.name or ""

    @property
    def has_ended(self) -> bool:
        """Whether all items, and all workers, have ended."""
        return self._dispatcher.has_ended

    @property
    def summary(self) -> str:
        """How far it is, in a few words."""
        results = self._results
        done, failed = results.done - len(results.stopped), len(results.failed)
        return f"{done} of {results.total} done" + (f", {failed} failed" if failed else "")

    @property
    def failed(self) -> dict[int, BaseException]:
        """The errors of the items that have failed or are lost so far, by index."""
        found = {index: self._results.error(index) for index in self._results.failed}
        return {index: error for index, error in found.items() if error is not None}

    @property
    def failed_indexes(self) -> frozenset[int]:
        """The indexes of the items that have no value: failed, lost or stopped."""
        return frozenset([*self._results.failed, *self._results.stopped])

    @property
    def start_error(self) -> BaseException | None:
        """Why no item could run: the error of the last worker, if none has ever started; None otherwise."""
        return self._dispatcher.failure if self._dispatcher.began is None else None

    @property
    def first_error(self) -> BaseException | None:
        """The error of the item that has failed first; None if none has."""
        index = self._dispatcher.first_failed
        return None if index is None else self._results.error(index)

    def error(self, index: int) -> BaseException | None:
        """Return the error of an item that has ended; None if it has a value, or has not ended."""
        return self._results.error(index)

    @property
    def succeeded(self) -> int:
        """How many items have a value."""
        return self._results.done - len(self._results.failed) - len(self._results.stopped)

    def done(self) -> bool:
        """Return whether all items, and all workers, have ended."""
        return self.has_ended

    # -- results -----------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, at most ``timeout`` seconds; return whether all has ended."""
        with InterruptGuard("stopped waiting; the map keeps running."), clean_up_at_sigterm():
            return self._wait_until(self.done, timeout)

    def results(self, timeout: float | None = None) -> list[Any]:
        """Wait for all items, and return their values in order; the error of an item takes the place of its value.

        Raises:
            TaskTimeout: They have not ended within ``timeout`` seconds. They keep running.
        """
        with CallerFrames():
            if not self.wait(timeout):
                raise TaskTimeout(
                    f"The map has not ended in {timeout} s. It keeps running.", "Wait again, or cancel() it."
                )
            return [self._results.value_or_error(index) for index in range(len(self))]

    def as_completed(self) -> Iterator[tuple[int, Any]]:
        """Yield the index and the value, or the error, of each item as it ends.

        An item that runs again by ``retry()`` is yielded again.
        """
        place, order = 0, self._results.order

        def has_next() -> bool:
            return len(order) > place or self._results.done == len(self)

        while True:
            with InterruptGuard("stopped waiting; the map keeps running."), clean_up_at_sigterm():
                self._wait_until(has_next, None)
            if len(order) == place:
                return
            index = order[place]
            place += 1
            if index is not None:  # else it runs again
                yield index, self._results.value_or_error(index)

    def logs(self, index: int) -> str:
        """Return the output of an item so far; at most its first MiB.

        Raises:
            InputError: The map has no such item.
        """
        if not 0 <= index < len(self):
            raise InputError(f"The map has no item {index}.", f"Its items are 0 to {len(self) - 1}.")
        return self._output.text(index)

    # -- control -----------------------------------------------------------------------------------

    def retry(self) -> MapTask:
        """Run the items again that have failed, are lost, or were stopped; return the map."""

        def run_again() -> None:
            self._stops = 0
            self._dispatcher.run_again([*self._results.failed, *self._results.stopped])

        loop().run(self._call(run_again))
        return self

    def scale(self, workers: int) -> None:
        """Change the number of workers; those that are too many end when they have run what they have.

        Raises:
            InputError: It is not a whole number from 1 to 64.
        """
        size = check_workers(workers)
        loop().run(self._call(lambda: self._dispatcher.scale(size)))

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the items that run, and run no others; called again, end the workers at once."""
        self._stops += 1
        number = self._stops
        loop().call_soon(lambda: self._dispatcher.stop(number))

    def cancel_nowait(self) -> None:
        """End all workers, without waiting."""
        self._stops = max(self._stops, 2)
        loop().call_soon(lambda: self._dispatcher.stop(2))

    def cancel(self) -> None:
        """End all workers, and wait until they have ended. What has ended keeps its results."""
        loop().check_may_wait()
        self.cancel_nowait()
        self.wait()

    # -- inside ------------------------------------------------------------------------------------

    def _new_worker(self, listener: WorkerListener) -> MapWorker:
        return MapWorker(self._prepared.cell, self._prepared.returned, listener, self.name)

    async def _call(self, call: Callable[[], None]) -> None:
        """Call a function in the event loop."""
        call()

    def _on_change(self) -> None:
        for event, is_ready in list(self._waiting.items()):
            if is_ready():
                event.set()

    def _wait_until(self, is_ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until a condition is met; return whether it is."""
        if not is_ready():
            loop().check_may_wait()
            event = WaitEvent()
            self._waiting[event] = is_ready
            try:
                if not is_ready():  # it may have been met before
                    event.wait(timeout)
            finally:
                del self._waiting[event]
        return is_ready()
