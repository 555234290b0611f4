"""The maps of this kernel, by name."""

from __future__ import annotations

import weakref
from typing import Protocol


class OwnMap(Protocol):
    """A map, or the calls of an executor, whose workers this kernel has started."""

    @property
    def name(self) -> str:
        """The name in the label of its workers' pods."""

    @property
    def alias(self) -> str:
        """The user's name for it; empty if it has none."""

    @property
    def has_ended(self) -> bool:
        """Whether all items, and all workers, have ended."""

    @property
    def summary(self) -> str:
        """How far it is, in a few words."""

    def cancel_nowait(self) -> None:
        """End all workers, without waiting."""


_maps: weakref.WeakValueDictionary[str, OwnMap] = weakref.WeakValueDictionary()


def add(each: OwnMap) -> None:
    """Remember a map as long as somebody has it."""
    _maps[each.name] = each


def find(name: str) -> OwnMap | None:
    """Return a map of this kernel that has not ended; None if none has the name, or several have it.

    Args:
        name: Its name, or the name given with ``--name``.
    """
    found = [each for each in list(_maps.values()) if name in (each.name, each.alias) and not each.has_ended]
    return found[0] if len(found) == 1 else None
