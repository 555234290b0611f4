"""Give the futures of an executor their results, in a thread of its own: callbacks may take long, and submit calls."""

from __future__ import annotations

import concurrent.futures
import queue
import threading
from collections.abc import Callable

from ..channel.item_channel import Item, ItemResult
from ..errors import ended_by_user
from ..interrupts import WaitEvent
from .call_future import CallFuture
from .results import decode_result


class CallResults:
    """The futures of calls that have not ended. Everything but :meth:`wait` and :meth:`call_soon` runs in the event loop.

    Args:
        items: The calls as they are sent. Those that have ended are emptied.
        hint_for: Returns a one-line hint for an error of the code; empty if there is none.

    Attributes:
        done: How many calls have ended.
        failed: How many of them have raised an error, or were lost.
    """

    def __init__(self, items: list[Item], hint_for: Callable[[BaseException], str]) -> None:
        self.done = 0
        self.failed = 0
        self._items = items
        self._hint_for = hint_for
        self._open: dict[int, CallFuture] = {}
        self._deliveries: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._has_ended = False
        self._waiting: set[WaitEvent] = set()
        threading.Thread(target=self._deliver, name="podtask-futures", daemon=True).start()

    def expect(self, index: int, future: CallFuture) -> None:
        """Take the future of a new call."""
        self._open[index] = future

    def begin(self, index: int) -> bool:
        """Note that a call is sent to a worker; return False if it was cancelled, so that it must not run."""
        future = self._open[index]
        if future.running() or future.set_running_or_notify_cancel():
            return True
        self._close(index)
        return False

    def drop(self, index: int) -> None:
        """Note that a call that waits was cancelled."""
        future = self._close(index)
        self._deliveries.put(lambda: _notify_cancel(future))

    def cancel(self, index: int) -> None:
        """Cancel a call that no worker runs; if it has begun before, give it the error that says so."""
        future = self._close(index)
        text = "the executor was stopped before this call had ended."
        stopped = ended_by_user(concurrent.futures.CancelledError, text)
        self._deliveries.put(lambda: _stop(future, stopped))

    def add_output(self, index: int, data: bytes) -> None:
        """Add output of a call."""
        if index in self._open:
            self._open[index].add_output(data)

    def end(self) -> None:
        """Note that all calls have ended, and no others follow."""
        self._deliveries.put(None)

    def call_soon(self, call: Callable[[], object]) -> None:
        """Call a function in the thread that gives the results. Finalizers may call this."""
        self._deliveries.put(call)  # takes no lock

    def wait(self) -> None:
        """Wait until every future has its result, and :meth:`end` was called."""
        event = WaitEvent()
        self._waiting.add(event)
        try:
            if not self._has_ended:
                event.wait()
        finally:
            self._waiting.discard(event)

    # -- what the dispatcher reports ---------------------------------------------------------------

    def has(self, index: int) -> bool:
        """Return whether a call has ended."""
        return index not in self._open

    def add(self, result: ItemResult, where: str) -> None:
        """Add the result of a call."""
        self.failed += result.is_error
        future = self._close(result.index)
        self._deliveries.put(lambda: self._set_result(future, result, where))

    def add_error(self, index: int, error: BaseException) -> None:
        """Add the error of a call that has no result."""
        self.failed += 1
        future = self._close(index)
        self._deliveries.put(lambda: _set_error(future, error))

    def add_stopped(self, index: int, error: BaseException) -> None:
        """Note that a call does not run to its end."""
        self.cancel(index)

    def discard(self, index: int) -> None:
        """Refuse to forget a result: a future has its result once.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError

    # -- inside ------------------------------------------------------------------------------------

    def _close(self, index: int) -> CallFuture:
        self.done += 1
        self._items[index] = Item(index, b"")
        return self._open.pop(index)

    def _deliver(self) -> None:
        while (delivery := self._deliveries.get()) is not None:
            delivery()
            del delivery  # it has the value
        self._has_ended = True
        for event in list(self._waiting):
            event.set()

    def _set_result(self, future: CallFuture, result: ItemResult, where: str) -> None:
        try:
            value, error = decode_result(result, where, self._hint_for)
        except Exception as caught:  # noqa: BLE001 -- whatever the class of a value raises
            value, error = None, caught
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)


def _set_error(future: CallFuture, error: BaseException) -> None:
    if future.running() or future.set_running_or_notify_cancel():
        future.set_exception(error)


def _stop(future: CallFuture, error: BaseException) -> None:
    if future.cancel():
        _notify_cancel(future)
    else:
        future.set_exception(error)


def _notify_cancel(future: CallFuture) -> None:
    """Wake those who wait for a future that was cancelled."""
    future.set_running_or_notify_cancel()
