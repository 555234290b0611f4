"""Objects of libraries that are nothing but settings and content, though pickle cannot send them as they are.

They have locks, or attributes that only their own version of Python has. Each module of the table has a
function ``reduce``.
"""

from typing import Any, Callable, Dict, Optional

# Class -> module of this package.
REDUCERS = {
    "_contextvars.ContextVar": "context_variables",
    "_struct.Struct": "struct_formats",
    "_weakrefset.WeakSet": "weak_collections",
    "asyncio.locks.BoundedSemaphore": "asyncio_objects",
    "asyncio.locks.Condition": "asyncio_objects",
    "asyncio.locks.Event": "asyncio_objects",
    "asyncio.locks.Lock": "asyncio_objects",
    "asyncio.locks.Semaphore": "asyncio_objects",
    "asyncio.queues.LifoQueue": "asyncio_objects",
    "asyncio.queues.PriorityQueue": "asyncio_objects",
    "asyncio.queues.Queue": "asyncio_objects",
    "builtins.mappingproxy": "views",
    "builtins.memoryview": "views",
    "builtins.weakref": "weak_references",  # in Python 3.10
    "rich.console.Console": "rich_consoles",
    "unittest.mock._Call": "mock_calls",
    "weakref.ReferenceType": "weak_references",
    "weakref.WeakKeyDictionary": "weak_collections",
    "weakref.WeakValueDictionary": "weak_collections",
}
# The same for a class whose subclasses are meant, too.
REDUCERS_OF_SUBCLASSES = {
    "argparse.Action": "argparse_actions",
    "argparse._ActionsContainer": "argparse_actions",
    "bokeh.model.model.Model": "bokeh_models",
    "builtins.BaseException": "exceptions",
    **dict.fromkeys(("builtins.property", "builtins.classmethod", "builtins.staticmethod"), "descriptors"),
    **dict.fromkeys(
        (
            *(
                f"builtins.{name}"
                for name in ("int", "float", "complex", "str", "bytes", "tuple", "frozenset")
            ),
            *(f"builtins.{name}" for name in ("list", "dict", "set")),
            *(f"datetime.{name}" for name in ("date", "time", "timedelta")),
            *("collections.deque", "decimal.Decimal", "fractions.Fraction", "numpy.ndarray"),
        ),
        "extended_types",
    ),
}

_by_type: Dict[Any, Optional[Callable[[Any], Any]]] = {}


def reduce(obj: Any) -> Any:
    """Return the reduced form of an object whose class is in the table, else NotImplemented."""
    kind = type(obj)
    if kind not in _by_type:
        _by_type[kind] = _reducer(kind)
    found = _by_type[kind]
    return NotImplemented if found is None else found(obj)


def first_reduced(obj: Any, *reducers: Callable[[Any], Any]) -> Any:
    """Return the first reduced form that is not NotImplemented; NotImplemented if there is none."""
    for reducer in reducers:
        reduced = reducer(obj)
        if reduced is not NotImplemented:
            return reduced
    return NotImplemented


def with_links(obj: Any, reduced: Any, can_pickle: Optional[Callable[[Any], bool]]) -> Any:
    """Return the reduced form of an object; that of an exception with its cause and context.

    Args:
        obj: The object.
        reduced: Its reduced form so far.
        can_pickle: Returns whether a cause or context can be pickled; None to leave them out.
    """
    if can_pickle is None or not issubclass(type(obj), BaseException):
        return reduced
    # Start-up cost: loaded when it is first needed.
    from . import exceptions

    return exceptions.with_links(obj, reduced, can_pickle)


def _reducer(kind: Any) -> Optional[Callable[[Any], Any]]:
    names = [f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__]
    inherited = next(filter(None, map(REDUCERS_OF_SUBCLASSES.get, names)), None)
    module = REDUCERS.get(names[0], inherited)
    if module is None:
        return None
    found: Callable[[Any], Any] = __import__(f"{__package__}.{module}", fromlist=["reduce"]).reduce
    return found
