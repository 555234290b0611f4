"""Find what in a value cannot be pickled, and says where it is."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..runner.pickler import Nowhere, Packer

MOST_TRIES = 2000
DEEPEST = 20
DO = "Make it in the cell instead, or name with -i what the cell really needs."


@dataclass(frozen=True)
class Found:
    """What cannot be sent.

    Args:
        path: where it is, from the name of a value on.
        kind: the name of its type.
        why: what pickling it raised.
        hint: what to do; empty for the usual.
    """

    path: str
    kind: str
    why: str
    hint: str = ""

    def error(self, reader: str, hint: str) -> InputError:
        """Return the error that says so.

        Args:
            reader: the function that reads the value; empty where it is the cell.
            hint: the usual thing to do.
        """
        via = f", read by {reader}" if reader else ""
        return InputError(f"{self.path} ({self.kind}{via}) cannot be sent: {self.why}", self.hint or hint)


class Unsendable(InputError):
    """A value that the cell reads cannot be pickled.

    Args:
        found: what and where.
        root: the name in the cell.
        reader: the root, where that is a function which reads the value; else empty.
    """

    def __init__(self, found: Found, root: str, reader: str) -> None:
        told = found.error(reader, DO)
        super().__init__(told.message, told.hint)
        self.found, self.root, self.reader = found, root, reader


Unsendable.__name__ = "InputError"  # what a notebook shows


def find_unpicklable(
    name: str, value: Any, namespace: dict[str, Any], plain: bool, error: Exception, root: str
) -> Unsendable:
    """Return the error that names what cannot be sent, and where inside the value it is.

    Args:
        name: of the value.
        value: what was not pickled.
        namespace: the notebook's globals.
        plain: it goes to another minor version, as plain data.
        error: what pickling it raised.
        root: the name that the cell reads; ``name`` itself, or a function that needs it.
    """
    found = _Search(namespace, plain).down(name, value, error)
    return Unsendable(found, root, root if root != name else "")


class _Search:
    def __init__(self, namespace: dict[str, Any], plain: bool) -> None:
        self._namespace = namespace
        self._plain = plain
        self._tries = MOST_TRIES
        self._seen: set[int] = set()

    def down(self, path: str, value: Any, error: Exception) -> Found:
        """Follow the first part that fails, to the innermost one."""
        for _ in range(DEEPEST):
            self._seen.add(id(value))
            for place, part in _parts(value):
                failed = self._fails(part)
                if failed is not None:
                    path, value, error = path + place, part, failed
                    break
            else:
                break
        if isinstance(error, InputError):  # of our own: a task's handle
            return Found(path, type(value).__name__, error.message, error.hint)
        return Found(path, type(value).__name__, str(error) or type(error).__name__)

    def _fails(self, part: Any) -> Exception | None:
        if id(part) in self._seen or self._tries <= 0:
            return None
        self._tries -= 1
        try:
            with Packer(Nowhere(), self._namespace, self._plain) as packer:
                packer.dump(part)
        except Exception as error:  # noqa: BLE001 -- that is the question
            return error
        return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield (place, part) of what a value holds."""
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
    elif not getattr(value, "stays_here", False):
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
        yield f"'s default of {name}", part
    yield from ((f".{name}", part) for name, part in vars(function).items())


def _of_object(value: Any) -> Iterator[tuple[str, Any]]:
    for attribute, part in list(getattr(value, "__dict__", {}).items()):
        yield f".{attribute}", part
    for kind in type(value).__mro__:
        for name, slot in list(vars(kind).items()) if "__slots__" in vars(kind) else ():
            if isinstance(slot, types.MemberDescriptorType) and hasattr(value, name):
                yield f".{name}", getattr(value, name)
    if _by_value(type(value)):
        yield "'s class", type(value)


def _by_value(kind: type) -> bool:
    """Return whether a class travels with its attributes: others are known by their name there."""
    return kind.__module__ == "__main__" or "<locals>" in kind.__qualname__


def _short(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= 40 else text[:37] + "..."
