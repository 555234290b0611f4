"""How an exception of the notebook travels: by its arguments and attributes. Its ``__init__`` does not run again.

It may have taken other arguments than those that it passed on, or have changed them.
"""

import builtins
from typing import Any, Tuple

from .identity import fill_attributes

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
        return NotImplemented
    return make_exception, (kind, error.args), dict(vars(error)), None, None, fill_attributes


def make_exception(kind: Any, args: Tuple[Any, ...]) -> Any:
    """Return an exception with its arguments, and without attributes."""
    return kind.__new__(kind, *args)
