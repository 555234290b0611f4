"""A function's call as a cell: what is sent for it, and the user's words for its parts. Pure."""

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
from .unpicklable import Unsendable

CALL = "__podtask_call__"
DO = "Make it in the function instead, or give it just what it needs."
PART = re.compile(rf"{CALL}(?:\[0\]|\[1\]\[(\d+)\]|\[2\]\['(\w+)(?:'|\.\.\.)\])(.*)", re.DOTALL)
ENDINGS = {1: "st", 2: "nd", 3: "rd"}


@dataclass(frozen=True)
class FunctionCall:
    """One call of a function.

    Args:
        function: what is called.
        args: its positional arguments.
        kwargs: its keyword arguments.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the user calls the function."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    @property
    def cell(self) -> Cell:
        """The cell that does it; in a traceback its line is not one of the user's."""
        wait = "await " if inspect.iscoroutinefunction(inspect.unwrap(self.function)) else ""
        return Cell(f"{wait}{CALL}[0](*{CALL}[1], **{CALL}[2])", f"{RUNNER_FILENAME}/call.py")

    @property
    def values(self) -> dict[str, Any]:
        """What the cell reads."""
        return {CALL: (self.function, self.args, dict(self.kwargs))}

    @property
    def namespace(self) -> dict[str, Any]:
        """The globals of the function, else the notebook's."""
        found = getattr(inspect.unwrap(self.function), "__globals__", None)
        return sys.modules["__main__"].__dict__ if found is None else found

    def check(self) -> None:
        """Find arguments that the function does not take, before a pod is started for them.

        Raises:
            InputError: there are such; says what Python would.
        """
        try:
            # Not what a decorator has wrapped: it may take other arguments.
            signature = inspect.signature(self.function, follow_wrapped=False)
        except (TypeError, ValueError):
            return  # of code in C, which may not say it
        try:
            signature.bind(*self.args, **self.kwargs)
        except TypeError as error:
            raise InputError(
                f"{self.name} cannot be called so: {error}.", f"It is {self.name}{_plain(signature)}."
            ) from None

    def in_call_terms(self, error: InputError) -> InputError:
        """Return an error of what is sent, in the caller's words for that."""
        if not isinstance(error, Unsendable):
            return InputError(error.message.replace(CALL, f"arguments of {self.name}"), error.hint)
        part = PART.fullmatch(error.found.path)
        path = error.found.path.replace(CALL, f"arguments of {self.name}")
        if part is not None:
            number, name, inside = part.groups()
            place = f"{_nth(int(number) + 1)} argument" if number else f"argument {name}"
            if not number and not name:
                path = f"{self.name}{inside}"
            elif inside:
                path = f"The {place} of {self.name}: " + inside.removeprefix("'s ")
            else:
                path = f"The {place} of {self.name}"
        return replace(error.found, path=path).error(error.reader and self.name, DO)


def _plain(signature: inspect.Signature) -> str:
    """Return it without annotations and values, which may be long or fail to say what they are."""
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
