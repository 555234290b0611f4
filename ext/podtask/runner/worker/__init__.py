"""The process that executes the cell: inputs, statements, outputs and errors.

This package never opens a socket; it writes frames to the supervisor.
"""

__all__ = [
    "definition_changes",
    "fingerprint",
    "frame_sources",
    "import_hooks",
    "main",
    "module_values",
    "session",
    "shared_names",
]
