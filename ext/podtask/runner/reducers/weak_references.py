"""How weak references travel: with what they refer to."""

import weakref
from typing import Any, List

IS_IN_POD = __name__.startswith("_podtask_runner.")
# What keeps an object alive in the notebook may not have been sent. The process in the pod runs one cell.
_kept: List[Any] = []


def reduce(reference: Any) -> Any:
    """Return the reduced form of a weak reference."""
    return make_reference, (reference(), reference.__callback__)


def make_reference(obj: Any, callback: Any) -> Any:
    """Return a weak reference.

    Args:
        obj: What it refers to; None if that does not exist any longer.
        callback: Called at its end; may be None.
    """
    if obj is None:
        return weakref.ref(set())  # nothing else refers to the set
    if IS_IN_POD:
        _kept.append(obj)
    return weakref.ref(obj, callback)
