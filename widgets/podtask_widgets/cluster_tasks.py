"""What the task list reads from the rows of tasks. Pure."""

from __future__ import annotations

from podtask.manage.task_list import TaskRow


def container_names(row: TaskRow) -> list[str]:
    """Return the names of a task's containers, the primary one first and init containers last."""
    spec = row.pod.pod["spec"]
    names = [each["name"] for each in [*spec["containers"], *spec.get("initContainers", [])]]
    return sorted(names, key=lambda name: name != row.pod.primary)
