"""Errors of a task that ended without a result: what they say of the place where its cell ran."""

from __future__ import annotations

import pytest
from podtask.channel.job import RunnerResult
from podtask.lifecycle.outcome import LOCAL_PLACE, decode


@pytest.mark.parametrize(
    "end",
    [
        {"status": "terminated"},
        {"status": "timeout"},
        {"status": "crashed", "signal": "SIGSEGV"},
        {"status": "crashed", "exit": 3},
    ],
    ids=str,
)
def test_error_of_a_local_cell_never_says_pod(end: dict[str, object]) -> None:
    """U12: the error of a cell that ran on this machine names no pod; the one of a pod's cell names its pod."""
    local = decode(RunnerResult(end, []), LOCAL_PLACE, lambda _: "").error
    assert LOCAL_PLACE in str(local)
    assert "pod" not in str(local)
    assert "pod x" in str(decode(RunnerResult(end, []), "pod x", lambda _: "").error)
