"""The rows of the list of tasks: states, last lines, and how they are shown."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from podtask.cluster.workloads import Workloads
from podtask.errors import ClusterError
from podtask.manage.task_list import TaskList, TaskRow, list_tasks
from podtask.runner.protocol import FRAME_LINE_PREFIX, RESULT_WAITS_PREFIX

from tests.unit.diagnosis.test_queueing import workload

from .cluster import OPTIONS, FakeApi, ended, fetched, in_log, task_pod

pytestmark = pytest.mark.fault(102)


def waiting(name: str, reason: str) -> dict[str, Any]:
    """Return the status of a container that waits."""
    return {"name": name, "state": {"waiting": {"reason": reason}}}


Connect = Callable[[FakeApi], FakeApi]


def test_states_of_tasks_from_the_newest_to_the_oldest(connect: Connect) -> None:
    """The state says where the result is; a runner that was killed has the reason of its end."""
    api = FakeApi(
        task_pod("killed", age=5, status=ended(137)),
        task_pod("runs", age=1),
        task_pod("goes", age=2, terminating=True),
        task_pod("log", age=3, status=in_log()),
        task_pod("done", age=4, status=fetched("error")),
    )
    connect(api)
    rows = asyncio.run(list_tasks(OPTIONS))
    assert [(row.pod.name, row.state) for row in rows] == [
        ("runs", "Running"),
        ("goes", "Terminating"),
        ("log", "ok, in its log"),
        ("done", "error, fetched"),
        ("killed", "Error"),
    ]
    assert [row.pod.name for row in rows if row.is_result_unfetched] == ["log"]
    assert [row.pod.name for row in rows if row.has_cell_ended] == ["log", "done", "killed"]


@pytest.mark.feature("P12")
@pytest.mark.parametrize(
    ("may_list", "reason"), [(True, "in queue 'team'; 1 more cpu needed"), (False, "in queue 'team'")]
)
def test_queued_task_says_why_it_waits(
    may_list: bool, reason: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row has the reason on its Workload, and without the right to list Workloads the queue."""
    queued = task_pod("a", status={"phase": "Pending"})
    queued.pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "team"
    queued.pod["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
    message = "insufficient unused quota for cpu in flavor any, 1 more needed"
    held = workload(message=message)
    held["metadata"]["labels"] = {"kueue.x-k8s.io/job-uid": "uid-of-a"}

    async def list_workloads(workloads: Workloads) -> list[Any]:
        if not may_list:
            raise ClusterError("You may not list workloads.")
        return [held]

    monkeypatch.setattr(Workloads, "list", list_workloads)
    connect(FakeApi(queued))
    [row] = asyncio.run(list_tasks(OPTIONS))
    assert (row.state, row.last_line) == ("Queued", reason)


def test_preempted_task_is_not_just_terminating(connect: Connect) -> None:
    """While Kueue ends a pod, its row says why."""
    target = {"type": "TerminationTarget", "status": "True", "reason": "WorkloadEvictedDueToPreempted"}
    connect(FakeApi(task_pod("a", terminating=True, status={"phase": "Running", "conditions": [target]})))
    [row] = asyncio.run(list_tasks(OPTIONS))
    assert row.state == "Preempted"


def test_runner_that_waits_for_a_notebook_is_not_running(connect: Connect) -> None:
    """Its own line becomes the state, and is not shown as output of the cell."""
    connect(FakeApi(task_pod("a"), logs={"a": f"step\n{RESULT_WAITS_PREFIX}error)\n"}))
    [row] = asyncio.run(list_tasks(OPTIONS))
    assert (row.state, row.last_line) == ("error, waits", "")
    assert row.is_result_unfetched
    assert row.has_cell_ended


def test_log_that_cannot_be_read_leaves_its_row(connect: Connect) -> None:
    """U23: the other rows have their lines, without blank ones; a long one has an ellipsis at its end."""
    connect(FakeApi(task_pod("a", age=2), task_pod("b"), logs={"a": 403, "b": f"one\ntwo{'x' * 99}\n\n"}))
    refused, readable = asyncio.run(list_tasks(OPTIONS))
    assert refused.last_line == ""
    assert readable.last_line == "two" + "x" * 56 + "…"


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"conditions": [UNSCHEDULABLE]}, "Unschedulable"),
        ({"containerStatuses": [waiting("primary", "ImagePullBackOff")]}, "ImagePullBackOff"),
        ({"containerStatuses": [waiting("other", "CrashLoopBackOff")]}, "Pending"),
        (
            {"phase": "Pending", "containerStatuses": [{"name": "primary", "state": {"running": {}}}]},
            "Pending",
        ),
        ({"conditions": [{**UNSCHEDULABLE, "status": "True"}]}, "Pending"),
        ({}, "Pending"),
    ],
)
def test_state_of_a_pod_that_waits_is_its_reason(status: dict[str, Any], state: str) -> None:
    """U23: as kubectl shows it; containers that the pod does not have do not count."""
    assert task_pod("a", status={"phase": "Pending", **status}).state == state


