"""The program that runs a cell in the pod: a supervisor process and a worker process.

``bundle.py`` sends these files as text, so the image needs nothing but Python 3.9 or later. All other
modules import the standard library only, and nothing from outside this package.
"""

__all__ = [
    "bound_names",
    "bundle",
    "cloud_pickler",
    "durations",
    "ipython",
    "log_lines",
    "merging_unpickler",
    "notification",
    "pickler",
    "plain_items",
    "podtask_stub",
    "protocol",
    "proxy_objects",
    "reducers",
    "results_file",
    "safe_text",
    "stamps",
    "state",
    "supervisor",
    "value_summary",
    "worker",
]
