"""Detect what a cell did to its inputs: names that it rebound, values that it changed in place.

A changed value is detected by the hash of its pickle, so the value itself may be freed.
"""

import hashlib
import sys
import types
from typing import Any, Dict, Iterable, List, Optional, Tuple

from .. import pickler
from ..protocol import MAX_WATCHED_BYTES
from ..proxies import reduce_instance

METHODS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)
NOT_INSTANCES = (type, types.FunctionType, types.ModuleType)
Fingerprint = Tuple[bool, bytes]  # whether plain pickle did, the hash


class InputSnapshot:
    """A namespace as it was before the cell ran.

    Args:
        namespace: Namespace of the cell.
        watched: Names of values that are small enough to be compared.
    """

    def __init__(self, namespace: Dict[str, Any], watched: Iterable[str]) -> None:
        self._ids = {name: id(value) for name, value in namespace.items()}
        self._fingerprints: Dict[str, Fingerprint] = {}
        bytes_left = MAX_WATCHED_BYTES
        for name in watched:
            fingerprint, size = _fingerprint(namespace[name], namespace, bytes_left)
            bytes_left -= size
            if fingerprint is not None:
                self._fingerprints[name] = fingerprint

    def is_new(self, name: str, value: Any) -> bool:
        """Return whether a name was missing before, or referred to another object."""
        return self._ids.get(name) != id(value)

    def changed_names(self, namespace: Dict[str, Any]) -> List[str]:
        """Return the names whose values differ although they refer to the same object as before.

        A new object may also have the address of an old one that was freed.
        """
        return [
            name
            for name, before in self._fingerprints.items()
            if name in namespace
            and not self.is_new(name, namespace[name])
            and _hash(namespace[name], namespace, before[0]) != before[1]
        ]


class _TooLarge(Exception):
    """A pickle exceeds its maximum size."""


class _HashWriter:
    """A file that keeps only the hash and the size of what is written."""

    def __init__(self, bytes_left: int) -> None:
        self.size = 0
        self.hash = hashlib.sha256()
        self._bytes_left = bytes_left

    def write(self, data: Any) -> int:
        with memoryview(data) as view:
            size = view.nbytes
            self.size += size
            if self.size > self._bytes_left:
                raise _TooLarge
            self.hash.update(view)
        return size

    def write_buffer(self, view: Any) -> None:
        self.write(view)


def _fingerprint(value: Any, namespace: Dict[str, Any], bytes_left: int) -> Tuple[Optional[Fingerprint], int]:
    """Return the fingerprint of a value, None if it has none, and the number of bytes pickled."""
    used = 0
    # cloudpickle only where the inputs have needed it: it takes longer to import than most cells.
    for plain in (True, False) if "cloudpickle" in sys.modules else (True,):
        file = _HashWriter(bytes_left)
        try:
            _pickle(value, namespace, plain, file)
        except _TooLarge:
            return None, bytes_left
        except Exception:  # whatever a __reduce__ of the user's raises
            used += file.size
        else:
            return (plain, file.hash.digest()), used + file.size
    return None, used


def _hash(value: Any, namespace: Dict[str, Any], plain: bool) -> bytes:
    """Return the hash of a value; empty if it can no longer be pickled, which means that it has changed."""
    file = _HashWriter(2 * MAX_WATCHED_BYTES)
    try:
        _pickle(value, namespace, plain, file)
    except Exception:  # too large now, or whatever a __reduce__ of the user's raises
        return b""
    return file.hash.digest()


def _pickle(value: Any, namespace: Dict[str, Any], plain: bool, file: _HashWriter) -> None:
    with pickler.Packer(file, namespace, plain, _reduce_without_caches) as packer:
        packer.dump(value)


def _reduce_without_caches(obj: Any) -> Any:
    """Return the reduced form of an instance without what it caches: reading a value may fill its caches."""
    reduced = reduce_instance(obj)
    if reduced is NotImplemented:
        kind = type(obj)
        if issubclass(kind, NOT_INSTANCES) or not any(
            _is_cache(kind, name) for name in _attributes(obj, kind)
        ):
            return NotImplemented
        reduced = obj.__reduce_ex__(pickler.PROTOCOL)
    if not isinstance(reduced, tuple) or len(reduced) < 3:
        return reduced
    make, args, state, *more = reduced
    if isinstance(state, tuple):
        return (make, args, tuple(_without_caches(part, type(obj)) for part in state), *more)
    return (make, args, _without_caches(state, type(obj)), *more)


def _without_caches(state: Any, kind: Any) -> Any:
    """Return the state of an instance without caches; None if it is empty, as from pickle itself."""
    if type(state) is not dict:
        return state
    return {name: value for name, value in state.items() if not _is_cache(kind, name)} or None


def _attributes(obj: Any, kind: Any) -> Iterable[Any]:
    try:
        attributes: Iterable[Any] = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        attributes = ()
    slots = getattr(kind, "__slots__", ())
    return [*attributes, *([slots] if isinstance(slots, str) else slots)]


def _is_cache(kind: Any, name: Any) -> bool:
    """Return whether an attribute holds a cache, by its name or because a property stores its value there."""
    if not isinstance(name, str):
        return False
    if name.startswith("_") and "cache" in name.lower():
        return True
    found = next((vars(each)[name] for each in kind.__mro__ if name in vars(each)), None)
    return (
        hasattr(type(found), "__get__")
        and not hasattr(type(found), "__set__")
        and not isinstance(found, METHODS)
    )
