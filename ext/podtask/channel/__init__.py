"""The connection between the notebook and a runner: authenticated, resumable frames.

``channel.py`` reads a live stream, ``log_channel.py`` reads a pod's log. This package never opens
a connection itself (a backend does) and never decodes a pickled value.
"""

__all__ = [
    "channel",
    "enclosure",
    "frame_check",
    "item_channel",
    "job",
    "log_channel",
    "session_channel",
    "session_visit",
]
