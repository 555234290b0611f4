"""Find the part of a value that cannot be pickled, and its path in the value."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..runner.pickler import NullFile, Packer
from .made_functions import plain_packer

MAX_TRIES = 2000
MAX_DEPTH = 20
HINT = "Create it in the cell, or send only the variables that the cell needs with -i."


@dataclass(frozen=True)
class Unpicklable:
    """A part of a value that cannot be pickled.

    Args:
        path: Path of the part, starting with the name of the value.
        kind: Name of its type.
        why: Message of the error that pickling it raised.
        hint: What to do, if that differs from the usual hint.
    """

    path: str
    kind: str
    why: str
    hint: str = ""

    def error(self, reader: str, hint: str) -> InputError:
        """Return the error to show to the user.

        Args:
            reader: Function that reads the value; empty if the cell itself reads it.
            hint: Hint to use if this part has none of its own.
        """
        via = f", read by {reader}" if reader else ""
        return InputError(f"{self.path} ({self.kind}{via}) cannot be sent: {self.why}", self.hint or hint)


class UnpicklableError(InputError):
    """A value that the cell reads cannot be pickled.

    Args:
        unpicklable: The part that cannot be pickled.
        root: Name that the cell reads.
        reader: The same name if it is a function that reads the value; else empty.
    """

    def __init__(self, unpicklable: Unpicklable, root: str, reader: str) -> None:
        error = unpicklable.error(reader, HINT)
        super().__init__(error.message, error.hint)
        self.unpicklable, self.root, self.reader = unpicklable, root, reader


# The class that a user can catch. Jupyter's error message takes the name (ename) from the class itself.
UnpicklableError.__name__ = "InputError"


def find_unpicklable(
    name: str, value: Any, namespace: dict[str, Any], plain: bool, error: Exception, root: str
) -> UnpicklableError:
    """Return an error that names the part of a value that cannot be pickled.

    Args:
        name: Name of the value.
        value: Value that could not be pickled.
        namespace: Globals of the notebook.
        plain: Whether the value was pickled as plain data, for another minor Python version.
        error: Error that pickling it raised.
        root: Name that the cell reads: ``name`` itself, or a function that needs it.
    """
    found = _Search(namespace, plain).innermost(name, value, error)
    return UnpicklableError(found, root, root if root != name else "")


class _Search:
    def __init__(self, namespace: dict[str, Any], plain: bool) -> None:
        self._namespace = namespace
        self._plain = plain
        self._tries = MAX_TRIES
        self._seen: set[int] = set()

    def innermost(self, path: str, value: Any, error: Exception) -> Unpicklable:
        """Follow the first part that cannot be pickled, down to the innermost one."""
        for _ in range(MAX_DEPTH):
            self._seen.add(id(value))
            for place, part in _parts(value):
                failed = self._fails(part)
                if failed is not None:
                    path, value, error = path + place, part, failed
                    break
            else:
                break
        if isinstance(error, InputError):  # podtask's own, for a task handle
            return Unpicklable(path, type(value).__name__, error.message, error.hint)
        return Unpicklable(path, type(value).__name__, str(error) or type(error).__name__)

    def _fails(self, part: Any) -> Exception | None:
        if id(part) in self._seen or self._tries <= 0:
            return None
        self._tries -= 1
        try:
            with (
                plain_packer(NullFile(), self._namespace)
                if self._plain
                else Packer(NullFile(), self._namespace, plain=False)
            ) as packer:
                packer.dump(part)
        except Exception as error:  # noqa: BLE001 -- any error means that it cannot be pickled
            return error
        return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the relative path and the value of each part of a value."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield f"[{_short(key)}]", part
            yield f"'s key {_short(key)}", key
    elif isinstance(value, (list, tuple)):
        for place, part in enumerate(value):
            yield f"[{place}]", part
    elif isinstance(value, (set, frozenset)):
        for part in value:
            yield "'s element", part
    elif isinstance(value, types.FunctionType):
        yield from _of_function(value)
    elif isinstance(value, type):
        yield from _of_class(value)
    elif getattr(type(value), "stays_here", False) is not True:  # a value may answer for any attribute
        yield from _of_object(value)


def _of_class(kind: type) -> Iterator[tuple[str, Any]]:
    if _by_value(kind):
        for attribute, part in list(vars(kind).items()):
            yield f".{attribute}", getattr(part, "__func__", part)


def _of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    free = inspect.getclosurevars(function).nonlocals
    yield from ((f"'s {name}", part) for name, part in free.items())
    defaults = function.__defaults__ or ()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    given = [*zip(reversed(names), reversed(defaults), strict=False)]
    for name, part in [*given, *(function.__kwdefaults__ or {}).items()]:
        yield f"'s default for {name}", part
    yield from ((f".{name}", part) for name, part in vars(function).items())


def _of_object(value: Any) -> Iterator[tuple[str, Any]]:
    for attribute, part in list(getattr(value, "__dict__", {}).items()):
        yield f".{attribute}", part
    for kind in type(value).__mro__:
        for name, slot in list(vars(kind).items()) if "__slots__" in vars(kind) else ():
            if isinstance(slot, types.MemberDescriptorType) and hasattr(value, name):
                yield f".{name}", getattr(value, name)
    if _by_value(type(value)):
        yield ".__class__", type(value)


def _by_value(kind: type) -> bool:
    """Return whether a class is pickled by value; other classes are pickled as a reference to their name."""
    return kind.__module__ == "__main__" or "<locals>" in kind.__qualname__


def _short(key: object) -> str:
    text = repr(key)
    return text if len(text) <= 40 else text[:37] + "..."
