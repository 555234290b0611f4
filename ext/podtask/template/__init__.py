"""The user's pod template: the forms in which it is accepted, its validation, and where it is saved.

This package never adds parts of a task to a template, and never makes a request.
"""

__all__ = [
    "card",
    "gpus",
    "pod_document",
    "restricted",
    "safe_yaml",
    "shared_memory",
    "store",
    "template",
    "validation",
    "yaml_writer",
]
