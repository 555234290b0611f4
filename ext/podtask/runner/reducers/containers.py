"""How the content of a container is sent apart from it: executing definitions may have changed it meanwhile."""

import collections
import types
import weakref
from typing import Any, Dict, Optional, Tuple

from . import classes, weak_collections

BUILT_IN = (collections.OrderedDict, dict, list, set, collections.deque)  # each class before its base class
WEAK = (weakref.WeakSet, weakref.WeakValueDictionary, weakref.WeakKeyDictionary)
Content = Tuple[Any, Dict[str, Any], Dict[str, Any]]  # items, attributes, slots


def is_container(value: Any) -> bool:
    """Return whether a value is a container of Python, or an instance of the notebook's that is nothing but attributes."""
    kind = type(value)
    if built_in(value) is not None or kind in WEAK:
        return True
    return kind.__module__ == "__main__" and classes.has_plain_instances(kind)


def built_in(value: Any) -> Optional[Any]:
    """Return the class of Python that a container is of, or that its class of the notebook inherits from."""
    if type(value).__module__ not in ("builtins", "collections", "__main__"):
        return None
    return next((kind for kind in BUILT_IN if isinstance(value, kind)), None)


def base_of(kind: Any) -> Any:
    """Return the class whose ``__new__`` makes instances of a class of the notebook."""
    return next(each for each in kind.__mro__ if each.__module__ != "__main__" and "__new__" in vars(each))


def setting_of(container: Any) -> Any:
    """Return what a container has besides its content: its largest size, or what makes its default values."""
    if isinstance(container, collections.deque):
        return container.maxlen
    return container.default_factory if isinstance(container, collections.defaultdict) else None


def make_empty(kind: Any, setting: Any) -> Any:
    """Return an empty container of a class. No method of a class of the notebook is called.

    Args:
        kind: The class.
        setting: Its setting, from :func:`setting_of`.
    """
    if kind in WEAK:
        return kind()
    made = base_of(kind).__new__(kind)
    if isinstance(made, collections.deque):
        collections.deque.__init__(made, (), setting)
    elif isinstance(made, collections.defaultdict):
        collections.defaultdict.__init__(made, setting)
    return made


def content(value: Any) -> Content:
    """Return the content of a container, the attributes of a function, or the content of one of its cells."""
    if isinstance(value, types.CellType):
        return None, {"cell_contents": value.cell_contents}, {}
    kind = built_in(value)
    items: Any = None
    if type(value) in WEAK:
        items = [*value] if isinstance(value, weakref.WeakSet) else [*value.items()]
    elif kind in (dict, collections.OrderedDict):
        items = [*kind.items(value)]
    elif kind is not None:
        items = [*kind.__iter__(value)]
    attributes = {} if type(value) in WEAK else {**getattr(value, "__dict__", {})}
    names = classes.slot_names(type(value)) if type(value).__module__ == "__main__" else []
    return items, attributes, {name: getattr(value, name) for name in names if hasattr(value, name)}


def fill(container: Any, new: Content) -> None:
    """Replace what :func:`content` has returned. No method of a class of the notebook is called."""
    items, attributes, slots = new
    if isinstance(container, types.CellType):
        container.cell_contents = attributes["cell_contents"]
        return
    kind = built_in(container)
    if type(container) in WEAK:
        container.clear()
        weak_collections.fill(container, items)
        return
    if kind is not None:
        kind.clear(container)
    if kind is dict:
        dict.update(container, items)
    elif kind is collections.OrderedDict:
        for key, value in items:
            kind.__setitem__(container, key, value)
    elif kind is set:
        set.update(container, items)
    elif kind is not None:
        kind.extend(container, items)
    if hasattr(container, "__dict__"):
        vars(container).clear()
    classes.fill_instance(container, (attributes, slots))
