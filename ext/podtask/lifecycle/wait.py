"""Wait for a task: its pod's status, its channel and its deadline are followed at once, and the first decides."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..backends.base import Backend, Termination
from ..channel.job import RunnerResult
from ..config.options import RunOptions
from ..errors import ClusterError, TaskTimeout
from ..event_loop import ignore_result
from .interfaces import RunnerChannel

AWAY_SECONDS, AGAIN_SECONDS = 60.0, 1.0
LAST_WORDS_SECONDS = 2.0  # for frames under way when the status says "ended"
LATE_SECONDS = 60.0  # grace for the runner, which ends the cell at its --timeout by itself
# The clock counts in steps: a kernel that was suspended, as a closed laptop is, counts one step only.
STEP_SECONDS = 1.0


class ContactLost(TaskTimeout):
    """No contact for so long that the cell must have ended; its result may still be in the pod."""


async def race(
    placement: Backend,
    channel: RunnerChannel,
    cancelled: asyncio.Event,
    deadline: Coroutine[Any, Any, None],
) -> RunnerResult | Termination | None:
    """Returns the verdict, how the runner ended without one, or None: it was cancelled.

    Args:
        placement: its status is one loop.
        channel: the other one.
        cancelled: set by the user.
        deadline: raises when the time is over, and ends with nothing else.

    Raises:
        PodtaskError: the deadline's, or the channel's.
    """
    talk = asyncio.ensure_future(channel.run())
    status = asyncio.ensure_future(placement.ended())
    stop = asyncio.ensure_future(cancelled.wait())
    loops = {talk, status, stop, late := asyncio.ensure_future(deadline)}
    try:
        await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
        if status.done() and not talk.done() and channel.reconnects >= 0:
            # Frames may still be on their way; the verdict is what they say.
            await asyncio.wait({talk}, timeout=LAST_WORDS_SECONDS)
        if talk.done() and isinstance(talk.exception(), OSError):
            # A local runner that nobody answers at has ended, and its status says how.
            await asyncio.wait(loops - {talk}, return_when=asyncio.FIRST_COMPLETED)
        elif talk.done():
            verdict = await _explained(talk.result(), placement)
            await placement.drain_notes()
            return verdict
        if stop.done():
            return None
        if status.done():
            return status.result()
        late.result()
        raise AssertionError("a deadline ends with an error")
    finally:
        for each in loops:
            each.cancel()
            ignore_result(each)  # the first to end has decided


async def left(placement: Backend, channel: RunnerChannel, cancelled: asyncio.Event) -> RunnerResult | None:
    """Returns the verdict that a runner has left in its log, as nobody came for it in time.

    Args:
        placement: of the runner.
        channel: what was heard of it so far.
        cancelled: set by the user.

    Raises:
        ClusterError: the log is not reached, for as long as an API server takes to restart.
    """
    end = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            verdict = channel.last(await placement.whole_log())
        except ClusterError:
            if cancelled.is_set() or time.monotonic() > end:
                raise
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(cancelled.wait(), AGAIN_SECONDS)
        else:
            return verdict and await _explained(verdict, placement)


async def _explained(verdict: RunnerResult, placement: Backend) -> RunnerResult:
    """Adds who has stopped the pod."""
    if verdict.end["status"] == "terminated":
        verdict.stopped = await placement.stopped()
    return verdict


async def enforce_timeout(
    name: str,
    options: RunOptions,
    is_connected: Callable[[], bool],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Raise when a started cell is far past its timeout.

    Args:
        name: Name of the task.
        options: Options of the task: its timeout, grace and linger.
        is_connected: Returns whether the runner is connected.
        sleep: Waits the given number of seconds.

    Raises:
        ContactLost: The time without a connection has reached its limit.
        TaskTimeout: The time with a connection has reached its limit: the runner does not end the cell.
    """
    limit = options.timeout + options.grace + LATE_SECONDS
    connected_left, disconnected_left = limit, limit + (options.linger or 0.0)
    while connected_left > 0 and disconnected_left > 0:
        await sleep(STEP_SECONDS)
        if is_connected():
            connected_left -= STEP_SECONDS
        else:
            disconnected_left -= STEP_SECONDS
    if disconnected_left <= 0:
        raise ContactLost(
            f"Lost contact with {name} and its --timeout has passed. The pod was left running.",
            f"%podtask attach {name} fetches its result once the cluster can be reached.",
        )
    raise TaskTimeout(
        f"{name} ran past its --timeout and its runner did not end it.",
        "The pod was deleted. Raise --timeout, or let the cell do less.",
    )
