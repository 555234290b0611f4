"""Attributes in which an instance caches something: reading a value fills them, and does not change it."""

import types
from typing import Any, Iterable

from .proxy_objects import reduce_instance

METHODS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)
NOT_INSTANCES = (type, types.FunctionType, types.ModuleType)
PROTOCOL = 5  # as in ``pickler``, which is loaded later


def reduce_without_caches(obj: Any) -> Any:
    """Return the reduced form of an instance without what it caches: reading a value may fill its caches."""
    reduced = reduce_instance(obj)
    if reduced is NotImplemented:
        kind = type(obj)
        if issubclass(kind, NOT_INSTANCES) or not _may_have_caches(obj, kind):
            return NotImplemented
        reduced = obj.__reduce_ex__(PROTOCOL)
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
