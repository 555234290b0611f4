"""Definitions that are sent as source even to the same version of Python: models of SQLAlchemy.

A library may keep what it knows of a class in places that cannot be pickled (weak references, compiled mappers).
Executing the class statement in the pod makes all of that again
(https://github.com/facebookincubator/submitit/issues/28). To add a library, extend :func:`_is_registered`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ..cell.scopes import free_names
from .cell_sources import Source, registered_source
from .definitions import names_at_definition
from .ipython_names import is_ipython_name

TABLES = {"Table", "MetaData", "registry"}  # of SQLAlchemy: models refer to these objects by identity


def registered_definitions(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return name -> object of all definitions of the notebook that are sent as source."""
    if "sqlalchemy" not in sys.modules:
        return {}
    return {name: value for name, value in list(namespace.items()) if _is_registered(name, value)}


def _is_registered(name: str, value: Any) -> bool:
    if isinstance(value, type):
        if not any("_sa_registry" in vars(each) for each in value.__mro__):
            return False
        importable = getattr(sys.modules.get(value.__module__), value.__qualname__, None) is value
        return value.__module__ == "__main__" or not importable  # declarative_base() makes it in the library
    kind = type(value)
    return kind.__name__ in TABLES and kind.__module__.startswith("sqlalchemy.") and not name.startswith("_")


def sort_registered(
    registered: Mapping[str, Any], namespace: Mapping[str, Any]
) -> list[tuple[str, Source | None]]:
    """Return the steps that make the definitions, each after what it needs, and then the values that they use.

    Args:
        registered: The result of :func:`registered_definitions`.
        namespace: Globals of the notebook.

    Returns:
        Name and source; without a source, the value of the name is pickled at that place.

    Raises:
        InputError: The source of a definition was not found.
    """
    steps: list[tuple[str, Source | None]] = []
    done: set[str] = set()
    later: set[str] = set()

    def visit(name: str) -> None:
        if name in done or name not in namespace or is_ipython_name(name, namespace):
            return
        done.add(name)
        if name not in registered:
            steps.append((name, None))
            return
        source = registered_source(name, registered[name])
        at_once = names_at_definition(source[0])
        for used in sorted(at_once - {name}):
            visit(used)
        later.update(free_names(source[0]) - at_once)
        steps.extend([(name, source), (name, None)])  # then its number, by which it comes back as itself

    for name in registered:  # in the order of the notebook
        visit(name)
    for name in sorted(later):
        visit(name)
    return steps
