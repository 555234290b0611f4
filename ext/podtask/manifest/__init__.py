"""The pod of a task: rendered from a template, or read back from the cluster.

This package is pure: it never makes a request.
"""

__all__ = [
    "diff",
    "identity",
    "labels",
    "owner_secrets",
    "pod_manifest",
    "render",
    "results_volume",
    "retrying_job",
    "session_pod",
    "task_pod",
    "task_secrets",
]
