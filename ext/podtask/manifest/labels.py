"""Labels and annotations of a task's pod, and the exit codes of its runner. Pure."""

from __future__ import annotations

MANAGED_BY = "app.kubernetes.io/managed-by"
TASK_LABEL = "podtask/task"
KERNEL_LABEL = "podtask/kernel"
USER_LABEL = "podtask/user"
NAME_LABEL = "podtask/name"
NOTEBOOK_LABEL = "podtask/notebook"
BOUNDS = "podtask/bounds"
CELL = "podtask/cell"  # in batch mode: the cell, with what --env has
PORT_TAKEN = 98
OTHER_PYTHON = 95
NO_CLIENT = 96
OLD_PYTHON = 97
MOST = 160_000  # bytes; in base64 a third more
VOLUME = "podtask-cell"
