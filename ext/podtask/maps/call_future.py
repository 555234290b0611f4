"""The future of one call of an executor."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from .item_output import ItemOutput


class CallFuture(concurrent.futures.Future[Any]):
    """The future of one call of a ``podtask.Executor``."""

    stays_here = True  # the search for a part of a value that cannot be pickled stops here

    def __init__(self) -> None:
        super().__init__()
        self._output = ItemOutput()

    def add_output(self, data: bytes) -> None:
        """Add output of the call."""
        self._output.add(0, data)

    def logs(self) -> str:
        """Return the output of the call so far; at most its first MiB."""
        return self._output.text(0)
