"""How instances of the notebook's classes travel that extend a type of Python or numpy: a number, a text, a list.

pickle calls the class or its ``__new__`` with the value alone, which may take other arguments, and calls methods
such as ``append``, which the class may override. Some types (Decimal, date, Counter, arrays) do not pickle
attributes at all.
"""

import collections
import enum
import sys
from typing import Any, Callable, Dict, Optional, Tuple

from . import classes, containers

HOOKS = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
ATTRIBUTE_HOOKS = ("__getattr__", "__getattribute__")
CALLED = ("__new__", "__init__", "__setitem__", "append", "extend")  # by pickle
WITH_ARGUMENTS = (int, float, complex, str, bytes, tuple)  # they have __getnewargs__

_reducers: Dict[Any, Optional[Callable[[Any], Any]]] = {}  # by class


def reduce(obj: Any) -> Any:
    """Return the reduced form; NotImplemented if pickle's own does the same, or the class says how it is pickled."""
    kind = type(obj)
    if kind not in _reducers:
        _reducers[kind] = _reducer(kind)
    found = _reducers[kind]
    return NotImplemented if found is None else found(obj)


def _reducer(kind: Any) -> Optional[Callable[[Any], Any]]:
    own = [each for each in kind.__mro__ if each.__module__ == "__main__" and not _is_named_tuple(each)]
    names = {name for each in own for name in vars(each)}
    if not own or isinstance(kind, enum.EnumMeta) or names.intersection((*HOOKS, *ATTRIBUTE_HOOKS)):
        return None
    if issubclass(kind, containers.BUILT_IN):
        drops_attributes = issubclass(kind, (collections.Counter, collections.defaultdict))
        return _reduce_container if drops_attributes or names.intersection(CALLED) else None
    base = containers.base_of(kind)
    if base.__name__ == "ndarray":
        return _reduce_array
    drops_attributes = not issubclass(base, WITH_ARGUMENTS)
    return _reduce_immutable if drops_attributes or "__new__" in names else None


def _is_named_tuple(kind: Any) -> bool:
    """Return whether a class was made by ``namedtuple`` or ``NamedTuple``: its methods are not the user's."""
    return kind.__bases__ == (tuple,) and "_field_defaults" in vars(kind)


def _reduce_container(obj: Any) -> Any:
    made = containers.make_empty, (type(obj), containers.setting_of(obj))
    return (*made, containers.content(obj), None, None, containers.fill)


def _reduce_immutable(obj: Any) -> Any:
    kind = type(obj)
    base = containers.base_of(kind)
    if issubclass(base, WITH_ARGUMENTS):
        args = base.__getnewargs__(obj)
    elif base is frozenset:
        args = ([*frozenset.__iter__(obj)],)
    elif base.__name__ == "Fraction":
        args = obj._numerator, obj._denominator  # noqa: SLF001 -- its properties may be overridden
    else:
        args = base.__reduce__(obj)[1]
    return make_immutable, (kind, *args), _state(obj), None, None, classes.fill_instance


def make_immutable(kind: Any, *args: Any) -> Any:
    """Return an instance by the ``__new__`` of the type that its class extends."""
    return containers.base_of(kind).__new__(kind, *args)


def _reduce_array(array: Any) -> Any:
    if not vars(array):
        return NotImplemented
    make, args, state = array.__reduce__()
    return make, args, (state, _state(array)), None, None, fill_array


def fill_array(array: Any, state: Tuple[Any, Any]) -> None:
    """Give an array its values and attributes."""
    values, attributes = state
    sys.modules["numpy"].ndarray.__setstate__(array, values)
    classes.fill_instance(array, attributes)


def _state(obj: Any) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    slots = {name: getattr(obj, name) for name in classes.slot_names(type(obj)) if hasattr(obj, name)}
    return {**getattr(obj, "__dict__", {})}, slots
