"""Names in the notebook's namespace that belong to IPython and are not sent to a pod. Pure."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

HISTORY = {"In": "_ih", "Out": "_oh"}
NAMES = {"get_ipython", "exit", "quit", "display", "open"}
# Of every module, and those that kernels and editors set; a user's own, such as __version__, is a variable.
SPECIAL_NAMES = {
    "__name__",
    "__package__",
    "__loader__",
    "__spec__",
    "__builtin__",
    "__builtins__",
    "__annotations__",
    "__annotate__",
    "__conditional_annotations__",
    "__session__",
    "__vsc_ipynb_file__",
}
MAIN_DOC = "Automatically created module for IPython interactive environment"
IPYTHON_PACKAGES = {"IPython", "ipykernel"}


def is_ipython_name(name: str, namespace: Mapping[str, Any]) -> bool:
    """Return whether a name belongs to IPython or Python; a user's variable of that name does not."""
    if name in HISTORY:
        return namespace[name] is namespace.get(HISTORY[name])
    if name in NAMES:
        value = namespace[name]
        return value is getattr(builtins, name, None) or _root(value) in IPYTHON_PACKAGES
    if name == "__doc__":
        return namespace[name] in (None, MAIN_DOC)
    return name in SPECIAL_NAMES


def _root(value: object) -> str:
    """Return the package that defines a function, or the class of an object."""
    # Not __module__: IPython's open wraps the builtin and has its __module__.
    place = getattr(getattr(value, "__func__", value), "__globals__", None)
    module = place.get("__name__") if isinstance(place, dict) else type(value).__module__
    return str(module).partition(".")[0]
