"""The fingerprint of a value: the hash of its pickle. The value itself may be freed."""

import hashlib
import types
from typing import Any, Dict, Iterable, Optional, Tuple

from .. import pickler
from ..proxy_objects import reduce_instance
from ..reducers import identity

METHODS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)
NOT_INSTANCES = (type, types.FunctionType, types.ModuleType)

Fingerprint = Tuple[bool, bytes]  # whether plain pickle did, the hash
CHANGED = (False, b"")  # of a value that can no longer be pickled, or is too large now


class TooLarge(Exception):
    """A pickle exceeds its maximum size."""


class HashWriter:
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
                raise TooLarge
            self.hash.update(view)
        return size

    def write_buffer(self, view: Any) -> None:
        self.write(view)


def fingerprint(
    value: Any, namespace: Dict[str, Any], bytes_left: int, before: Optional[Fingerprint] = None
) -> Tuple[Optional[Fingerprint], int]:
    """Return the fingerprint of a value, None if it has none, and the number of bytes pickled.

    Args:
        value: The value.
        namespace: Namespace of the cell.
        bytes_left: Maximum size of its pickle.
        before: An earlier fingerprint to compare with; a value that has none now differs from it.
    """
    if before is not None:
        return _again(value, namespace, bytes_left, before[0]), 0
    used = 0
    # cloudpickle only where the inputs have classes or functions: it takes longer to import than most cells.
    for plain in (True, False) if identity.NUMBERS.received else (True,):
        file = HashWriter(bytes_left)
        try:
            _pickle(value, namespace, plain, file)
        except TooLarge:
            return None, bytes_left
        except Exception:  # whatever a __reduce__ of the user's raises
            used += file.size
        else:
            return (plain, file.hash.digest()), used + file.size
    return None, used


def _again(value: Any, namespace: Dict[str, Any], bytes_left: int, plain: bool) -> Fingerprint:
    file = HashWriter(bytes_left)
    try:
        _pickle(value, namespace, plain, file)
    except Exception:  # too large now, or whatever a __reduce__ of the user's raises
        return CHANGED
    return plain, file.hash.digest()


def _pickle(value: Any, namespace: Dict[str, Any], plain: bool, file: HashWriter) -> None:
    with pickler.Packer(file, namespace, plain, _reduce_without_caches) as packer:
        packer.dump(value)


def _reduce_without_caches(obj: Any) -> Any:
    """Return the reduced form of an instance without what it caches: reading a value may fill its caches."""
    reduced = reduce_instance(obj)
    if reduced is NotImplemented:
        kind = type(obj)
        if issubclass(kind, NOT_INSTANCES) or not _may_have_caches(obj, kind):
            return NotImplemented
        reduced = obj.__reduce_ex__(pickler.PROTOCOL)
    if not isinstance(reduced, tuple) or len(reduced) < 3:
        return reduced
    make, args, state, *more = reduced
    if isinstance(state, tuple):
        return (make, args, tuple(without_caches(part, type(obj)) for part in state), *more)
    return (make, args, without_caches(state, type(obj)), *more)


def without_caches(state: Any, kind: Any) -> Any:
    """Return the state of an instance without caches; None if it is empty, as from pickle itself."""
    if type(state) is not dict:
        return state
    return {
        name: value
        for name, value in state.items()
        if not _is_cache(kind, name) and not (_is_private(name) and _is_unset(value))
    } or None


def _may_have_caches(obj: Any, kind: Any) -> bool:
    try:
        attributes: Iterable[Any] = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        attributes = ()
    slots = getattr(kind, "__slots__", ())
    slots = [slots] if isinstance(slots, str) else slots
    # xarray sets a slot to an empty dict when it is first read.
    return any(map(_is_private, slots)) or any(_is_cache(kind, name) for name in [*attributes, *slots])


def _is_unset(value: Any) -> bool:
    return value is None or (type(value) is dict and not value)


def _is_private(name: Any) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__")


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
