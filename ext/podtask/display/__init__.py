"""What a user sees of a task: output, status line, details, tables and tracebacks.

This package renders what ``lifecycle`` reports, in a notebook or a terminal. It never decides
what happens to a task.
"""

__all__ = [
    "background",
    "foreground",
    "map_view",
    "stacks",
    "status_line",
    "task_table",
    "tracebacks",
    "view",
]
