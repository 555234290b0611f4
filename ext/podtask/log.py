"""The log of podtask itself: off by default.

Modules log to ``logging.getLogger(__name__)``, so every record goes through the logger ``podtask``.
A user switches the log on with ``%podtask verbose``, with ``PODTASK_LOG=debug`` in the environment,
or with a handler of their own. Records never contain keys, tokens or values of variables.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from .errors import InputError
from .runner.safe_text import safe_text

LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s.%(msecs)03d %(name)s: %(message)s"
LOGGER = logging.getLogger("podtask")


class _RedactingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return safe_text(super().format(record))


class _StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]  # it takes one from Python 3.11 on
    """Writes to the current ``sys.stderr``, which a kernel may replace at any time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(_RedactingFormatter(FORMAT, "%H:%M:%S"))

    @property
    def stream(self) -> TextIO:
        """The current standard error stream."""
        return sys.stderr


def set_level(level: str | None) -> None:
    """Write log records of a level and above to standard error.

    Args:
        level: One of LEVELS; None switches the log off.

    Raises:
        InputError: The level is unknown.
    """
    if level is not None and level.lower() not in LEVELS:
        raise InputError(f"Unknown log level {level!r}.", f"Levels: {', '.join(LEVELS)}.")
    for handler in list(LOGGER.handlers):
        if isinstance(handler, _StderrHandler):
            LOGGER.removeHandler(handler)
    LOGGER.setLevel(logging.NOTSET)
    if level is not None:
        LOGGER.setLevel(level.upper())
        LOGGER.addHandler(_StderrHandler())


def set_level_from_environment() -> None:
    """Set the log level from the environment variable PODTASK_LOG; an unknown level counts as debug."""
    level = os.environ.get("PODTASK_LOG", "").lower()
    if level:
        set_level(level if level in LEVELS else "debug")
