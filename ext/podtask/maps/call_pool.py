"""The calls of an executor and their workers. Methods may be called from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from ..channel.item_channel import Item
from ..config.options import RunOptions
from ..errors import InputError
from ..event_loop import loop
from ..manage import own_maps
from ..manifest.identity import new_map_name
from .call_future import CallFuture
from .call_packer import CallPacker
from .call_results import CallResults
from .dispatcher import ItemDispatcher
from .item_output import ItemOutput
from .worker import MapWorker, WorkerListener


class CallPool:
    """The calls of an executor and their workers, which start with the first calls.

    Args:
        options: Options of the workers; the template is resolved.
        workers: How many workers there are to be at most.

    Attributes:
        name: The name of the map, which the pods of its workers have in their label ``podtask/map``.
        alias: The user's name for it; empty if it has none.
    """

    def __init__(self, options: RunOptions, workers: int) -> None:
        self.name = new_map_name()
        self.alias = options.name or ""
        self._packer = CallPacker(options)
        self._workers = workers
        self._items: list[Item] = []
        self._count = 0  # of the calls, ahead of the items
        self._lock = threading.RLock()  # a callback or a signal handler may submit, too
        self._is_closed = False
        self._results: CallResults | None = None
        self._dispatcher: CallDispatcher | None = None
        self._reruns_lost = options.retry_on == "lost"

    def __repr__(self) -> str:
        dispatcher = self._dispatcher
        workers = 0 if dispatcher is None else sum(each.is_ready for each in list(dispatcher.workers))
        return f"{self.summary}, {workers} of {self._workers} workers"

    @property
    def has_ended(self) -> bool:
        """Whether no worker runs, or can start."""
        dispatcher = self._dispatcher
        return dispatcher is not None and not dispatcher.is_open and dispatcher.has_ended

    @property
    def summary(self) -> str:
        """How many of its calls have ended, in a few words."""
        done, failed = (0, 0) if self._results is None else (self._results.done, self._results.failed)
        return f"{done} of {self._count} done" + (f", {failed} failed" if failed else "")

    def submit(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> CallFuture:
        """Take a call; return its future. If it cannot be sent, the future has the error.

        Raises:
            RuntimeError: The pool was closed.
        """
        future = CallFuture()
        with self._lock:
            if self._is_closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            try:
                item = self._packer.pack(self._count, function, args, kwargs)
            except InputError as error:
                future.set_running_or_notify_cancel()
                future.set_exception(error)
                return future
            dispatcher = self._start()
            self._count += 1
            loop().call_soon(lambda: dispatcher.add(item, future))
        index = item.index
        future.add_done_callback(
            lambda done: loop().call_soon(lambda: dispatcher.drop(index)) if done.cancelled() else None
        )
        return future

    def close(self, cancel: bool = False) -> None:
        """Take no further calls; let the workers end when all have run.

        Args:
            cancel: Whether the calls that have not begun are cancelled.
        """
        with self._lock:
            self._is_closed = True
            dispatcher = self._dispatcher
        if dispatcher is not None:
            loop().call_soon(lambda: dispatcher.close(cancel))

    def close_later(self) -> None:
        """Close the pool in another thread. A finalizer may call this, in the middle of anything."""
        if self._results is not None:
            self._results.call_soon(self.close)

    def stop(self, number: int) -> None:
        """Interrupt the calls that run, and cancel the others; from the second time on, end the workers at once."""
        dispatcher = self._dispatcher
        if dispatcher is not None:
            loop().call_soon(lambda: dispatcher.stop(number))

    def cancel_nowait(self) -> None:
        """Cancel the calls, and end the workers, without waiting."""
        self.stop(2)

    def wait(self) -> None:
        """Wait until all calls, and all workers, of a closed pool have ended."""
        loop().check_may_wait()
        if self._results is not None:
            self._results.wait()

    def _start(self) -> CallDispatcher:
        """Return what hands out the calls; make it at the first call."""
        prepared = self._packer.prepared
        assert prepared is not None
        if self._dispatcher is None:
            results = self._results = CallResults(self._items, prepared.hint_for)

            def new_worker(listener: WorkerListener) -> MapWorker:
                return MapWorker(prepared, (), listener, self.name, bring_modules=True)

            dispatcher = self._dispatcher = CallDispatcher(
                self._items, results, new_worker, self._reruns_lost
            )
            own_maps.add(self)
            loop().call_soon(lambda: dispatcher.start(self._workers))
        return self._dispatcher


class CallDispatcher(ItemDispatcher):
    """Hands out calls, which may follow until it is closed. Everything but the constructor runs in the event loop.

    Args:
        items: Takes the calls as they are sent.
        results: Takes the results.
        new_worker: Starts a worker.
        reruns_lost: Whether a call that was lost with its worker runs again.
    """

    noun = "Call"
    lost_hint = "Submit it again, or let it run again by itself with retry_on='lost'."
    is_open = True

    def __init__(
        self,
        items: list[Item],
        results: CallResults,
        new_worker: Callable[[WorkerListener], MapWorker],
        reruns_lost: bool,
    ) -> None:
        super().__init__(items, results, ItemOutput(), new_worker, False, reruns_lost, self._end_if_over)
        self._calls = items
        self._futures = results

    def add(self, item: Item, future: CallFuture) -> None:
        """Take a call."""
        self.failure = None  # this call may start a worker again
        self._calls.append(item)
        self._futures.expect(item.index, future)
        self._waiting.append(item.index)
        self._distribute()

    def drop(self, index: int) -> None:
        """Take back a call that was cancelled before it has begun."""
        if index in self._waiting:
            self._waiting.remove(index)
            self._futures.drop(index)
            self._after_change()

    def close(self, cancel: bool) -> None:
        """Take no further calls.

        Args:
            cancel: Whether the calls that have not begun are cancelled.
        """
        self.is_open = False
        while cancel and self._waiting:
            self._futures.cancel(self._waiting.popleft())
        self._distribute()
        self._after_change()

    def on_output(self, index: int, data: bytes) -> None:
        """Receive output of a call."""
        self._futures.add_output(index, data)

    def _next_item(self) -> Item | None:
        while self._waiting:
            index = self._waiting.popleft()
            if self._futures.begin(index):
                return self._calls[index]
        return None

    def _end_if_over(self) -> None:
        if not self.is_open and self.has_ended:
            self._futures.end()
