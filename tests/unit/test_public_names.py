"""The public names of the package, which are loaded when they are first used."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import podtask


def test_star_import_provides_every_public_name() -> None:
    """``from podtask import *`` imports exactly the names of ``__all__``, each from the module that defines it."""
    namespace: dict[str, Any] = {}
    exec("from podtask import *", namespace)
    assert namespace.keys() - {"__builtins__"} == set(podtask.__all__)
    assert {name for name, value in namespace.items() if getattr(value, "__name__", name) != name} == set()
    assert set(podtask.__all__) <= set(dir(podtask))


def test_type_checkers_see_the_same_names() -> None:
    """The imports for type checkers are those that run."""
    seen = {
        alias.asname: node.module
        for node in ast.walk(ast.parse(inspect.getsource(podtask)))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert seen == podtask._MODULES
    assert set(seen) == set(podtask.__all__)
