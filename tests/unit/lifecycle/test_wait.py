"""A task past its time: what counts, and what then becomes of its pod; the clock is the test's."""

from __future__ import annotations

import asyncio

import pytest
from podtask.config.options import RunOptions
from podtask.errors import TaskTimeout
from podtask.lifecycle.overdue import LATE_SECONDS, ContactLost, overdue

OPTIONS = RunOptions.of(timeout="30s", grace="10s", linger="20s")
MOST = int(30 + 10 + LATE_SECONDS)


def steps_until_raised(connected: list[bool]) -> tuple[int, TaskTimeout]:
    """Returns in how many seconds it raised what; the last of ``connected`` goes on."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        assert seconds <= 1.0  # of which a stopped process counts no more than one
        slept.append(seconds)

    def talks() -> bool:
        return connected[min(len(slept), len(connected)) - 1]

    with pytest.raises(TaskTimeout) as raised:
        asyncio.run(overdue("podtask-x", OPTIONS, talks, sleep))
    return len(slept), raised.value


def test_runner_that_does_not_end_its_cell() -> None:
    """The time with a connection is counted, in steps, and the error says that the pod is gone."""
    seconds, error = steps_until_raised([True])
    assert seconds == MOST
    assert not isinstance(error, ContactLost)
    assert "The pod was deleted" in str(error)


def test_task_that_is_not_reached_is_left() -> None:
    """Time without a connection has a bound of its own; the error names the way back."""
    seconds, error = steps_until_raised([True] * (MOST - 1) + [False])
    assert seconds == 2 * MOST - 1 + 20
    assert isinstance(error, ContactLost)
    assert "%podtask attach podtask-x" in str(error)
