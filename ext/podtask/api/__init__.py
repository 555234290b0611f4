"""The Python interface: submit, run, render, session, ``@podtask.task``, Executor and attach.

This package resolves templates and options, then hands a prepared cell to ``lifecycle``. It never
parses a command line and never talks to a runner.
"""

__all__ = [
    "attach",
    "check",
    "decorator",
    "executor",
    "joblib_backend",
    "joblib_import",
    "load",
    "resolve",
    "session",
    "session_list",
    "submit",
]
