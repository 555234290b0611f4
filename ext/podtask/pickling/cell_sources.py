"""The source of the notebook's definitions, and of later statements that change them, in the cells.

``inspect`` finds classes only in modules.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NewType, ParamSpec, TypeVar

from ..cell.scopes import free_names
from ..errors import InputError

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Source = tuple[str, str]  # text, filename


def function_source(value: Any) -> Source | None:
    """Return the source of a function, with its original line numbers; None if it was not found."""
    filename = inspect.unwrap(value).__code__.co_filename
    # The name of all code of exec(). Since Python 3.13, linecache has the text of `python -c` for it.
    if filename == "<string>":
        return None
    try:
        lines, start = inspect.getsourcelines(value)
    except (OSError, TypeError):
        return None
    return "\n" * (start - 1) + inspect.cleandoc("\n" + "".join(lines)), filename


def cell_text(filename: str) -> str:
    """Return the text of a cell or of a module's file; empty if it was not found."""
    linecache.checkcache(filename)
    return _python("".join(linecache.getlines(filename)))


def class_source(value: type | TypeVar | ParamSpec | NewType) -> Source | None:
    """Return the source of a class from the newest cell that defines it.

    The definition may be a class statement or a call that creates a class (``P = namedtuple("P", "x y")``). If there
    are several, the functions of the class tell which one it is.
    """
    name, places = value.__name__, _places_of_functions(value)

    def defines(node: ast.stmt) -> bool:
        return _makes(node, name) or (isinstance(node, ast.ClassDef) and node.name == name)

    def is_around(node: ast.stmt, filename: str) -> bool:
        return any(
            where == filename and node.lineno <= line <= (node.end_lineno or line) for where, line in places
        )

    found = places and _find_statement(name, lambda node, where: defines(node) and is_around(node, where))
    return found or _find_statement(name, lambda node, _: defines(node))


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
    return _find_statement(name, lambda node, _: _assigns_call(node, name))


def _makes(node: ast.stmt, name: str) -> bool:
    """Return whether a statement makes a class by a call, and is not a decorator that is called later."""
    return _assigns_call(node, name) and name not in free_names(ast.unparse(node))


def _assigns_call(node: ast.stmt, name: str) -> bool:
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
        return False
    return any(isinstance(each, ast.Name) and each.id == name for each in node.targets)


def _places_of_functions(value: Any) -> list[tuple[str, int]]:
    """Return the file and the first line of the functions that a class statement has defined."""
    found = []
    for each in [*vars(value).values()] if isinstance(value, type) else []:
        function = getattr(each, "fget", None) or getattr(each, "__func__", each)
        code = getattr(function, "__code__", None)
        if not isinstance(code, types.CodeType) or code.co_filename not in linecache.cache:
            continue
        if function.__qualname__ == f"{value.__qualname__}.{code.co_name}":
            found.append((code.co_filename, code.co_firstlineno))
    return found


def _find_statement(name: str, wanted: Callable[[ast.stmt, str], bool]) -> Source | None:
    for filename, entry in reversed(list(linecache.cache.items())):
        text = "".join(entry[2]) if len(entry) == 4 else ""
        for node in reversed(statements(text)) if name in text else ():
            if wanted(node, filename):
                return _source_text(text, node), filename
    return None


def statements(text: str) -> list[ast.stmt]:
    """Return the statements of a cell or module that run in its namespace; none if it is not Python."""
    return [*_statements(_body(text))]


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.stmt]:
    """Yield the statements of a cell that run in its namespace, also those below ``if``, ``try``, ``with`` and loops."""
    for node in body:
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)) and not isinstance(node, SCOPES):
            yield from _statements(ast.iter_child_nodes(node))


def later_assignments(owner: str, target: str) -> list[Source]:
    """Return the statements after a definition that set a target to the result of a call, in order.

    Args:
        owner: Name of the definition.
        target: Its name, or that of an attribute (``Model.fit``).
    """
    found: list[Source] = []
    texts = {
        filename: "".join(entry[2])
        for filename, entry in [*linecache.cache.items()]
        if len(entry) == 4 and entry[1] is None  # a cell, not a file
    }
    if not any(target in text for text in texts.values()):
        return []
    for filename, text in texts.items():
        for node in _body(text) if owner in text else ():
            if getattr(node, "name", None) == owner:
                found.clear()  # defined again
            elif isinstance(node, ast.Assign) and target in map(ast.unparse, node.targets):
                if isinstance(node.value, ast.Call):
                    found.append((_source_text(text, node), filename))
                else:
                    found.clear()
    return found


def _body(text: str) -> list[ast.stmt]:
    """Return the statements of a cell; none if it is not Python."""
    try:
        return ast.parse(_python(text)).body
    except SyntaxError:
        return []


def _python(text: str) -> str:
    """Return the text of a cell with an empty line in place of ``%%podtask``, which is not Python."""
    return "\n" + text.partition("\n")[2] if text.startswith("%%") else text


def _source_text(text: str, node: ast.stmt) -> str:
    """Return the source of a statement, with its original line numbers."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(each.lineno for each in decorators)])
    lines = dict(enumerate(text.splitlines(keepends=True), 1))
    within = _lines_within_texts(node)
    found = [
        line if number in within or not node.col_offset else _without_indent(line, node.col_offset)
        for number, line in lines.items()
        if first <= number <= (node.end_lineno or first)
    ]
    return "\n" * (first - 1) + "".join(found).rstrip("\n")


def _lines_within_texts(node: ast.AST) -> set[int]:
    """Return the numbers of the lines that begin within a text, so that their spaces belong to it."""
    texts = [each for each in ast.walk(node) if isinstance(each, (ast.Constant, ast.JoinedStr))]
    return {
        number for each in texts for number in range(each.lineno + 1, (each.end_lineno or each.lineno) + 1)
    }


def _without_indent(line: str, count: int) -> str:
    return line[count:] if line[:count].isspace() else line.lstrip(" \t")
