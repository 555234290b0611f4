"""How an exception travels: by its arguments and attributes, with its cause and context, which pickle leaves out.

The ``__init__`` of the notebook's exceptions does not run again: it may have taken other arguments than those that it
passed on, or have changed them.
"""

import builtins
import copyreg
import sys
from typing import Any, Callable, Tuple

from .identity import fill_attributes

RENDERER = "_render_traceback_"  # shows the error in the notebook's IPython, and stays there
# They have attributes that only their own code in C sets.
WITH_FIELDS: Tuple[Any, ...] = (
    *(OSError, SyntaxError, UnicodeError, StopIteration, SystemExit, ImportError, NameError, AttributeError),
    *filter(None, [getattr(builtins, "BaseExceptionGroup", None)]),
)


def reduce(error: Any) -> Any:
    """Return the reduced form; NotImplemented for exceptions of libraries, and those with a way of their own."""
    kind: Any = type(error)
    base: Any = BaseException
    is_own = kind.__module__ == "__main__" or "<locals>" in kind.__qualname__
    usual = kind.__reduce__ is base.__reduce__ and kind.__reduce_ex__ is base.__reduce_ex__
    if not is_own or not usual or issubclass(kind, WITH_FIELDS) or hasattr(kind.__new__, "__code__"):
        return _without_renderer(error)
    attributes = {name: value for name, value in vars(error).items() if name != RENDERER}
    return make_exception, (kind, error.args), attributes, None, None, fill_attributes


def _without_renderer(error: Any) -> Any:
    """Return the usual reduced form without IPython's renderer; NotImplemented if there is none."""
    if RENDERER not in getattr(error, "__dict__", {}):
        return NotImplemented
    made = error.__reduce_ex__(4)
    if not isinstance(made, tuple) or len(made) < 3 or not isinstance(made[2], dict):
        return NotImplemented
    return (*made[:2], {name: value for name, value in made[2].items() if name != RENDERER}, *made[3:])


def with_links(error: Any, reduced: Any, can_pickle: Callable[[Any], bool]) -> Any:
    """Return the reduced form of an exception with its ``__cause__`` and ``__context__``.

    Args:
        error: The exception.
        reduced: Its reduced form without them; NotImplemented if it is the usual one.
        can_pickle: Returns whether an exception can be pickled without its own cause and context.
    """
    links = {
        name: getattr(error, name)
        for name in ("__cause__", "__context__")
        if getattr(error, name) is not None and _other_side_has(type(getattr(error, name)), type(error))
    }
    links = {name: link for name, link in links.items() if can_pickle(link)}
    has_own_reducer = type(error) in copyreg.dispatch_table
    if has_own_reducer or (not links and not error.__suppress_context__):
        return reduced
    usual = error.__reduce_ex__(4) if reduced is NotImplemented else reduced
    if not isinstance(usual, tuple) or any(each is not None for each in usual[3:5]):
        return reduced
    state = usual[2] if len(usual) > 2 else None
    fill = usual[5] if len(usual) > 5 else None
    return (*usual[:2], (state, fill, links, error.__suppress_context__), None, None, fill_with_links)


def _other_side_has(kind: Any, error: Any) -> bool:
    """Return whether the class of a link needs no library that the exception itself does not need."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
    is_installed = "site-packages" in file or "dist-packages" in file
    return not is_installed or kind.__module__.partition(".")[0] == error.__module__.partition(".")[0]


def fill_with_links(error: Any, state: Any) -> None:
    """Give an exception its attributes, cause and context."""
    own, fill, links, suppresses = state
    if own is not None:
        (fill or type(error).__setstate__)(error, own)
    for name, link in links.items():
        setattr(error, name, link)
    error.__suppress_context__ = suppresses


def make_exception(kind: Any, args: Tuple[Any, ...]) -> Any:
    """Return an exception with its arguments, and without attributes."""
    return kind.__new__(kind, *args)
