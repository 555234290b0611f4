"""The pod of a task: as it is rendered from a template, and as it is read back from a cluster.

Rendering is pure. This package never makes a request.
"""

__all__ = ["diff", "identity", "labels", "pod_manifest", "render", "task_pod"]
