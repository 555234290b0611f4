"""Tasks that are in the cluster already: find, list, read, delete, and run commands in their pods.

This package works on pods by their labels, whoever created them. It never follows a task and
never touches a pod that is not a task's.
"""

__all__ = ["exec", "lookup", "names", "operations", "previous_kernels", "task_list"]
