"""How properties and class methods travel, also those of classes that extend them."""

from typing import Any

from .identity import fill_attributes

KINDS = (property, classmethod, staticmethod)
# Copied from the function when a class method is made.
COPIED = (
    "__module__",
    "__name__",
    "__qualname__",
    "__doc__",
    "__wrapped__",
    "__annotations__",
    "__annotate__",
)


def reduce(descriptor: Any) -> Any:
    """Return the reduced form; NotImplemented for a class with a way of its own. Its ``__init__`` does not run again."""
    kind: Any = type(descriptor)
    if kind.__reduce__ is not object.__reduce__ or kind.__reduce_ex__ is not object.__reduce_ex__:
        return NotImplemented
    base: Any = next(each for each in KINDS if isinstance(descriptor, each))
    copied: Any = ()
    if base is property:
        parts: Any = descriptor.fget, descriptor.fset, descriptor.fdel, descriptor.__doc__
    else:
        parts, copied = (descriptor.__func__,), COPIED
    if kind is base:
        return kind, parts
    state = {name: each for name, each in vars(descriptor).items() if name not in copied}
    return make_descriptor, (kind, base, parts), state, None, None, fill_attributes


def make_descriptor(kind: Any, base: Any, parts: Any) -> Any:
    """Return a descriptor of a class that extends a class of Python.

    Args:
        kind: The class.
        base: The class of Python.
        parts: Arguments of the latter.
    """
    made = base.__new__(kind)
    base.__init__(made, *parts)
    return made
