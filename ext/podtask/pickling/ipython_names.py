"""What in a notebook's namespace is IPython's own: a pod has its own, or no use for it. Pure."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

HISTORY = {"In": "_ih", "Out": "_oh"}
NAMES = {"get_ipython", "exit", "quit", "display", "open"}
THEIRS = {"IPython", "ipykernel"}


def is_hidden(name: str, namespace: Mapping[str, Any]) -> bool:
    """Return whether a name of the notebook does not travel; the user's own of the same name does."""
    if name in HISTORY:
        return namespace[name] is namespace.get(HISTORY[name])
    if name in NAMES:
        value = namespace[name]
        return value is getattr(builtins, name, None) or _root(value) in THEIRS
    return name.startswith("__") and name.endswith("__")


def _root(value: Any) -> str:
    """Return the package of a function's code, or of an object's class."""
    # Not __module__: IPython's open is wrapped, and has the builtin's.
    place = getattr(getattr(value, "__func__", value), "__globals__", None)
    module = place.get("__name__") if isinstance(place, dict) else type(value).__module__
    return str(module).partition(".")[0]
