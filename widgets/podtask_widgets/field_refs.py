"""References to fields of a draft: each reads and writes one value and changes nothing else. Pure."""

from __future__ import annotations

from typing import Any, Protocol


class FieldRef(Protocol):
    """A reference to one field of a draft; the field may be missing."""

    @property
    def path(self) -> str:
        """Path of the field, as problems name it: ``spec.containers[0].image``."""

    def get(self) -> Any:
        """Return the value, or None if the field is missing."""

    def set(self, value: Any) -> None:
        """Set the value; None removes the field."""


class Root:
    """A reference to the whole draft."""

    path = ""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    def get(self) -> dict[str, Any]:
        """Return the draft as a mapping."""
        return self._data

    def set(self, value: Any) -> None:
        """Raise NotImplementedError: the whole draft cannot be replaced."""
        raise NotImplementedError


class Key:
    """A reference to a key of a mapping.

    Args:
        parent: The mapping; it is created when a value is set.
        name: The key.
        keep_empty: Keep the mapping at this key when its last key is removed, because an empty
            mapping has a meaning (``emptyDir: {}``).
    """

    def __init__(self, parent: FieldRef, name: str, keep_empty: bool = False) -> None:
        self._parent = parent
        self._name = name
        self.keep_empty = keep_empty

    @property
    def path(self) -> str:
        """Path of the parent and the key."""
        return f"{self._parent.path}.{self._name}" if self._parent.path else self._name

    def get(self) -> Any:
        """Return the value, or None if the key is missing."""
        owner = self._parent.get()
        return owner.get(self._name) if isinstance(owner, dict) else None

    def set(self, value: Any) -> None:
        """Set the value; None removes the key, and the mapping too if it is empty then."""
        owner = self._parent.get()
        if value is not None:
            if not isinstance(owner, dict):
                owner = {}
                self._parent.set(owner)
            owner[self._name] = value
        elif isinstance(owner, dict):
            owner.pop(self._name, None)
            if not owner and isinstance(self._parent, Key) and not self._parent.keep_empty:
                self._parent.set(None)


def field_ref(parent: FieldRef, *names: str) -> Key:
    """Return a reference to a nested key: ``field_ref(container, "resources", "limits")``."""
    ref = Key(parent, names[0])
    return field_ref(ref, *names[1:]) if len(names) > 1 else ref


def count_entries(*refs: FieldRef) -> int:
    """Return the total number of entries in lists and mappings."""
    values = [ref.get() for ref in refs]
    return sum(len(value) for value in values if isinstance(value, (list, dict)))


def count_set(*refs: FieldRef) -> int:
    """Return the number of fields that have a value."""
    return sum(ref.get() is not None for ref in refs)


class Item:
    """A reference to a mapping in a list by its identity, because its index changes when others are removed."""

    def __init__(self, items: FieldRef, item: dict[str, Any]) -> None:
        self._items = items
        self._item = item

    @property
    def path(self) -> str:
        """Path of the list and the index; an item that is not in the list yet has the next index."""
        items = self._items.get() or []
        index = next((n for n, item in enumerate(items) if item is self._item), len(items))
        return f"{self._items.path}[{index}]"

    def get(self) -> dict[str, Any]:
        """Return the mapping."""
        return self._item

    def set(self, value: Any) -> None:
        """Raise NotImplementedError: items are added and removed by the editor of the list."""
        raise NotImplementedError
