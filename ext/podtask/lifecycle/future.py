"""The future half of a task's handle: waiting, result, end. Plain calls, none of them asynchronous."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Generator
from typing import Any, NoReturn

from ..errors import InputError, TaskTimeout
from .follow import TaskFollower
from .interfaces import Launcher
from .outcome import Outcome


class TaskFuture(concurrent.futures.Future[Any]):
    """The result of a submitted cell, to come.

    Args:
        course: how it gets at its runner; it sets out at once.
    """

    stays_here = True  # what looks for the part of a value that cannot be sent looks no deeper

    def __init__(self, launcher: Launcher) -> None:
        super().__init__()
        self._called_off = False
        self._follower = TaskFollower(launcher)
        self._follower.done.add_done_callback(self._settle)

    def _settle(self, done: concurrent.futures.Future[Outcome]) -> None:
        """Tells those who wait for it as for any future: ``as_completed``, say."""
        error = self._failure(done.result())
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(done.result().result)

    def _failure(self, outcome: Outcome) -> BaseException | None:
        if self._called_off and outcome.status == "cancelled":
            return concurrent.futures.CancelledError(str(outcome.error))
        return outcome.failure

    def __reduce__(self) -> NoReturn:
        raise InputError(
            "the handle of a task is of use in the notebook only.", "Take its result() there, and read that."
        )

    def __await__(self) -> Generator[Any, None, Any]:
        # Shielded: where the waiting is cancelled, as after a time, the task goes on.
        yield from asyncio.shield(asyncio.wrap_future(self._follower.done)).__await__()
        return self.result()

    def done(self) -> bool:
        """Whether the task has ended."""
        return self._follower.done.done()

    def running(self) -> bool:
        """Whether the cell has begun and not ended."""
        return self._follower.status == "Running"

    def cancelled(self) -> bool:
        """Whether it was ended by :meth:`cancel`."""
        return self._follower.status == "cancelled"

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Returns what :meth:`result` would raise; waits for the end.

        Raises:
            TaskTimeout: not ended within ``timeout`` seconds.
            CancelledError: it was ended by :meth:`cancel`.
        """
        error = self._failure(self.outcome(timeout))
        if isinstance(error, concurrent.futures.CancelledError):
            raise error
        return error

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the end, at most ``timeout`` seconds; returns whether it has come."""
        concurrent.futures.wait([self._follower.done], timeout)
        return self._follower.done.done()

    def outcome(self, timeout: float | None = None) -> Outcome:
        """Returns what came of the task, an error of the cell among it; waits for it.

        Raises:
            TaskTimeout: it has not ended within ``timeout`` seconds; it goes on.
        """
        if not self.wait(timeout):
            raise TaskTimeout(
                f"{self._follower.name} has not ended in {timeout} s; it goes on.",
                "Wait again, or cancel() it.",
            )
        return self._follower.done.result()

    def result(self, timeout: float | None = None) -> Any:
        """Returns the value of the last expression (of a function, what it returned).

        Raises:
            TaskTimeout: not ended within ``timeout`` seconds.
            CancelledError: it was ended by :meth:`cancel`.
            BaseException: the cell's own error, or a PodtaskError; KeyboardInterrupt is the stop button.
        """
        outcome = self.outcome(timeout)
        if (error := self._failure(outcome)) is not None:
            raise error
        return outcome.result

    def interrupt(self) -> None:
        """Raises KeyboardInterrupt in the cell; a task that has not begun is deleted."""
        self._follower.loop.start(self._follower.interrupt())

    def cancel_nowait(self) -> None:
        """Ends the task, as :meth:`cancel` does, without waiting."""
        self._follower.loop.asyncio.call_soon_threadsafe(self._follower.cancelled.set)

    def cancel(self) -> bool:
        """Ends the task and deletes its pod; waits until the API server has taken that.

        Returns:
            Whether that ended it: not where it had ended before.
        """
        self._called_off = self._called_off or not self.done()
        self.cancel_nowait()
        self._follower.done.exception()
        self._delete()
        return self.cancelled()

    def _delete(self) -> None:
        if self._follower.placement is not None:
            self._follower.loop.start(self._follower.placement.delete()).result()
