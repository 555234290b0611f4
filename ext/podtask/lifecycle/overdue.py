"""When a task has not ended that should have: counted in steps, while something is heard of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..config.options import RunOptions
from ..errors import TaskTimeout

LATE_SECONDS = 60.0  # that the runner may be late: it ends the cell at its --timeout by itself
# A process that was stopped, or slept with its laptop, has counted no more than one step of it.
STEP_SECONDS = 1.0


class ContactLost(TaskTimeout):
    """Nothing was heard for so long that the cell must be over; its pod may have the result."""


async def overdue(
    name: str,
    options: RunOptions,
    talks: Callable[[], bool],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Raises when a cell that has begun is long over its time.

    Args:
        name: of the task.
        options: its bounds.
        talks: whether its runner is connected.
        sleep: waits so many seconds.

    Raises:
        Unheard: the time without a connection came to all that it may take.
        TaskTimeout: that with one: the runner does not end the cell.
    """
    most = options.timeout + options.grace + LATE_SECONDS
    with_it, without = most, most + (options.linger or 0.0)
    while with_it > 0 and without > 0:
        await sleep(STEP_SECONDS)
        if talks():
            with_it -= STEP_SECONDS
        else:
            without -= STEP_SECONDS
    if without <= 0:
        raise ContactLost(
            f"{name} must be past its --timeout, and is not reached; its pod was left.",
            f"%podtask attach {name} takes its result when the cluster is reached.",
        )
    raise TaskTimeout(
        f"{name} ran past its --timeout, and its runner has not ended it.",
        "The pod was deleted; raise --timeout, or let the cell do less.",
    )
