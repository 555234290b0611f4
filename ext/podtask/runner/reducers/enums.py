"""How an enumeration of the notebook travels: its members as they are, with their attributes and aliases.

cloudpickle builds an enumeration anew from names and values: without ``__init__`` and ``__new__`` of the
members, aliases, composite flags and boundaries (https://github.com/cloudpipe/cloudpickle/issues/558,
https://github.com/huggingface/datasets/issues/8610). Here the class is sent like any other
(``classes.py``), and each member is an object with attributes.
"""

import enum
import types
from typing import Any, Tuple

from . import classes


def is_enumeration(obj: Any) -> bool:
    """Return whether an object is an enumeration."""
    return isinstance(obj, enum.EnumMeta)


def is_member(obj: Any) -> bool:
    """Return whether an object is a member of an enumeration, or a combination of flags."""
    return isinstance(type(obj), enum.EnumMeta)


def reduce_member(member: Any) -> Any:
    """Return the reduced form of a member that travels with its class."""
    kind = type(member)
    slots = {name: getattr(member, name) for name in classes.slot_names(kind) if hasattr(member, name)}
    name = vars(member).get("_name_")
    value = vars(member).get("_value_")
    args = (kind, name, base_arguments(member), value if type(value) is int else None)
    return make_member, args, (dict(vars(member)), slots), None, None, fill_member


def refer_to_member(member: Any) -> Any:
    """Return the reduced form of a member whose class the other side has."""
    return find_member, (type(member), member._name_, member._value_)


def find_member(kind: Any, name: Any, value: Any) -> Any:
    """Return a member of a complete enumeration; make a combination of flags if it does not exist yet."""
    found = vars(kind)["_member_map_"].get(name)
    return kind(value) if found is None else found


def base_arguments(member: Any) -> Tuple[Any, ...]:
    """Return the arguments for the ``__new__`` of the data type that a member has (int, str, date, ...).

    Raises:
        TypeError: The data type does not say how it is pickled.
    """
    base = _data_type(type(member))
    if base is object:
        return ()
    if issubclass(base, tuple):
        return (tuple(member),)
    if hasattr(base, "__getnewargs__"):
        return tuple(base.__getnewargs__(member))
    reduced = base.__reduce__(member)
    if reduced[0] is not type(member):
        raise TypeError(f"members of the type {base.__name__} cannot be pickled")
    return tuple(reduced[1])


def make_member(kind: Any, name: Any, args: Tuple[Any, ...], _value: Any = None) -> Any:
    """Return a member that has its name, by which it is hashed, and no other attributes yet.

    Args:
        kind: Its enumeration.
        name: Its name.
        args: Arguments of its data type.
        _value: Its value, if it may be a combination of flags, for a side that has the enumeration.
    """
    member = _data_type(kind).__new__(kind, *args)
    vars(member)["_name_"] = name
    return member


def fill_member(member: Any, state: Any) -> None:
    """Give a member its attributes."""
    attributes, slots = state
    vars(member).clear()  # for their order
    vars(member).update(attributes)
    for name, value in slots.items():
        object.__setattr__(member, name, value)


def set_value(member: Any, value: Any) -> None:
    """Give a member its value, by which its enumeration finds it."""
    attributes: Any = vars(type(member))
    found = attributes["_value2member_map_"]
    for key in [key for key, each in found.items() if each is member]:
        del found[key]
    # Python 3.11 and newer keep the values that cannot be hashed here, and 3.13 finds members by the second one.
    unhashable = attributes.get("_unhashable_values_", [])
    unhashable_of_names = attributes.get("_unhashable_values_map_", {})
    unhashable[:] = [each for each in unhashable if each is not member._value_]
    unhashable_of_names.pop(member._name_, None)
    member._value_ = value
    try:
        found[value] = member
    except TypeError:  # a list, say
        unhashable.append(value)
        unhashable_of_names[member._name_] = [value]


def _data_type(kind: Any) -> Any:
    """Return the class in C that members derive from."""
    for each in kind.__mro__:
        if isinstance(vars(each).get("__new__"), types.BuiltinFunctionType):
            return each
    return object
