"""The filters of ``warnings``, and a ``formatwarning`` or ``showwarning`` of the user."""

import re
import sys
from typing import Any, Dict, List, Optional, Tuple

from .libraries import LOST, apply_each, value_of

# The interpreter's own, in their order: (action, message, category, module, line).
INTERPRETERS = (
    ("default", None, ("builtins", "DeprecationWarning"), "__main__", 0),
    ("ignore", None, ("builtins", "DeprecationWarning"), None, 0),
    ("ignore", None, ("builtins", "PendingDeprecationWarning"), None, 0),
    ("ignore", None, ("builtins", "ImportWarning"), None, 0),
    ("ignore", None, ("builtins", "ResourceWarning"), None, 0),
)
IPYTHONS = ("default", None, ("builtins", "DeprecationWarning"), ("__main__", re.UNICODE), 0)
FUNCTIONS = ("formatwarning", "showwarning")
OWN_FUNCTIONS = ("warnings", "_py_warnings", "logging")  # where Python's own are defined

_last: Tuple[Any, Any] = (None, None)  # filters of which none is of a class of the notebook, and their data
_applied: List[Tuple[int, Any]] = []  # place in the notebook's list, filter


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the filters that are not the interpreter's own, each with its place."""
    global _last
    own_functions = [name for name in FUNCTIONS if not _is_not_of_the_user(name)]
    if _last[0] == module.filters and not own_functions:
        return _last[1]  # type: ignore[no-any-return]
    described = [_describe(each) for each in module.filters]
    for usual in reversed(INTERPRETERS):
        if described and described[-1] == usual:
            described.pop()
    if described and described[-1] == IPYTHONS:  # before others, it overrides them
        described.pop()
    filters = []
    for place, (action, message, owner, where, line) in enumerate(described):
        category: Any = owner
        if owner[0] == "__main__":
            category = pieces.pickled(f"the warning filter of {owner[1]}", module.filters[place][2])
        if category != LOST:
            filters.append((place, (action, message, category, where, line)))
    functions = {name: pieces.pickled(f"warnings.{name}", getattr(module, name)) for name in own_functions}
    found = {"filters": filters, "functions": functions} if filters or functions else None
    if not functions and all(owner[0] != "__main__" for _, _, owner, _, _ in described):
        _last = [*module.filters], found
    return found


def split(data: Dict[str, Any]) -> Dict[str, Any]:
    """Return the data by the module whose import applies it: a category of a library waits for the library."""
    found: Dict[str, Any] = {"warnings": {**data, "filters": []}}
    for each in data["filters"]:
        owner = each[1][2]
        root = owner[0].partition(".")[0] if len(owner) == 2 else "builtins"
        name = "warnings" if root == "builtins" else root
        found.setdefault(name, {"filters": [], "functions": {}})["filters"].append(each)
    return found


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Insert the filters before those of the pod, in the notebook's order."""
    warnings: Any = sys.modules["warnings"]
    for place, (action, message, owner, where, line) in data["filters"]:
        category = value_of(owner)
        if category is owner:
            category = getattr(sys.modules.get(owner[0]), owner[1], None)
        if category is None:
            continue  # the pod's version of the library lacks it
        each = (action, _pattern(message), category, _pattern(where), line)
        filters = warnings.filters
        if each in filters and all(each != known for _, known in _applied):
            filters.remove(each)  # the library's own, at the place where its import puts it
        earlier = [filters.index(known) for at, known in _applied if at < place and known in filters]
        filters.insert(max(earlier, default=-1) + 1, each)
        _applied.append((place, each))
    with warnings.catch_warnings():
        pass  # lets the interpreter notice the change
    apply_each("warnings'", data["functions"], lambda name, value: setattr(warnings, name, value))


def _is_not_of_the_user(name: str) -> bool:
    """Return whether a function is Python's, or that of a library, whose import sets it in the pod, too."""
    function = getattr(sys.modules["warnings"], name)
    owner = getattr(function, "__module__", "warnings")
    is_local = "<locals>" in getattr(function, "__qualname__", "")
    return owner in OWN_FUNCTIONS or (is_local and owner != "__main__")


def _describe(each: Any) -> Tuple[Any, ...]:
    action, message, category, where, line = each
    return action, _text(message), (category.__module__, category.__qualname__), _text(where), line


def _text(pattern: Any) -> Any:
    return (pattern.pattern, pattern.flags) if isinstance(pattern, re.Pattern) else pattern


def _pattern(text: Any) -> Any:
    return re.compile(*text) if isinstance(text, tuple) else text
