"""Manage tasks that already exist in the cluster: find, list and delete them, and run commands in them.

This package finds pods by their labels, whoever created them. It never follows a task, and never
touches a pod that does not run a task.
"""

__all__ = [
    "exec",
    "explain",
    "lookup",
    "names",
    "operations",
    "own_maps",
    "previous_kernels",
    "session_pods",
    "task_list",
    "user",
    "waiting_parts",
]
