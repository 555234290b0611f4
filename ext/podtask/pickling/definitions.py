"""The source of the notebook's functions and classes, for a pod with another minor Python version.

Byte code of another minor version crashes the interpreter. So definitions are sent as source text,
each one before the definitions that need it.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NewType, ParamSpec, TypeVar

from ..cell.scopes import free_names
from ..errors import InputError
from ..runner.pickler import NullFile, Packer
from .ipython_names import is_ipython_name

Source = tuple[str, str]  # text, filename
TYPES_WITH_NAME = (types.FunctionType, types.BuiltinFunctionType, type, TypeVar, ParamSpec, NewType)


def sort_definitions(
    values: dict[str, Any], namespace: dict[str, Any], python: str, registered: Mapping[str, Any]
) -> list[tuple[str, Source | None]]:
    """Return the name and source of everything to send, each item after those that it needs.

    Args:
        values: Values that the cell reads, by name.
        namespace: Globals of the notebook.
        python: Minor Python version of the pod.
        registered: Definitions that a library has registered, by name. They are sent together.

    Raises:
        InputError: The source of a definition was not found, or does not suffice to recreate it.
    """
    collector = _DefinitionCollector(namespace, python, registered)
    for name, value in values.items():
        collector.add(name, value)
    return collector.sorted()


class _DefinitionCollector:
    def __init__(self, namespace: dict[str, Any], python: str, registered: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._python = python
        self._registered = registered
        self._sources: dict[str, Source | None] = {}
        self._before: dict[str, set[str]] = {}
        self._uses: dict[str, set[str]] = {}

    def add(self, name: str, value: Any) -> None:
        if name in self._sources:
            return
        self._sources[name] = None
        self._before[name], self._uses[name] = set(), set()
        defined = _defined(value)
        if isinstance(value, types.ModuleType):
            self._sources[name] = _imported(name, value.__name__, "")
        elif self._registered.get(name) is value:
            self._definition(name, value)
            for other, each in self._registered.items():
                self.add(other, each)
        elif defined is None:
            self._data(name, value)
        elif defined.__module__ != "__main__":
            self._sources[name] = _imported(name, defined.__module__, defined.__qualname__)
        else:
            self._definition(name, defined)

    def sorted(self) -> list[tuple[str, Source | None]]:
        found: dict[str, Source | None] = {}
        entered: set[str] = set()
        called: set[str] = set()

        def visit(name: str) -> None:
            if name in entered:
                return  # a cycle: the first one visited goes last
            entered.add(name)
            for other in sorted(self._before[name]):
                call(other)
            found[name] = self._sources[name]

        def call(name: str) -> None:
            """Visit a definition together with all that it needs when it is called, as a decorator is."""
            if name in called:
                return
            called.add(name)
            for other in sorted(self._uses[name]):
                call(other)
            visit(name)

        for name in self._sources:
            visit(name)
        return list(found.items())

    def _data(self, name: str, value: Any) -> None:
        """Record the notebook's classes and functions that a value refers to."""
        try:
            with Packer(NullFile(), self._namespace, plain=True) as packer:
                packer.dump(value)
        except Exception:  # noqa: BLE001 -- reported with its path when the value is packed
            return
        for each in packer.types:
            if getattr(each, "__module__", None) == "__main__" and not inspect.ismodule(each):
                root = each.__qualname__.partition(".")[0]
                if root in self._namespace:
                    self._before[name].update(self._registered if root in self._registered else {root})
                    self.add(root, self._namespace[root])

    def _definition(self, name: str, value: Any) -> None:
        is_assigned = name in self._registered and getattr(value, "__module__", "") != "__main__"
        own = name if is_assigned else value.__name__
        source, filename = registered_source(name, value) if is_assigned else self._source_of(name, value)
        at_once, names = names_at_definition(source), free_names(source)
        for used in sorted(names - {own}):
            if used in self._namespace and not is_ipython_name(used, self._namespace):
                self._uses[name].add(used)
                if used in at_once:
                    self._before[name].add(used)
                self.add(used, self._namespace[used])
        if name != own and own != "<lambda>":
            source += f"\n{name} = {own}"
        self._sources[name] = (source, filename)
        if isinstance(value, type):
            for attribute, wrapper, function in _functions_set_later(value):
                self._method(name, attribute, wrapper, function)

    def _method(self, owner: str, attribute: str, wrapper: str, function: types.FunctionType) -> None:
        """Add a step that sets a function of a later cell on a class (``P.area = area``)."""
        found = _function_source(function)
        own = function.__name__
        if found is None or function.__closure__ or not _sets_attribute(found[0], own, owner, attribute):
            return  # if the pod misses it, the error says which cell has set it
        step = f"{owner}.{attribute}"
        target = f"{step} = {wrapper.format(own)}"
        source, filename = found
        self._sources[step] = None
        self._before[step], self._uses[step] = {owner}, set()
        if self._namespace.get(own) is function:
            self.add(own, function)
            self._before[step].add(own)
            source = target
        elif own != "<lambda>":
            source += f"\n{target}\ndel {own}"
            if own in self._namespace:  # another value of this name comes later
                self.add(own, self._namespace[own])
                self._before[own].add(step)
        for used in sorted(free_names(source) - {own, owner}):
            if used in self._namespace and not is_ipython_name(used, self._namespace):
                self._uses[step].add(used)
                if used in names_at_definition(source):
                    self._before[step].add(used)
                self.add(used, self._namespace[used])
        self._sources[step] = (source, filename)

    def _source_of(self, name: str, value: Any) -> Source:
        """Return the source of a function or class, with its original line numbers."""
        function = isinstance(inspect.unwrap(value), types.FunctionType)
        found = _function_source(value) if function else class_source(value)
        ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
        if found is None:
            raise InputError(
                f"{name} cannot be sent from Python {ours} to {self._python}: its source was not found.",
                "Define it in a cell of this notebook, or use an image with the notebook's Python version.",
            )
        closure = getattr(inspect.unwrap(value), "__closure__", None)
        if closure and value.__code__.co_freevars != ("__class__",):
            raise InputError(
                f"{name} cannot be sent from Python {ours} to {self._python}: it was created inside "
                f"another function and uses that function's {', '.join(value.__code__.co_freevars)}.",
                "Create it in the cell, or use an image with the notebook's Python version.",
            )
        return found


