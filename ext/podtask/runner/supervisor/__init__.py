"""The runner's main process: serves clients, keeps frames, and outlives the worker.

This package never executes the user's code.
"""

__all__ = ["main", "spool"]
