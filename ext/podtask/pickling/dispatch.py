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
    module = getattr(value, "__module__", None)
    if module == "__main__":
        path = _qualified(value)
        return path if _resolved(namespace.get, path) is value else None
    place = importable_place(value)
    if place is None:
        return None
    return (
        place[1]
        if place[0] == "builtins"
        else f"__import__('importlib').import_module({place[0]!r}).{place[1]}"
    )


def importable_place(value: Any) -> tuple[str, str] | None:
    """Return the module of a class or function, and the path there, such as ``Shop.price``.

    A public module comes first: private ones (``pathlib._local``) differ between versions of Python. Without any
    such place, as for the result of a function, return None.
    """
    own = str(getattr(value, "__module__", None))
    public = own.partition("._")[0]
    path = _qualified(value)
    for name in dict.fromkeys([public, own, "types"]):
        module = sys.modules.get(name)
        found = _resolved(functools.partial(_attribute, module), path)
        # In a module that was reloaded, another object has the name.
        if found is value or (name == own and found is not None and _qualified(found) == path):
            return name, path
        for other, each in [*vars(module).items()] if module is not None else ():
            if each is value and other.isidentifier():
                return name, other
    return None


def _attribute(owner: Any, name: str) -> Any:
    return getattr(owner, name, None)


def _resolved(look_up: Callable[[str], Any], path: str) -> Any:
    """Return what a path leads to, None if it leads nowhere.

    Args:
        look_up: Returns the value of the first name, None if it does not exist.
        path: Names with dots between them.
    """
    root, *attributes = path.split(".")
    return functools.reduce(_attribute, attributes, look_up(root))


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
