"""The variables of a session as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Variable(NamedTuple):
    """A variable of a session.

    Attributes:
        name: Its name.
        type: Name of its type.
        size: Its size in bytes, without the objects that it refers to; None if it does not say.
        device: The device that holds it, such as cuda:0; empty for memory.
    """

    name: str
    type: str
    size: int | None
    device: str


def read_variables(described: Sequence[Sequence[Any]]) -> list[Variable]:
    """Return the variables that a result frame describes."""
    return [
        Variable(str(name), str(kind), None if size is None else int(size), str(device))
        for name, kind, size, device in described
    ]
