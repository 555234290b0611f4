"""Functions that go to another version of Python as the source of their definition, with what they have besides.

Byte code of another version crashes the interpreter. A function that another function has made, or a lambda, has no
name by which it could be found there; so its definition is compiled on its own, and the function gets the cells,
the default arguments and the attributes that it has here.
"""

import __future__

import ast
import functools
import sys
import types
from typing import Any, Dict, Iterable, List, Tuple

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
LRU_CACHE = type(functools.lru_cache(len))
KINDS = (types.FunctionType, LRU_CACHE)
Content = Tuple[Dict[str, Any], Dict[str, Any], Dict[str, Any]]  # as set, attributes, contents of the cells


def compile_function(
    text: str,
    line: int,
    filename: str,
    qualname: str,
    owner: str,
    names: List[str],
    has_late_annotations: bool,
    *,
    imported: Iterable[str] = (),
) -> types.CodeType:
    """Return the code of a function, compiled as it was within its surroundings.

    Args:
        text: Source of its definition; indented, or in parentheses, as needed to keep its columns.
        line: Number of the line in which the text begins, from 1.
        filename: File or cell of the definition.
        qualname: Qualified name of the function as it was defined.
        owner: Name of the class whose private names (``__x``) it uses; may be empty.
        names: Names of its free variables.
        has_late_annotations: Whether ``from __future__ import annotations`` applies.
        imported: Names that the surroundings import. The byte code of ``name.call()`` depends on that, not its effect.

    Raises:
        SyntaxError: This version of Python does not know the syntax.
    """
    tree = ast.parse("\n" * (line - 1) + text, filename)
    found: Any = next(node for node in ast.walk(tree) if isinstance(node, DEFINITIONS))
    flags = __future__.annotations.compiler_flag if has_late_annotations else 0
    code: Any = compile(surrounded(found, owner, names, imported), filename, "exec", flags, dont_inherit=True)
    for _ in range(3 if owner else 2):
        code = next(each for each in code.co_consts if isinstance(each, types.CodeType))
    path = ["surroundings", "<locals>", *([owner] if owner else []), code.co_name]
    return _renamed(code, ".".join(path), qualname)


def _renamed(code: Any, old: str, new: str) -> types.CodeType:
    """Return a code in which the qualified names of what it defines begin with another name."""

    def renamed(value: Any) -> Any:
        if isinstance(value, types.CodeType):
            return _renamed(value, old, new)
        is_name = isinstance(value, str) and (value == old or value.startswith(f"{old}."))
        return new + value[len(old) :] if is_name else value

    changes: Dict[str, Any] = {"co_consts": tuple(map(renamed, code.co_consts))}
    if hasattr(code, "co_qualname"):  # since Python 3.11
        changes["co_qualname"] = renamed(code.co_qualname)
    result: types.CodeType = code.replace(**changes)
    return result


def surrounded(definition: Any, owner: str, names: Iterable[str], imported: Iterable[str] = ()) -> Any:
    """Return the syntax tree of a function that defines another one, which has nothing but its code.

    Args:
        definition: Definition of the inner function. What is evaluated when it is executed is removed from it.
        owner: Name of the class around it; may be empty.
        names: Names of its free variables.
        imported: Names that are imported.
    """
    _keep_code_only(definition)
    statement = ast.Expr(definition) if isinstance(definition, ast.Lambda) else definition
    lines = [f"def surroundings({', '.join(names)}):", f" class {owner}:" if owner else " if True:", "  pass"]
    tree: Any = ast.parse("\n".join(lines))
    tree.body[0].body[0].body = [ast.copy_location(statement, definition)]
    tree.body += ast.parse("\n".join(f"import {name}" for name in imported)).body
    return tree


def _keep_code_only(node: Any) -> None:
    arguments = node.args
    arguments.defaults = []
    arguments.kw_defaults = [None for _ in arguments.kw_defaults]
    if isinstance(node, ast.Lambda):
        return
    node.decorator_list, node.returns = [], None
    if hasattr(node, "type_params"):  # since Python 3.12
        node.type_params = []
    single = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    for each in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *single]:
        each.annotation = None


def empty_cell() -> Any:
    """Return a new cell, which functions may share."""
    return types.CellType()


def same(value: Any) -> Any:
    """Return what was made before: a cell."""
    return value


def make(code: types.CodeType, cells: Dict[str, Any], module: str) -> types.FunctionType:
    """Return a function without attributes.

    Args:
        code: The result of :func:`compile_function`.
        cells: Its cells, by the name of the variable.
        module: Name of the module whose globals it uses.
    """
    used = vars(sys.modules[module] if module == "__main__" else __import__(module, fromlist=["*"]))
    return types.FunctionType(code, used, closure=tuple(cells[name] for name in code.co_freevars) or None)


def fill(function: Any, state: Content) -> None:
    """Give a function its names, default arguments and attributes, and its cells their contents."""
    as_set, attributes, contents = state
    for name, value in as_set.items():
        setattr(function, name, value)
    vars(function).update(attributes)
    for place, cell in enumerate(function.__closure__ or ()):
        name = function.__code__.co_freevars[place]
        if name in contents:
            cell.cell_contents = contents[name]


def cached(function: Any, maxsize: Any, typed: bool) -> Any:
    """Return a function with a cache, which is empty."""
    return functools.lru_cache(maxsize, typed)(function)


def fill_cached(function: Any, state: Content) -> None:
    """Give a function with a cache its attributes."""
    vars(function).clear()
    vars(function).update(state[1])
