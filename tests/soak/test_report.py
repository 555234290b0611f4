"""The report calls the right things faults, tested without a soak."""

from __future__ import annotations

from typing import Any

import pytest

from tests.soak.report import MIB, Report

DELETED = "TaskError: podtask-x ended before its result was received: the pod was deleted by a user."


def report(
    error: str = "", killed: bool = False, named: bool = True, more: dict[str, int] | None = None
) -> Report:
    """A run of one task, at whose end so much more is held than at its begin."""
    task: dict[str, Any] = {
        "ended": 0,
        "pod": "podtask-x",
        "local": False,
        "error": error,
        "wrong": "",
        "named": named,
    }
    held = {"finished": 1, "rests": True, "memory": 40 * MIB, "threads": 2, "descriptors": 20, "sockets": 5}
    after = {what: count + (more or {}).get(what, 0) for what, count in held.items()}
    return Report({"podtask-x"} if killed else set(), [task], [held, after])


@pytest.mark.parametrize(
    "error",
    [
        DELETED,
        "TaskError: The pod was terminated while the cell was running, in pod podtask-x: it was deleted.",
        "StartError: podtask-x cannot start: the pod was deleted by a user or a clean-up job.",
    ],
)
def test_failure_of_a_kill_is_none(error: str) -> None:
    """It is a named one that says so."""
    assert report(error, killed=True).faults(1) == []
    assert len(report(error).faults(1)) == 1, "nobody killed it"


@pytest.mark.parametrize(
    ("error", "named"),
    [
        ("ClusterError: Cannot reach the API server of context 'x'", True),
        ("InputError: The pod podtask-x was deleted", True),
        ("TaskError: podtask-x ended because no notebook was connected.", True),
        (DELETED, False),
    ],
)
def test_other_failure_of_a_killed_pod_is_a_fault(error: str, named: bool) -> None:
    """A kill excuses no error that is not its own."""
    (fault,) = report(error, killed=True, named=named).faults(1)
    assert "not its kill's" in fault


@pytest.mark.parametrize(
    ("more", "grows"),
    [
        ({"threads": 4}, ["threads"]),
        ({"descriptors": 4}, ["files"]),
        ({"descriptors": 30, "sockets": 30}, []),
        ({"descriptors": 45, "sockets": 41}, ["descriptors", "files", "sockets"]),
    ],
)
def test_what_is_held_at_rest_does_not_grow(more: dict[str, int], grows: list[str]) -> None:
    """With no task running, a few more threads or files are a leak; kept connections are none."""
    assert [fault.split()[0] for fault in report(more=more).faults(1)] == grows
