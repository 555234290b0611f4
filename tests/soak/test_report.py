"""The report finds exactly the real violations, tested without a soak."""

from __future__ import annotations

from typing import Any

import pytest

from tests.soak.report import MIB, Report

DELETED = "TaskError: podtask-x ended before its result was fetched: the pod was deleted by a user."


def report(
    error: str = "", killed: bool = False, named: bool = True, more: dict[str, int] | None = None
) -> Report:
    """Return the report of a run with one task, with more resources at its end than at its beginning."""
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
def test_failure_after_a_kill_does_not_count(error: str) -> None:
    """An error that names the kill of its pod is not a violation."""
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
    """Any other error of a killed pod is a violation."""
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
def test_idle_resources_do_not_grow(more: dict[str, int], grows: list[str]) -> None:
    """Additional threads or files without running tasks are a leak; kept connections are not."""
    assert [fault.split()[0] for fault in report(more=more).faults(1)] == grows
