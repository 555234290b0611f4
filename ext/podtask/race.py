"""The three loops that follow a task (status, channel, deadline): the first to end decides."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from .backend import Ending, Placement
from .channel import Channel
from .job import Verdict

LAST_WORDS_SECONDS = 2.0  # for frames under way when the status says "ended"


async def race(
    placement: Placement,
    channel: Channel,
    cancelled: asyncio.Event,
    deadline: Coroutine[Any, Any, None],
) -> Verdict | Ending | None:
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
            verdict = talk.result()
            if verdict.end["status"] == "terminated":
                verdict.stopped = await placement.stopped()
            await placement.farewell()
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
