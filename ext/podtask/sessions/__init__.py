"""Sessions: one runner that stays, in which cell after cell runs in the same process.

``registry.py`` finds the session of a cell. A cell of a session is an ordinary task (``lifecycle``) whose launcher
does not start a runner of its own. ``shared_values.py`` decides which value of a name counts, the notebook's or the
session's. This package never shows anything.
"""

__all__ = ["bindings", "names", "registry", "session", "visit"]
