"""Names in the notebook's namespace that belong to IPython and are not sent to a pod. Pure."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

HISTORY = {"In": "_ih", "Out": "_oh"}
NAMES = {"get_ipython", "exit", "quit", "display", "open"}
IPYTHON_PACKAGES = {"IPython", "ipykernel"}


def is_ipython_name(name: str, namespace: Mapping[str, Any]) -> bool:
    """Return whether a name belongs to IPython or Python; a user's variable of that name does not."""
    if name in HISTORY:
        return namespace[name] is namespace.get(HISTORY[name])
    if name in NAMES:
        value = namespace[name]
        return value is getattr(builtins, name, None) or _root(value) in IPYTHON_PACKAGES
    return name.startswith("__") and name.endswith("__")


def _root(value: Any) -> str:
    """Return the package that defines a function, or the class of an object."""
    # Not __module__: IPython's open wraps the builtin and has its __module__.
    place = getattr(getattr(value, "__func__", value), "__globals__", None)
    module = place.get("__name__") if isinstance(place, dict) else type(value).__module__
    return str(module).partition(".")[0]
