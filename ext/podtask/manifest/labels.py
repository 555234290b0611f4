"""Names of the labels, annotations and volumes that podtask puts on a pod. Pure."""

from __future__ import annotations

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "podtask"  # the value of that label
TASK_LABEL = "podtask/task"
KERNEL_LABEL = "podtask/kernel"
USER_LABEL = "podtask/user"
NAME_LABEL = "podtask/name"
NOTEBOOK_LABEL = "podtask/notebook"
SESSION_LABEL = "podtask/session"  # the name of the session whose pod it is
MAP_LABEL = "podtask/map"  # the name of the map whose worker the pod has
BOUNDS_ANNOTATION = "podtask/bounds"  # the time limits of the task
PROTOCOL_ANNOTATION = "podtask/protocol"  # the version of the protocol that the runner speaks
RESULTS_ANNOTATION = "podtask/results"  # "plain" if nothing of the results may be unpickled
SESSION_ANNOTATION = (
    "podtask/session-options"  # of a session: how long it stays idle, and the options of its first cell
)
CELL_ANNOTATION = "podtask/cell"  # in batch mode: the cell, its inputs and the values of --env
ENCLOSED_ANNOTATION = "podtask/enclosed"  # of a detached task without Secrets: the cell and its inputs
PARTS_ANNOTATION = "podtask/parts"  # of a detached task: the names and sizes of the Secrets with its cell
CELL_VOLUME = "podtask-cell"  # the files that bring the cell: from one of these annotations, or from Secrets
