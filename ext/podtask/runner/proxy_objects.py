"""Pickle instances whose class answers for any attribute, such as a proxy that forwards to another object.

``pickle`` looks up its own methods (``__getnewargs__``, ``__setstate__``) on the instance, so such a class answers for
them, too: it pickles the other object in place of the proxy, or recurses without end when it is unpickled.
"""

import copyreg
import types
from typing import Any, Dict, Tuple

NEW = (object.__new__, list.__new__, dict.__new__)
OWN_METHODS = ("__reduce__", "__reduce_ex__", "__getstate__")
HOOKS = ("__setstate__", "__getnewargs__", "__getnewargs_ex__")


class Remote:
    """Pickled as the function that its source makes on the other side.

    Args:
        source: A lambda.
    """

    def __init__(self, source: str) -> None:
        self._source = source

    def __call__(self, *args: Any) -> None:
        """Do nothing: pickle requires a callable."""

    def __reduce__(self) -> Any:
        return eval, (self._source,)


NEW_INSTANCE = Remote("lambda kind: kind.__new__(kind)")  # copyreg.__newobj__ asks the instance for its class
# Sets the state without a look-up on the instance.
SET_STATE = Remote(
    "lambda obj, state: ((state[0] and object.__getattribute__(obj, '__dict__').update(state[0])),"
    " [object.__setattr__(obj, *each) for each in state[1].items()]) and None"
)


def reduce_instance(obj: Any) -> Any:
    """Return the reduced form of an instance whose class answers for any attribute, else NotImplemented."""
    kind = type(obj)
    if not _answers_for_any_attribute(kind) or _has_own_pickling(kind):
        return NotImplemented
    items = iter([*list.__iter__(obj)]) if issubclass(kind, list) else None
    pairs = iter([*dict.items(obj)]) if issubclass(kind, dict) else None
    return NEW_INSTANCE, (kind,), _state(obj, kind), items, pairs, SET_STATE


def _answers_for_any_attribute(kind: Any) -> bool:
    return hasattr(kind, "__getattr__") or type(kind.__getattribute__) is types.FunctionType


def _has_own_pickling(kind: Any) -> bool:
    """Return whether a class defines how it is pickled, or has memory that only its own code in C knows."""
    if kind in copyreg.dispatch_table or issubclass(kind, type):
        return True
    if any(getattr(kind, name, None) is not getattr(object, name, None) for name in OWN_METHODS):
        return True
    if any(hasattr(kind, name) for name in HOOKS):
        return True
    return not (type(kind.__new__) is types.FunctionType or kind.__new__ in NEW)


def _state(obj: Any, kind: Any) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Return the attributes of an instance and the values of its slots, without a look-up on the instance."""
    try:
        attributes = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        attributes = {}
    slots = {}
    for name in copyreg._slotnames(kind):  # type: ignore[attr-defined]  # noqa: SLF001 -- as pickle does
        try:
            slots[name] = object.__getattribute__(obj, name)
        except AttributeError:
            continue  # never set
    return attributes, slots
