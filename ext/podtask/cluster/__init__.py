"""The Kubernetes API: credentials, requests, watches, events, logs, port-forward and exec.

Only this package imports ``kubernetes`` and ``aiohttp``. It never knows what a task is.
"""

__all__ = [
    "admission",
    "client",
    "current_context",
    "events",
    "exec",
    "jobs",
    "namespace",
    "object_names",
    "own_pod",
    "refusals",
    "secrets",
    "unreachable",
    "watch",
    "workloads",
]
