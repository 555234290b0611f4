"""The Python interface: submit, run, render, session, ``@podtask.task`` and attach.

This package resolves templates and options, then hands a prepared cell to ``lifecycle``. It never
parses a command line and never talks to a runner.
"""

__all__ = ["attach", "check", "decorator", "load", "resolve", "session", "session_list", "submit"]
