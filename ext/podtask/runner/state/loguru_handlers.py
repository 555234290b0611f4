"""The handlers of loguru, which cannot be sent: the pod's logger writes to stderr, as a new one does."""

import sys
from typing import Any


def capture(module: Any, pieces: Any) -> None:
    """Tell the user if the handlers are not those of a new logger."""
    handlers = module.logger._core.handlers  # noqa: SLF001 -- loguru has no other way to list them
    sinks = [getattr(each._sink, "_stream", None) for each in handlers.values()]  # noqa: SLF001
    if [*handlers] != [0] or sinks != [sys.stderr]:
        pieces.leave_out("the set-up of loguru's logger")


def apply(module: Any, data: Any) -> None:
    """Do nothing: no data are sent."""