def _defined(value: Any) -> Any:
    """Return a value that is a function or class, or wraps one (``lru_cache``); None for data.

    A type variable counts too, since pickle refers to it by name. A method of an instance is data, also if it
    is built in, such as ``random.random``.
    """
    if isinstance(value, types.BuiltinFunctionType) and not isinstance(
        value.__self__, types.ModuleType | None
    ):
        return None
    if isinstance(value, TYPES_WITH_NAME):
        return value
    try:
        wrapped = value.__wrapped__
    except Exception:  # noqa: BLE001 -- whatever a __getattr__ of the user raises
        return None
    return value if isinstance(wrapped, types.FunctionType) else None


def _imported(name: str, module: str, attribute: str) -> Source:
    path = f".{attribute}" if attribute else ""
    text = f"import importlib; {name} = importlib.import_module({module!r}){path}"
    return text, "<podtask imports>"


def names_at_definition(source: str) -> set[str]:
    """Return the names that a definition reads when it is executed: defaults, decorators, bases."""
    found: set[str] = set()

    def visit(nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if isinstance(node, ast.Name):
                found.add(node.id)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                visit([*node.decorator_list, node.args, node.returns])
            elif isinstance(node, ast.Lambda):
                visit([node.args])
            elif node is not None:
                visit(ast.iter_child_nodes(node))

    visit([ast.parse(source)])
    return found


def _functions_set_later(owner: type) -> Iterable[tuple[str, str, types.FunctionType]]:
    """Yield the functions that a statement after the class has set on it.

    Each is its attribute, a template of the expression that wraps it, and the function. A function of the
    class statement itself has the class in its qualified name.
    """
    for attribute, value in vars(owner).items():
        wrapper, function = "{}", value
        if isinstance(value, (classmethod, staticmethod)):
            wrapper, function = f"{type(value).__name__}({{}})", value.__func__
        elif isinstance(value, property) and value.fset is None and value.fdel is None:
            wrapper, function = "property({})", value.fget
        if (
            isinstance(function, types.FunctionType)
            and function.__module__ == "__main__"
            and "." not in function.__qualname__
        ):
            yield attribute, wrapper, function


def _sets_attribute(source: str, function: str, owner: str, attribute: str) -> bool:
    """Return whether a source is a plain function, or the statement that sets a lambda on the class."""
    [statement, *more] = ast.parse(source).body
    if more:
        return False
    if function != "<lambda>":
        return isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and not statement.decorator_list
    return isinstance(statement, ast.Assign) and any(
        ast.unparse(target) == f"{owner}.{attribute}" for target in statement.targets
    )


def _function_source(value: Any) -> Source | None:
    filename = inspect.unwrap(value).__code__.co_filename
    # The name of all code of exec(). Since Python 3.13, linecache has the text of `python -c` for it.
    if filename == "<string>":
        return None
    try:
        lines, start = inspect.getsourcelines(value)
    except (OSError, TypeError):
        return None
    return "\n" * (start - 1) + inspect.cleandoc("\n" + "".join(lines)), filename


def class_source(value: type | TypeVar | ParamSpec | NewType) -> Source | None:
    """Return the source of a class from the newest cell that defines it.

    ``inspect`` finds classes only in modules. The definition may be a class statement or a call
    that creates a class (``P = namedtuple("P", "x y")``).
    """
    return _find_statement(
        value.__name__,
        lambda node: (
            _assigns_call(node, value.__name__)
            or (isinstance(node, ast.ClassDef) and node.name == value.__name__)
        ),
    )


def registered_source(name: str, value: Any) -> Source:
    """Return the source of a definition that a library has registered.

    Raises:
        InputError: The cell that makes it was not found.
    """
    is_class = isinstance(value, type) and value.__module__ == "__main__"
    source = class_source(value) if is_class else assignment_source(name)
    if source is None:
        raise InputError(
            f"{name} cannot be sent: it belongs to SQLAlchemy, and the cell that defines it was not found.",
            "Define it in a cell of this notebook, in a module of your own, or in the cell itself.",
        )
    return source


def assignment_source(name: str) -> Source | None:
    """Return the source of the newest statement of a cell that assigns the result of a call to a name."""
    return _find_statement(name, lambda node: _assigns_call(node, name))


def _assigns_call(node: ast.stmt, name: str) -> bool:
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
        return False
    return any(isinstance(each, ast.Name) and each.id == name for each in node.targets)


def _find_statement(name: str, wanted: Callable[[ast.stmt], bool]) -> Source | None:
    for filename, entry in reversed(list(linecache.cache.items())):
        text = "".join(entry[2]) if len(entry) == 4 else ""
        found = _statement(text, wanted) if name in text else None
        if found is not None:
            return found, filename
    return None


def _statement(text: str, wanted: Callable[[ast.stmt], bool]) -> str | None:
    if text.startswith("%%"):  # a %%podtask cell: its first line is not Python
        text = "\n" + text.partition("\n")[2]
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return None
    for node in reversed(body):
        if wanted(node):
            decorators: list[ast.expr] = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(each.lineno for each in decorators)])
            lines: list[str] = text.splitlines(keepends=True)[first - 1 : node.end_lineno]
            return "\n" * (first - 1) + "".join(lines).rstrip("\n")
    return None
