"""The options of a run, the types of their values, and the settings that replace missing options.

This package never reads a template and never makes a request.
"""

__all__ = ["files", "notification", "option_types", "options", "quantities", "settings"]
