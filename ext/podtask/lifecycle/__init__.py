"""One submitted cell, from its preparation to its outcome: start, follow, retry, attach.

``task.py`` holds the handle that a user gets. This package never shows anything and never imports
``display``; it reports to listeners. (It is not called ``task``, because ``podtask.task`` is the
public decorator.)
"""

__all__ = ["attach", "interfaces", "outcome", "prepare", "start", "task", "updates"]
