"""The phases of a task: somebody may change the status of its pod without end."""

from __future__ import annotations

import concurrent.futures

import pytest
from podtask.backends.base import Phase
from podtask.lifecycle.follow import MAX_PHASES, TaskFollower
from podtask.lifecycle.updates import UpdateLog


@pytest.mark.fault(90)
def test_phases_without_end_are_not_kept() -> None:
    """The first and the last phases are kept, and the current one is the latest."""
    follower = TaskFollower.__new__(TaskFollower)
    follower.done = concurrent.futures.Future()
    follower.status = "Pending"
    follower.phase = Phase("Packing")
    follower.phases = [(follower.phase, 0.0)]
    follower.update_log = UpdateLog()
    for number in range(2 * MAX_PHASES):
        follower.on_phase(Phase("Pending", str(number)))
    assert len(follower.phases) == MAX_PHASES
    assert follower.phases[0][0] == Phase("Packing")
    assert follower.phases[-1][0] == follower.phase == Phase("Pending", str(2 * MAX_PHASES - 1))
