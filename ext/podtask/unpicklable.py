"""Finds what in a value cannot be pickled, and says where it is."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from typing import Any

from .errors import InputError
from .runner.pack import Nowhere, Packer

MOST_TRIES = 2000
DEEPEST = 20


class Unsendable(InputError):
    """A value that the cell reads cannot be pickled.

    Args:
        root: the name in the cell.
    """

    def __init__(self, what: str, do: str, root: str) -> None:
        super().__init__(what, do)
        self.root = root


Unsendable.__name__ = "InputError"  # what a notebook shows


def culprit(
    name: str, value: Any, namespace: dict[str, Any], plain: bool, error: Exception, root: str
) -> Unsendable:
    """Returns the error that names what cannot be sent, and where inside the value it is.

    Args:
        name: of the value.
        value: what was not pickled.
        namespace: the notebook's globals.
        plain: it goes to another minor version, as plain data.
        error: what pickling it raised.
        root: the name that the cell reads; ``name`` itself, or a function that needs it.
    """
    path, found, why = _Search(namespace, plain).down(name, value, error)
    via = f", read by {root}" if root != name else ""
    return Unsendable(
        f"{path} ({type(found).__name__}{via}) cannot be sent: {why}",
        "Make it in the cell instead, or name with -i what the cell really needs.",
        root,
    )


class _Search:
    def __init__(self, namespace: dict[str, Any], plain: bool) -> None:
        self._namespace = namespace
        self._plain = plain
        self._tries = MOST_TRIES
        self._seen: set[int] = set()

    def down(self, path: str, value: Any, error: Exception) -> tuple[str, Any, str]:
        """Follows the first part that fails, to the innermost one."""
        for _ in range(DEEPEST):
            self._seen.add(id(value))
            for place, part in _parts(value):
                failed = self._fails(part)
                if failed is not None:
                    path, value, error = path + place, part, failed
                    break
            else:
                break
        return path, value, str(error) or type(error).__name__

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
    """Yields (place, part) of what a value holds."""
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
    elif not isinstance(value, type):
        if isinstance(value, types.FunctionType):
            free = inspect.getclosurevars(value).nonlocals
            yield from ((f"'s {name}", part) for name, part in free.items())
        for attribute, part in list(getattr(value, "__dict__", {}).items()):
            yield f".{attribute}", part


def _short(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= 40 else text[:37] + "..."
