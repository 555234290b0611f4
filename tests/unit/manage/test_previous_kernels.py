"""What the first cell of a kernel says about the tasks of earlier kernels."""

from __future__ import annotations

import pytest
from podtask.manage.previous_kernels import describe_previous_tasks

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


@pytest.mark.parametrize("notebook", ["another", ""])
def test_tasks_of_another_notebook_are_not_reported(notebook: str) -> None:
    """Where the notebook is unknown, as in a terminal, every task is another's."""
    pods = [task_pod("a"), task_pod("b", notebook="", status=in_log())]
    assert describe_previous_tasks(pods, notebook) == []
