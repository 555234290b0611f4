"""The ``%%podtask`` cell magic and the ``%podtask`` line magic: arguments, commands, completion.

This package reads what a user types and calls the others. It never talks to a cluster itself and
holds no rule about pods.
"""

__all__ = ["commands", "completion", "current_session", "doctor", "magic"]
