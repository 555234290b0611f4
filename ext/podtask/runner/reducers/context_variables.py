"""Variables of contextvars arrive with their default and their value in the context of the cell."""

import contextvars
from typing import Any, Tuple

from . import identity


def reduce(variable: Any) -> Any:
    """Return the reduced form of a variable. It keeps its identity: each function finds its value by that."""
    context = contextvars.copy_context()
    made = identity.Made(make_variable, variable.name, _default(variable))
    value = (context[variable],) if variable in context else ()
    number = identity.NUMBERS.number_of(variable)
    return identity.track, (number, made), value, None, None, set_value


def _default(variable: Any) -> Tuple[Any, ...]:
    """Return the default of a variable; nothing if it has none."""
    try:
        return (contextvars.Context().run(variable.get),)
    except LookupError:
        return ()


def make_variable(name: str, default: Tuple[Any, ...]) -> Any:
    """Return a new variable.

    Args:
        name: Its name.
        default: Its default; may be empty.
    """
    return contextvars.ContextVar(name, default=default[0]) if default else contextvars.ContextVar(name)


def set_value(variable: Any, value: Tuple[Any, ...]) -> None:
    """Set a variable, unless it has no value."""
    if value:
        variable.set(value[0])
