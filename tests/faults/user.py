"""Actions of a user of a scripted cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import podtask

from .scripts import Script
from .server import Server

Play = Callable[[Script], Server]
SECONDS = 60


def submit(source: str = "print('here')\n40 + 2", **options: Any) -> podtask.Task:
    """Submit a cell."""
    return podtask.submit(source, options=podtask.RunOptions.of(**options))
