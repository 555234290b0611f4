"""Wait for the end of a task: the pod's status, the channel and the deadline; the first to end decides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..backends.base import Backend, Termination
from ..channel.job import RunnerResult
from ..config.options import RunOptions
from ..errors import AnswerTooLarge, ClusterError, TaskTimeout
from ..event_loop import ignore_result
from ..runner.protocol import STATUS_TERMINATED
from .interfaces import RunnerChannel

log = logging.getLogger(__name__)
MAX_LOG_SECONDS = 3600.0  # time for an API server that is away to come back
MAX_LOST_LOG_SECONDS = 60.0  # the same for a lost pod, whose log is probably lost, too
LOG_PAUSE_SECONDS = 1.0
LAST_FRAMES_SECONDS = 2.0  # for frames that are in transit when the status shows the end
TIMEOUT_GRACE_SECONDS = 60.0  # grace for the runner, which ends the cell at its --timeout by itself
# The clock counts in steps: a kernel that was suspended, as a closed laptop is, counts one step only.
CHECK_INTERVAL_SECONDS = 1.0


class ContactLost(TaskTimeout):
    """The connection was lost for so long that the cell must have ended; its result may still be in the pod."""


async def first_end(
    backend: Backend,
    channel: RunnerChannel,
    cancelled: asyncio.Event,
    deadline: Coroutine[Any, Any, None],
) -> RunnerResult | Termination | None:
    """Wait for the first of result, termination and cancellation; return it, None for a cancellation.

    Args:
        backend: Reports the termination.
        channel: Receives the result.
        cancelled: Set when the user cancels the task.
        deadline: Coroutine that raises an error when a deadline has passed.

    Raises:
        PodtaskError: A deadline has passed, or the channel has failed.
    """
    result = asyncio.ensure_future(channel.run())
    termination = asyncio.ensure_future(backend.wait_until_ended())
    cancellation = asyncio.ensure_future(cancelled.wait())
    waits = {result, termination, cancellation, late := asyncio.ensure_future(deadline)}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if termination.done() and not result.done() and channel.reconnects >= 0:
            # Frames may still be in transit, and the result is among them.
            await asyncio.wait({result}, timeout=LAST_FRAMES_SECONDS)
        if result.done() and isinstance(result.exception(), OSError):
            # A local runner that nothing listens for has ended; its status says how.
            await asyncio.wait(waits - {result}, return_when=asyncio.FIRST_COMPLETED)
        elif result.done():
            end = await _with_stop_reason(result.result(), backend)
            await backend.drain_notes()
            return end
        if cancellation.done():
            return None
        if termination.done():
            return termination.result()
        late.result()
        raise AssertionError("a deadline ends with an error")
    finally:
        for each in waits:
            each.cancel()
            ignore_result(each)  # the first to end has decided


async def read_result_from_log(
    backend: Backend,
    channel: RunnerChannel,
    cancelled: asyncio.Event,
    max_seconds: float,
    on_failure: Callable[[ClusterError], None],
) -> RunnerResult | None:
    """Return the result that an ended runner left in its log, None if there is none.

    Args:
        backend: Backend of the runner.
        channel: Channel that has received the earlier frames.
        cancelled: Set when the user cancels the task.
        max_seconds: Seconds after which the log counts as unreadable.
        on_failure: Called with the error of each attempt that fails.

    Raises:
        ClusterError: The log could not be read for so long.
    """
    end = time.monotonic() + max_seconds
    while True:
        try:
            result = channel.read_result(await backend.whole_log())
        except AnswerTooLarge:
            raise
        except ClusterError as error:
            if cancelled.is_set() or time.monotonic() > end:
                raise
            log.debug("%s: reading the log failed, retrying: %s", backend.name, error)
            on_failure(error)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(cancelled.wait(), LOG_PAUSE_SECONDS)
        else:
            return result and await _with_stop_reason(result, backend)


async def _with_stop_reason(result: RunnerResult, backend: Backend) -> RunnerResult:
    """Return a result; if the runner was terminated, with the reason why its pod was terminated."""
    if result.end["status"] == STATUS_TERMINATED:
        result.stop_reason = await backend.stop_reason()
    return result


async def enforce_timeout(
    name: str,
    options: RunOptions,
    linger: float,
    is_connected: Callable[[], bool],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Raise when a started cell is far past its timeout.

    Args:
        name: Name of the task.
        options: Options of the task: its timeout and grace.
        linger: Seconds that the runner waits for its notebook, as the pod has them.
        is_connected: Returns whether the runner is connected.
        sleep: Waits the given number of seconds.

    Raises:
        ContactLost: The time without a connection has reached its limit.
        TaskTimeout: The time with a connection has reached its limit: the runner does not end the cell.
    """
    limit = options.timeout + options.grace + TIMEOUT_GRACE_SECONDS
    connected_left, disconnected_left = limit, limit + linger
    while connected_left > 0 and disconnected_left > 0:
        await sleep(CHECK_INTERVAL_SECONDS)
        if is_connected():
            connected_left -= CHECK_INTERVAL_SECONDS
        else:
            disconnected_left -= CHECK_INTERVAL_SECONDS
    if disconnected_left <= 0:
        raise ContactLost(
            f"Lost contact with {name} and its --timeout has passed. The pod was left running.",
            f"%podtask attach {name} fetches its result once the cluster can be reached.",
        )
    raise TaskTimeout(
        f"{name} ran past its --timeout and its runner did not end it.",
        "The pod was deleted. Raise --timeout, or make the cell do less work.",
    )
