"""Functions of ``functools.singledispatch``: what was registered with them, as statements."""

from __future__ import annotations

import ast
import functools
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dispatcher:
    """A function that chooses another one by the class of its argument.

    Args:
        name: Its expression in the notebook: ``kind``, or ``Shop.price`` of a class.
        registered: Function -> the classes that it was registered for after the dispatcher was defined.
    """

    name: str
    registered: list[tuple[Any, list[type]]]


def dispatchers(name: str, value: Any) -> Iterator[Dispatcher]:
    """Yield what a definition of the notebook has registered, if it has.

    Args:
        name: Name of the definition.
        value: A function or class.
    """
    registry = getattr(value, "registry", None)
    if isinstance(value, types.FunctionType) and isinstance(registry, types.MappingProxyType):
        default = getattr(value, "__wrapped__", None)
        yield Dispatcher(name, _registered(registry, lambda each: each is not default))
    elif isinstance(value, type):
        for attribute, each in vars(value).items():
            if isinstance(each, functools.singledispatchmethod):
                # A function of the class statement has the class in its qualified name.
                yield Dispatcher(
                    f"{name}.{attribute}",
                    _registered(each.dispatcher.registry, lambda each: "." not in _qualified(each)),
                )


def _registered(
    registry: Mapping[type, Any], is_wanted: Callable[[Any], bool]
) -> list[tuple[Any, list[type]]]:
    found: dict[int, tuple[Any, list[type]]] = {}
    for kind, function in registry.items():
        if is_wanted(function):
            found.setdefault(id(function), (function, []))[1].append(kind)
    return [*found.values()]


def _qualified(function: Any) -> str:
    return str(getattr(function, "__qualname__", ""))


def expression_of(value: Any, namespace: Mapping[str, Any]) -> str | None:
    """Return an expression that finds a class or function in the pod by its name; None if there is none."""
    module, path = getattr(value, "__module__", None), _qualified(value)
    root, _, rest = path.partition(".")
    scope = namespace if module == "__main__" else vars(sys.modules.get(str(module), types.ModuleType("")))
    found = scope.get(root)
    for attribute in rest.split(".") if rest else ():
        found = getattr(found, attribute, None)
    if found is not value:
        return None
    if module in ("__main__", "builtins"):
        return path
    return f"__import__('importlib').import_module({module!r}).{path}"


def without_registration(source: str, dispatcher: str) -> str:
    """Return the source of a function without the decorators that register it, with the same lines."""
    lines = source.split("\n")
    for node in ast.parse(source).body:
        for decorator in getattr(node, "decorator_list", []):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(called) == f"{dispatcher}.register":
                for number in range(decorator.lineno, (decorator.end_lineno or decorator.lineno) + 1):
                    lines[number - 1] = ""
    return "\n".join(lines)
