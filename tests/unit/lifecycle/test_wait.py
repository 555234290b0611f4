"""Tasks past their timeout: which time counts, and what happens to the pod, with a simulated clock."""

from __future__ import annotations

import asyncio

import pytest
from podtask.config.options import RunOptions
from podtask.errors import TaskTimeout
from podtask.lifecycle.wait import TIMEOUT_GRACE_SECONDS, ContactLost, enforce_timeout

OPTIONS = RunOptions.of(timeout="30s", grace="10s")
MAX_SECONDS = int(30 + 10 + TIMEOUT_GRACE_SECONDS)


def steps_until_raised(connected: list[bool], linger: float = 20.0) -> tuple[int, TaskTimeout]:
    """Return the seconds until the timeout and its error; the last item of ``connected`` repeats."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        assert seconds <= 1.0  # the time of a suspended process counts as one step at most
        slept.append(seconds)

    def is_connected() -> bool:
        return connected[min(len(slept), len(connected)) - 1]

    with pytest.raises(TaskTimeout) as raised:
        asyncio.run(enforce_timeout("podtask-x", OPTIONS, linger, is_connected, sleep))
    return len(slept), raised.value


def test_runner_that_does_not_end_its_cell() -> None:
    """Time with a connection is counted in steps, and the error states that the pod was deleted."""
    seconds, error = steps_until_raised([True])
    assert seconds == MAX_SECONDS
    assert not isinstance(error, ContactLost)
    assert "The pod was deleted" in str(error)


def test_task_with_lost_contact_is_kept() -> None:
    """Time without a connection has its own limit, and the error explains how to fetch the result."""
    seconds, error = steps_until_raised([True] * (MAX_SECONDS - 1) + [False])
    assert seconds == 2 * MAX_SECONDS - 1 + 20
    assert isinstance(error, ContactLost)
    assert "Lost contact with podtask-x and its --timeout has passed. The pod was left running." in str(error)
    assert "%podtask attach podtask-x" in str(error)
