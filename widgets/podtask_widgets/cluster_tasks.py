"""What the task list reads from the rows of tasks. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from podtask.manage.task_list import MapRow, TaskList, TaskRow


def container_names(row: TaskRow) -> list[str]:
    """Return the names of a task's containers, the primary one first and init containers last."""
    spec = row.pod.pod["spec"]
    names = [each["name"] for each in [*spec["containers"], *spec.get("initContainers", [])]]
    return sorted(names, key=lambda name: name != row.pod.primary)


def is_worker(row: TaskRow | MapRow) -> bool:
    """Return whether a row is that of a worker of a map."""
    return isinstance(row, TaskRow) and bool(row.pod.map)


def row_cells(row: TaskRow | MapRow) -> tuple[str, ...]:
    """Return the texts of a row, one for each column."""
    return ("worker", *row.cells[1:]) if is_worker(row) else row.cells


def shown_rows(tasks: TaskList, unfolded: set[str]) -> Iterator[TaskRow | MapRow]:
    """Yield the tasks and the maps; after a map, its workers if they are to be shown.

    Args:
        tasks: The tasks.
        unfolded: Keys of the maps whose workers are shown.
    """
    for entry in tasks.entries:
        yield entry
        if isinstance(entry, MapRow) and entry.key in unfolded:
            yield from entry.workers
