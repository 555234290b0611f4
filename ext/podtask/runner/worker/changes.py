"""Detect what a cell did to its inputs: names that it rebound, values that it changed in place.

A changed value is detected by the hash of its pickle, so the value itself may be freed.
"""

from typing import Any, Dict, Iterable, List

from ..protocol import MAX_WATCHED_BYTES
from .definition_changes import DefinitionSnapshot
from .fingerprint import Fingerprint, fingerprint


class InputSnapshot:
    """A namespace as it was before the cell ran.

    Args:
        namespace: Namespace of the cell.
        watched: Names of values that are small enough to be compared.

    Attributes:
        definitions: The classes and functions of the notebook.
    """

    def __init__(self, namespace: Dict[str, Any], watched: Iterable[str]) -> None:
        self._ids = {name: id(value) for name, value in list(namespace.items())}
        self._fingerprints: Dict[str, Fingerprint] = {}
        bytes_left = MAX_WATCHED_BYTES
        for name in watched:
            found, size = fingerprint(namespace[name], namespace, bytes_left)
            bytes_left -= size
            if found is not None:
                self._fingerprints[name] = found
        self.definitions = DefinitionSnapshot(namespace)

    def is_new(self, name: str, value: Any) -> bool:
        """Return whether a name was missing before, or referred to another object."""
        return self._ids.get(name) != id(value)

    def had(self, name: str) -> bool:
        """Return whether a name was there before."""
        return name in self._ids

    def changed_names(self, namespace: Dict[str, Any]) -> List[str]:
        """Return the names whose values differ although they refer to the same object as before.

        A new object may also have the address of an old one that was freed.
        """
        return [
            name
            for name, before in self._fingerprints.items()
            if name in namespace
            and not self.is_new(name, namespace[name])
            and fingerprint(namespace[name], namespace, 2 * MAX_WATCHED_BYTES, before)[0] != before
        ]