@pytest.mark.fault(90)
@pytest.mark.parametrize("numbers", ["{long} 0/1", "1 {long}/1", "1 0/{long}"])
def test_log_that_looks_like_the_runners_does_not_break_the_list(numbers: str, connect: Connect) -> None:
    """Anybody may write a line like a frame's, with a number that Python does not convert."""
    forged = f"{FRAME_LINE_PREFIX} {numbers.format(long='9' * 5000)} {'0' * 32} QUJD\n"
    connect(FakeApi(task_pod("a", age=2), task_pod("b"), logs={"a": f"before\n{forged}", "b": "fine\n"}))
    assert [row.last_line for row in asyncio.run(list_tasks(OPTIONS))] == ["before", "fine"]


def test_column_of_users_is_shown_if_there_are_several() -> None:
    """A task without a user has a dash."""
    own = TaskRow(task_pod("a"), "Running", 60, "")
    other = TaskRow(task_pod("b", user=""), "Running", 60, "")
    assert repr(TaskList([own], "c/n")).split("\n")[0].split() == [
        "name",
        "state",
        "age",
        "pod",
        "last",
        "line",
    ]
    lines = repr(TaskList([own, other], "c/n")).split("\n")
    assert [line.split()[0] for line in lines] == ["user", "alice", "-"]


def test_list_shows_nothing_of_what_a_log_tries_to_do() -> None:
    """Control characters are escaped in text, and markup in HTML."""
    shown = TaskList([TaskRow(task_pod("a"), "Running", 1, "\x1b[2J<b>")], "c/n")
    assert "\\x1b[2J<b>" in repr(shown)
    assert "\\x1b[2J&lt;b&gt;" in shown._repr_html_()


SWEEP = "map-0123456789"


@pytest.mark.feature("N10")
def test_map_is_one_row_that_unfolds_to_its_workers() -> None:
    """It says how many workers are in which state, how long the first one exists, and why one waits; HTML has a line for each."""
    workers = [
        TaskRow(task_pod(name, alias="sweep", map_name=SWEEP), state, age, line)
        for name, state, age, line in [
            ("a", "Running", 60, "loss 0.1"),
            ("b", "Running", 90, "<b>"),
            ("c", "Pending", 30, ""),
        ]
    ]
    tasks = TaskList([workers[0], TaskRow(task_pod("d"), "Running", 60, ""), *workers[1:]], "c/n")
    _, sweep, other = repr(tasks).split("\n")
    assert re.split("  +", sweep) == ["sweep", "2 Running, 1 Pending", "90 s", "3 pods", "loss 0.1"]
    assert other.split()[0] == "d"
    shown = tasks._repr_html_()
    assert "<details><summary" in shown
    assert "<div>b · Running · 90 s · &lt;b&gt;</div><div>c · Pending · 30 s</div></details>" in shown


@pytest.mark.feature("N10")
def test_pods_with_the_label_of_another_persons_map_are_a_row_of_their_own() -> None:
    """Whoever creates a pod chooses its labels."""
    rows = [TaskRow(task_pod(name, name, map_name=SWEEP), "Running", 1, "") for name in ("alice", "bob")]
    assert [entry.cells[3] for entry in TaskList(rows, "c/n").entries] == ["1 pod", "1 pod"]


def test_empty_list_names_the_namespace() -> None:
    """In HTML, too, where a name cannot be markup; it says how to see another namespace."""
    rest = "Of another namespace: %podtask list -n NAME."
    assert repr(TaskList([], "c/n")) == f"No tasks in c/n. {rest}"
    assert TaskList([], "<c>/n")._repr_html_() == f"<div>No tasks in &lt;c&gt;/n. {rest}</div>"
