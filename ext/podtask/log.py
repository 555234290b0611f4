"""The log of podtask itself: silent until a user switches it on.

Modules log to ``logging.getLogger(__name__)``, so every record goes through the logger ``podtask``.
A user sees the records after ``%podtask verbose``, with ``PODTASK_LOG=debug`` in the environment,
or through handlers of their own. Records never hold keys, tokens or values.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from .errors import InputError

LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s.%(msecs)03d %(name)s: %(message)s"
LOGGER = logging.getLogger("podtask")


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Write to what ``sys.stderr`` is when a record comes: a kernel replaces it for each cell."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter(FORMAT, "%H:%M:%S"))

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The standard error stream of now."""
        return sys.stderr


def set_level(level: str | None) -> None:
    """Write records to standard error, from a level on.

    Args:
        level: One of LEVELS; None to write nothing.

    Raises:
        InputError: There is no such level.
    """
    if level is not None and level.lower() not in LEVELS:
        raise InputError(f"There is no log level {level!r}.", f"Levels: {', '.join(LEVELS)}.")
    for handler in list(LOGGER.handlers):
        if isinstance(handler, _StderrHandler):
            LOGGER.removeHandler(handler)
    LOGGER.setLevel(logging.NOTSET)
    if level is not None:
        LOGGER.setLevel(level.upper())
        LOGGER.addHandler(_StderrHandler())


def set_level_from_environment() -> None:
    """Set the level that ``PODTASK_LOG`` names; an unknown one counts as ``debug``."""
    level = os.environ.get("PODTASK_LOG", "").lower()
    if level:
        set_level(level if level in LEVELS else "debug")
