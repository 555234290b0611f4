"""Another try: only where the cell never ran, unless a repetition is asked for."""

from __future__ import annotations

import pytest
from podtask.backends.base import Termination
from podtask.channel.job import RunnerResult
from podtask.config.options import RunOptions
from podtask.errors import StartError
from podtask.lifecycle.retry import PORT_TRIES, Attempts
from podtask.manifest.labels import PORT_TAKEN

REJECTED = Termination("x cannot start: no room.", started=False, lost=True)
LOST = Termination("x ended: its node is gone.", started=True, lost=True)
FAULT = Termination("x cannot start: no such image.", started=False)
EVICTED = RunnerResult({"status": "terminated"}, [], ("it was evicted", "", True))
DELETED = RunnerResult({"status": "terminated"}, [], ("the pod was deleted", "", False))
DONE = RunnerResult({"status": "ok"}, [])


@pytest.mark.feature("S09")
@pytest.mark.parametrize(
    ("options", "found", "repeated"),
    [
        ({}, REJECTED, False),
        ({"retries": 1}, REJECTED, True),
        ({"retries": 1}, LOST, False),
        ({"retries": 1}, EVICTED, False),
        ({"retries": 1}, FAULT, False),
        ({"retries": 1, "retry_on": "lost"}, REJECTED, True),
        ({"retries": 1, "retry_on": "lost"}, LOST, True),
        ({"retries": 1, "retry_on": "lost"}, EVICTED, True),
        ({"retries": 1, "retry_on": "lost"}, DELETED, False),
        ({"retries": 1, "retry_on": "lost"}, FAULT, False),
        ({"retries": 1, "retry_on": "lost"}, DONE, False),
    ],
)
def test_what_is_tried_again(
    options: dict[str, object], found: Termination | RunnerResult, repeated: bool
) -> None:
    """A lost place, before the cell began or on request; never a fault, a deletion or a result."""
    assert bool(Attempts(RunOptions.of(**options)).next(found)) is repeated


@pytest.mark.feature("S09")
def test_tries_come_to_an_end() -> None:
    """So many as were asked for, each told; ports have a number of their own."""
    attempts = Attempts(RunOptions.of(retries=2))
    assert attempts.next(REJECTED).endswith("no room. Once more in another pod; retries left: 1.")
    assert "retries left: 0" in attempts.next(REJECTED)
    assert attempts.next(REJECTED) == ""
    for _ in range(PORT_TRIES - 1):
        assert "another one" in attempts.next(Termination("", code=PORT_TAKEN))
    with pytest.raises(StartError, match="takes every port"):
        attempts.next(Termination("", code=PORT_TAKEN))
