"""Where a value is in a draft: read and written in place, so that nothing beside it is touched. Pure."""

from __future__ import annotations

from typing import Any, Protocol


class FieldRef(Protocol):
    """A value of a draft, which may be missing."""

    @property
    def path(self) -> str:
        """As problems name it: ``spec.containers[0].image``."""

    def get(self) -> Any:
        """Returns the value; None where there is none."""

    def set(self, value: Any) -> None:
        """Puts a value there; None takes it away."""


class Root:
    """The whole of a draft."""

    path = ""

    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole

    def get(self) -> dict[str, Any]:
        """Returns it."""
        return self._whole

    def set(self, value: Any) -> None:
        """Never: a draft has a whole."""
        raise NotImplementedError


class Key:
    """The value of a key of a mapping.

    Args:
        parent: the mapping; made when something is put into it.
        name: the key.
        stays: it is kept when its last key is taken away (``emptyDir: {}`` says something).
    """

    def __init__(self, parent: FieldRef, name: str, stays: bool = False) -> None:
        self._parent = parent
        self._name = name
        self.stays = stays

    @property
    def path(self) -> str:
        """Its parent's and its name."""
        return f"{self._parent.path}.{self._name}" if self._parent.path else self._name

    def get(self) -> Any:
        """Returns the value."""
        owner = self._parent.get()
        return owner.get(self._name) if isinstance(owner, dict) else None

    def set(self, value: Any) -> None:
        """Puts it there; a mapping whose last key goes, goes too."""
        owner = self._parent.get()
        if value is not None:
            if not isinstance(owner, dict):
                owner = {}
                self._parent.set(owner)
            owner[self._name] = value
        elif isinstance(owner, dict):
            owner.pop(self._name, None)
            if not owner and isinstance(self._parent, Key) and not self._parent.stays:
                self._parent.set(None)


def at(parent: FieldRef, *names: str) -> Key:
    """Returns the place of a key in a key in a parent."""
    place = Key(parent, names[0])
    return at(place, *names[1:]) if len(names) > 1 else place


def entries(*places: FieldRef) -> int:
    """Returns how many entries the lists and mappings of places have, all together."""
    found = [place.get() for place in places]
    return sum(len(each) for each in found if isinstance(each, (list, dict)))


def filled(*places: FieldRef) -> int:
    """Returns how many of the places have a value."""
    return sum(place.get() is not None for place in places)


class Item:
    """A mapping in a list, by its identity: its number changes when others go."""

    def __init__(self, items: FieldRef, item: dict[str, Any]) -> None:
        self._items = items
        self._item = item

    @property
    def path(self) -> str:
        """The list's and its number; that of a next one where it is not in there yet."""
        listed = self._items.get() or []
        number = next((n for n, item in enumerate(listed) if item is self._item), len(listed))
        return f"{self._items.path}[{number}]"

    def get(self) -> dict[str, Any]:
        """Returns it."""
        return self._item

    def set(self, value: Any) -> None:
        """Never: a list's owner puts items in and takes them out."""
        raise NotImplementedError
