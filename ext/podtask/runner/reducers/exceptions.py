"""How an exception of the notebook travels: by its arguments and attributes. Its ``__init__`` does not run again.

It may have taken other arguments than those that it passed on, or have changed them.
"""

import builtins
from typing import Any, Tuple

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


def make_exception(kind: Any, args: Tuple[Any, ...]) -> Any:
    """Return an exception with its arguments, and without attributes."""
    return kind.__new__(kind, *args)
