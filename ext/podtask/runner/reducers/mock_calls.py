"""Calls that mocks of ``unittest.mock`` have recorded.

Attributes of a call that do not exist are calls, too: pickle asks for ``__setstate__`` before the call has the
attributes that ``__getattr__`` reads, and never comes to an end.
"""

from typing import Any, Dict, Tuple


def reduce(call: Any) -> Any:
    """Return the reduced form: name, arguments and keywords, and the attributes."""
    return make_call, (type(call), tuple(call), vars(call))


def make_call(kind: Any, items: Tuple[Any, ...], attributes: Dict[str, Any]) -> Any:
    """Return a call with these items and attributes."""
    made = tuple.__new__(kind, items)
    vars(made).update(attributes)
    return made
