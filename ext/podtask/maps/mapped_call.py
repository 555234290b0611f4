"""A function that is called once for each item, as a cell. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cell.cell import Cell
from ..pickling.function_call import CALL, FunctionCall
from ..runner.protocol import RUNNER_FILENAME

ITEM = "__podtask_item__"  # the variable with the arguments of one item


@dataclass(frozen=True)
class MappedCall(FunctionCall):
    """The call of a function with the arguments of each item in turn.

    Args:
        function: Function to call.
        args: Not used.
        kwargs: Keyword arguments that all calls share.
        needed: Further values that the workers need: what the functions among the items refer to.
    """

    needed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cell(self) -> Cell:
        """Cell that makes one call; tracebacks leave out its line."""
        wait = "await " if inspect.iscoroutinefunction(inspect.unwrap(self.function)) else ""
        return Cell(f"{wait}{CALL}[0](*{ITEM}, **{CALL}[2])", f"{RUNNER_FILENAME}/call.py")

    @property
    def values(self) -> dict[str, Any]:
        """Values that all items share."""
        return {CALL: (self.function, (), dict(self.kwargs)), **self.needed}
