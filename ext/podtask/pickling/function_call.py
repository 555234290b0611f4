"""A function call as a cell: the values to send, and errors in terms of the call. Pure."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..cell.cell import Cell
from ..errors import InputError
from ..runner.protocol import RUNNER_FILENAME
from .unpicklable import UnpicklableError

CALL = "__podtask_call__"
HINT = "Create it inside the function, or pass only what the function needs."
PART = re.compile(rf"{CALL}(?:\[0\]|\[1\]\[(\d+)\]|\[2\]\['(\w+)(?:'|\.\.\.)\])(.*)", re.DOTALL)
ENDINGS = {1: "st", 2: "nd", 3: "rd"}


@dataclass(frozen=True)
class FunctionCall:
    """One call of a function.

    Args:
        function: Function to call.
        args: Positional arguments.
        kwargs: Keyword arguments.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the function for messages."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    @property
    def cell(self) -> Cell:
        """Cell that makes the call; tracebacks leave out its line."""
        wait = "await " if inspect.iscoroutinefunction(inspect.unwrap(self.function)) else ""
        return Cell(f"{wait}{CALL}[0](*{CALL}[1], **{CALL}[2])", f"{RUNNER_FILENAME}/call.py")

    @property
    def values(self) -> dict[str, Any]:
        """Values that the cell reads."""
        return {CALL: (self.function, self.args, dict(self.kwargs))}

    @property
    def namespace(self) -> dict[str, Any]:
        """Globals of the function, or of the notebook if the function has none."""
        found = getattr(inspect.unwrap(self.function), "__globals__", None)
        return sys.modules["__main__"].__dict__ if found is None else found

    def check(self) -> None:
        """Check that the function accepts the arguments, before a pod is started.

        Raises:
            InputError: The function does not accept them. The message has Python's reason.
        """
        try:
            # Not the wrapped function: a decorator may change the parameters.
            signature = inspect.signature(self.function, follow_wrapped=False)
        except (TypeError, ValueError):
            return  # functions in C may have no signature
        try:
            signature.bind(*self.args, **self.kwargs)
        except TypeError as error:
            raise InputError(
                f"Wrong arguments for {self.name}: {error}.",
                f"Its signature is {self.name}{_plain(signature)}.",
            ) from None

    def in_call_terms(self, error: InputError) -> InputError:
        """Return an error about a value to send, worded in terms of the function call."""
        if not isinstance(error, UnpicklableError):
            return InputError(error.message.replace(CALL, f"arguments of {self.name}"), error.hint)
        part = PART.fullmatch(error.unpicklable.path)
        path = error.unpicklable.path.replace(CALL, f"arguments of {self.name}")
        if part is not None:
            number, name, inside = part.groups()
            place = f"{_nth(int(number) + 1)} argument" if number else f"argument {name}"
            if not number and not name:
                path = f"{self.name}{inside}"
            elif inside:
                path = f"The {place} of {self.name}: " + inside.removeprefix("'s ")
            else:
                path = f"The {place} of {self.name}"
        return replace(error.unpicklable, path=path).error(error.reader and self.name, HINT)


def _plain(signature: inspect.Signature) -> str:
    """Return a signature without annotations and default values, whose text may be long or fail."""
    empty = inspect.Parameter.empty
    bare = [
        each.replace(annotation=empty, default=empty if each.default is empty else ...)
        for each in signature.parameters.values()
    ]
    made = signature.replace(parameters=bare, return_annotation=empty)
    return str(made).replace("=Ellipsis", "=...")


def _nth(number: int) -> str:
    ending = "th" if 10 < number % 100 < 20 else ENDINGS.get(number % 10, "th")
    return f"{number}{ending}"
