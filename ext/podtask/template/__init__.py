"""The user's pod template: every form it is accepted in, its validation, and where it is saved.

This package never adds anything of a task to a template, and never makes a request.
"""

__all__ = ["card", "restricted", "safe_yaml", "store", "template", "validation"]
