"""What the first cell of a kernel says about the tasks of earlier kernels."""

from __future__ import annotations

import pytest
from podtask.manage.previous_kernels import describe_previous_tasks
from podtask.manifest.session_pod import SessionRecord
from podtask.manifest.task_pod import TaskPod

from .cluster import NOTEBOOK, fetched, in_log, task_pod

pytestmark = pytest.mark.fault(86)


def test_running_tasks_and_waiting_results_have_a_line_each() -> None:
    """A result that was fetched needs none."""
    pods = [
        task_pod("podtask-a", alias="one"),
        task_pod("podtask-b"),
        task_pod("podtask-c", alias="three", status=in_log()),
        task_pod("podtask-d", alias="four", status=fetched()),
    ]
    assert describe_previous_tasks(pods, NOTEBOOK) == [
        "2 tasks of this notebook are still running: one, podtask-b (%podtask attach NAME, or cancel NAME)",
        "finished, result not fetched: three (%podtask attach NAME)",
    ]


@pytest.mark.feature("N10")
def test_map_is_named_once() -> None:
    """Whatever the number of its workers."""
    workers = [task_pod(name, map_name="map-0123456789") for name in ("podtask-a", "podtask-b")]
    assert describe_previous_tasks(workers, NOTEBOOK) == [
        "1 task of this notebook is still running: map-0123456789 (%podtask attach NAME, or cancel NAME)"
    ]


@pytest.mark.parametrize("notebook", ["another", ""])
def test_tasks_of_another_notebook_are_not_reported(notebook: str) -> None:
    """Where the notebook is unknown, as in a terminal, every task is another's."""
    pods = [task_pod("a"), task_pod("b", notebook="", status=in_log())]
    assert describe_previous_tasks(pods, notebook) == []


def test_sessions_have_a_line_of_their_own() -> None:
    """A session waits for nobody to fetch a result: it goes on until its idle time is over."""
    pod = task_pod("podtask-s", alias="gpu")
    session = TaskPod(pod.for_session("gpu", SessionRecord(1800, {})).pod)
    assert describe_previous_tasks([session], NOTEBOOK) == [
        "sessions of this notebook that go on: gpu (%%podtask --session NAME, or %podtask end NAME)"
    ]
