"""A task is retried only if its cell never ran, unless the user asks for more."""

from __future__ import annotations

import pytest
from podtask.backends.base import StopReason, Termination
from podtask.channel.job import RunnerResult
from podtask.config.options import RunOptions
from podtask.errors import StartError
from podtask.lifecycle.retry import PORT_TRIES, RetryPolicy
from podtask.runner.protocol import EXIT_PORT_TAKEN

REJECTED = Termination("x cannot start: no room.", started=False, lost=True)
LOST = Termination("x ended: its node is gone.", started=True, lost=True)
FAULT = Termination("x cannot start: no such image.", started=False)
EVICTED = RunnerResult({"status": "terminated"}, [], StopReason("it was evicted", lost=True))
DELETED = RunnerResult({"status": "terminated"}, [], StopReason("the pod was deleted"))
PORT_TAKEN = Termination("x ended: its port is taken.", code=EXIT_PORT_TAKEN, started=True)
DONE = RunnerResult({"status": "ok"}, [])


@pytest.mark.feature("S09")
@pytest.mark.parametrize(
    ("options", "end", "retried"),
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
def test_which_endings_are_retried(
    options: dict[str, object], end: Termination | RunnerResult, retried: bool
) -> None:
    """A pod lost before its cell began is retried, or later on request; a failure or a result never is."""
    assert bool(RetryPolicy(RunOptions.of(**options)).retry_reason(end)) is retried


@pytest.mark.feature("S09")
@pytest.mark.parametrize(
    ("end", "retried"),
    [
        (REJECTED, True),
        (LOST, True),
        (EVICTED, True),
        (PORT_TAKEN, True),
        (DELETED, False),
        (FAULT, False),
        (DONE, False),
    ],
)
def test_which_endings_a_job_retries(end: Termination | RunnerResult, retried: bool) -> None:
    """A Job runs a cell again whose pod was lost, also one that has started."""
    policy = RetryPolicy(RunOptions(), job_retries=1)
    assert policy.retry_reason(end).endswith("Its Job starts another one; retries left: 0.") is retried


@pytest.mark.feature("S09")
def test_number_of_retries_is_limited() -> None:
    """The number of retries is limited and shown each time; retries for ports have their own limit."""
    policy = RetryPolicy(RunOptions.of(retries=2))
    assert policy.retry_reason(REJECTED).endswith("no room. Retrying in another pod; retries left: 1.")
    assert "retries left: 0" in policy.retry_reason(REJECTED)
    assert policy.retry_reason(REJECTED) == ""
    for _ in range(PORT_TRIES - 1):
        assert "Trying another port" in policy.retry_reason(Termination("", code=EXIT_PORT_TAKEN))
    with pytest.raises(StartError, match="uses every port"):
        policy.retry_reason(Termination("", code=EXIT_PORT_TAKEN))
