"""Functions that functions have made, lambdas and wrappers, for a pod with another minor Python version.

Such a function has no name in the notebook by which a statement could define it again. Its definition is found by the
position of its code, compiled in the pod, and gets the cells, defaults and attributes of the notebook's function.
"""

from __future__ import annotations
import __future__

import ast
import copy
import functools
import inspect
import keyword
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cell.scopes import free_names
from ..errors import InputError
from ..runner.bundle import MINOR
from ..runner.pickler import NullFile, Packer
from ..runner.reducers import identity, source_functions
from ..runner.reducers.identity import Made
from ..runner.reducers.source_functions import LRU_CACHE
from .cell_sources import cell_text, function_source, later_assignments, statements

FLAGS_OF_PLACE = inspect.CO_NESTED  # and those of __future__, which are bits above
ALL_FUTURES = functools.reduce(
    int.__or__, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)
PLAIN_ANNOTATIONS = (str, int, float, bool, bytes, types.NoneType)
HINT = f"Create it in the cell, or use an image with the notebook's Python version ({MINOR})."


@dataclass(frozen=True)
class FunctionSource:
    """The source of a function's definition.

    Args:
        text: The source, with the arguments of :func:`~.source_functions.compile_function` that follow.
        names: Global names that the function uses when it is called.
    """

    text: str
    line: int
    filename: str
    qualname: str
    owner: str
    free: tuple[str, ...]
    has_late_annotations: bool
    names: frozenset[str]

    def compiled(self, imported: Iterable[str] = ()) -> types.CodeType:
        """Return the code that this version of Python makes of it, if its surroundings import names."""
        return source_functions.compile_function(*self.arguments, imported=imported)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arguments of :func:`~.source_functions.compile_function`."""
        return (
            self.text,
            self.line,
            self.filename,
            self.qualname,
            self.owner,
            [*self.free],
            self.has_late_annotations,
        )


@dataclass
class IncompleteFunction:
    """What a function gets that is sent before all that it refers to.

    Args:
        contents: The contents of its cells, by name.
        defaults: Its default arguments.
        kwdefaults: Those that are given by name.
    """

    contents: dict[str, Any] = field(default_factory=dict)
    defaults: Any = None
    kwdefaults: dict[str, Any] = field(default_factory=dict)


class FunctionReducer:
    """Reduces functions that the pod does not have under a name; for a :class:`~podtask.runner.pickler.Packer`.

    Args:
        namespace: Globals of the notebook.
        incomplete: Id of a function -> what it gets now. The rest follows.
    """

    def __init__(
        self, namespace: dict[str, Any], incomplete: Mapping[int, IncompleteFunction] | None = None
    ) -> None:
        self._namespace = namespace
        self._cells: dict[int, tuple[Any, Made]] = {}  # a cell is kept, so that its id is not used again
        self._codes: dict[types.CodeType, Made] = {}
        self._incomplete = incomplete or {}

    def __call__(self, value: Any) -> Any:
        """Return the reduced form of a function or a cell; NotImplemented if the pod has it under its name.

        Raises:
            InputError: The source of the function was not found.
        """
        if isinstance(value, types.CellType):
            return source_functions.same, (self._shared_cell(value),)
        if not isinstance(value, source_functions.KINDS) or has_name(value, self._namespace):
            return NotImplemented
        number = identity.NUMBERS.number_of(value)
        if isinstance(value, LRU_CACHE):
            about = value.cache_parameters()
            made = Made(source_functions.cached, value.__wrapped__, about["maxsize"], about["typed"])
            state: Any = ({}, vars(value), {})
            return identity.track, (number, made), state, None, None, source_functions.fill_cached
        source = source_of_function(value)
        module = _module_of_globals(value, self._namespace)
        if source is None or module is None:
            why = "its source was not found, which a pod with another version of Python needs"
            raise InputError(why, HINT)
        if value.__code__ not in self._codes:
            self._codes[value.__code__] = Made(source_functions.compile_function, *source.arguments)
        cells = {name: self._shared_cell(cell) for name, cell in _cells_of(value)}
        made = Made(source_functions.make, self._codes[value.__code__], cells, module)
        return identity.track, (number, made), self._state(value), None, None, source_functions.fill

    def _shared_cell(self, cell: types.CellType) -> Made:
        return self._cells.setdefault(id(cell), (cell, Made(source_functions.empty_cell)))[1]

    def _state(self, function: types.FunctionType) -> source_functions.Content:
        as_set: dict[str, Any] = {
            "__name__": function.__name__,
            "__qualname__": function.__qualname__,
            "__module__": function.__module__,
            "__doc__": function.__doc__,
            "__annotations__": self._annotations(function),
        }
        now = self._incomplete.get(id(function))
        if now is not None:
            as_set |= {"__defaults__": now.defaults, "__kwdefaults__": now.kwdefaults or None}
            return as_set, {}, now.contents
        as_set |= {"__defaults__": function.__defaults__, "__kwdefaults__": function.__kwdefaults__}
        contents = {name: cell.cell_contents for name, cell in filled_cells(function)}
        return as_set, vars(function), contents

    def _annotations(self, function: types.FunctionType) -> dict[str, Any]:
        """Return the annotations that can be sent: nothing but a tool that looks for them needs them."""
        try:
            found = function.__annotations__
        except Exception:  # noqa: BLE001 -- from Python 3.14 on, they are evaluated here
            return {}
        return {name: each for name, each in found.items() if self._can_be_sent(each)}

    def _can_be_sent(self, annotation: Any) -> bool:
        if isinstance(annotation, PLAIN_ANNOTATIONS):
            return True
        try:
            with plain_packer(NullFile(), self._namespace) as packer:
                packer.dump(annotation)
        except Exception:  # noqa: BLE001 -- whatever a __reduce__ raises
            return False
        return True


def plain_packer(file: Any, namespace: dict[str, Any]) -> Packer:
    """Return a packer of plain data for another version of Python, which sends functions by their source."""
    return Packer(file, namespace, plain=True, reduce_function=FunctionReducer(namespace))


def filled_cells(function: types.FunctionType) -> Iterator[tuple[str, types.CellType]]:
    """Yield the name and the cell of the free variables of a function that have a value."""
    for name, cell in _cells_of(function):
        try:
            cell.cell_contents  # noqa: B018 -- raises an error
        except ValueError:
            continue  # still empty
        yield name, cell


def _cells_of(function: types.FunctionType) -> Iterator[tuple[str, types.CellType]]:
    return zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)


def has_name(function: Any, namespace: Mapping[str, Any]) -> bool:
    """Return whether a function can be found in the pod by its name.

    It is a function of a module, or a statement of the notebook defines it, also if decorators wrap it there.
    """
    module = getattr(function, "__module__", None)
    path = str(getattr(function, "__qualname__", ""))
    if "<" in path:
        return False
    if module != "__main__":
        return _found(getattr(sys.modules.get(str(module)), "__dict__", {}), path) is function
    if _found(namespace, path) is not function:
        return False
    inner = inspect.unwrap(function)
    if "." in path or not isinstance(inner, types.FunctionType):
        return True
    if "<" in inner.__qualname__ or inner.__code__.co_freevars not in ((), ("__class__",)):
        return False
    if inner is function:
        return bool(function.__code__.co_name == path)
    source = function_source(inner)
    return source is None or has_decorators(source[0]) or bool(later_assignments(path, path))


def is_made(value: Any, namespace: Mapping[str, Any]) -> bool:
    """Return whether a value is a function that is sent like data, with its source."""
    return isinstance(value, types.FunctionType) and not has_name(value, namespace)


def has_decorators(source: str) -> bool:
    """Return whether a source defines a function or class with decorators."""
    return any(getattr(each, "decorator_list", None) for each in ast.parse(source).body)


def _found(namespace: Mapping[str, Any], path: str) -> Any:
    """Return what a qualified name leads to, None if it leads nowhere."""
    root, *attributes = path.split(".")
    return functools.reduce(lambda owner, name: getattr(owner, name, None), attributes, namespace.get(root))


def _module_of_globals(function: types.FunctionType, namespace: Mapping[str, Any]) -> str | None:
    """Return the name of the module whose globals a function uses; None if the pod does not have it."""
    if function.__globals__ is namespace:
        return "__main__"
    name = function.__globals__.get("__name__")
    found = sys.modules.get(name) if isinstance(name, str) and name != "__main__" else None
    return name if found is not None and vars(found) is function.__globals__ else None


def names_used_by(function: Any) -> frozenset[str]:
    """Return the names of the notebook that a function uses when it is called; it is sent with its source."""
    source = source_of_function(function)
    is_of_notebook = source is not None and function.__globals__.get("__name__") == "__main__"
    return source.names if source is not None and is_of_notebook else frozenset()


def source_of_function(function: Any) -> FunctionSource | None:
    """Return the source of a function, found by the position of its code; None if it was not found, or has no code.

    Several functions may begin in one line. Those whose code is equal do the same, so that any of them will do; the
    columns, which Python 3.11 and newer record, tell them apart for the sake of tracebacks.
    """
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType):
        return None
    if code.co_filename == "<string>" or not all(map(_is_identifier, code.co_freevars)):
        return None
    return _source_of_code(code, code.co_filename, cell_text(code.co_filename))


@functools.lru_cache(maxsize=256)
def _source_of_code(code: types.CodeType, filename: str, text: str) -> FunctionSource | None:
    name = code.co_name
    equal = []
    for definition in _definitions_in(text):
        if definition.first_line == code.co_firstlineno and definition.name == name:
            source = definition.source(text, filename, code)
            # IPython compiles each statement of a cell on its own, so without the imports before it.
            for compiled in (source.compiled(), source.compiled(_imported_in(text))):
                if _is_equal(compiled, code):
                    equal.append((_positions(compiled) == _positions(code), source))
    return max(equal, key=lambda each: each[0])[1] if equal else None


def _is_identifier(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


@dataclass(frozen=True)
class _Definition:
    """Where a text defines a function.

    Args:
        node: Its definition.
        qualname: Its qualified name.
        owner: Name of the innermost class around it; empty if there is none.
    """

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    qualname: str
    owner: str

    @property
    def name(self) -> str:
        return "<lambda>" if isinstance(self.node, ast.Lambda) else self.node.name

    @property
    def first_line(self) -> int:
        """The line where its code begins."""
        decorators: list[ast.expr] = getattr(self.node, "decorator_list", [])
        return min([self.node.lineno, *(each.lineno for each in decorators)])

    def source(self, text: str, filename: str, code: types.CodeType) -> FunctionSource:
        """Return the source, for a function that has a code."""
        return FunctionSource(
            *self._padded(text),
            filename,
            self.qualname,
            self.owner,
            code.co_freevars,
            bool(code.co_flags & __future__.annotations.compiler_flag),
            frozenset(self._global_names(code.co_freevars)),
        )

    def _padded(self, text: str) -> tuple[str, int]:
        """Return the definition as a text that can be compiled with its columns, and its first line."""
        first = self.node.lineno
        if isinstance(self.node, ast.Lambda):
            segment = ast.get_source_segment(text, self.node) or ""
            before = self.node.col_offset
            return (f"({' ' * (before - 1)}{segment})" if before else segment), first
        lines = text.splitlines(keepends=True)[first - 1 : self.node.end_lineno]
        definition = "".join(lines)
        return (f"if 1:\n{definition}", first - 1) if definition[0].isspace() else (definition, first)

    def _global_names(self, free: Iterable[str]) -> set[str]:
        tree = source_functions.surrounded(copy.deepcopy(self.node), self.owner, free)
        return free_names(ast.unparse(tree))


@functools.lru_cache(maxsize=16)
def _imported_in(text: str) -> tuple[str, ...]:
    """Return the names that a text imports into its namespace."""
    found = [each for each in statements(text) if isinstance(each, (ast.Import, ast.ImportFrom))]
    names = {(alias.asname or alias.name).partition(".")[0] for each in found for alias in each.names}
    return (*sorted(names - {"*"}),)


@functools.lru_cache(maxsize=16)
def _definitions_in(text: str) -> tuple[_Definition, ...]:
    """Return the functions that a text defines; none if it is not Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    return (*_functions_in(tree, "", ""),)


def _functions_in(node: ast.AST, prefix: str, owner: str) -> Iterator[_Definition]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, source_functions.DEFINITIONS):
            definition = _Definition(child, "", owner)
            name = prefix + definition.name
            yield _Definition(child, name, owner)
            yield from _functions_in(child, f"{name}.<locals>.", owner)
        elif isinstance(child, ast.ClassDef):
            yield from _functions_in(child, f"{prefix}{child.name}.", child.name)
        else:
            yield from _functions_in(child, prefix, owner)


def _is_equal(one: types.CodeType, other: types.CodeType) -> bool:
    """Return whether two codes do the same."""
    ignored = FLAGS_OF_PLACE | ALL_FUTURES
    return (
        one.co_code == other.co_code
        and (one.co_flags | ignored) == (other.co_flags | ignored)
        and all(getattr(one, name) == getattr(other, name) for name in PARTS_OF_CODE)
        and len(one.co_consts) == len(other.co_consts)
        and all(map(_is_equal_constant, one.co_consts, other.co_consts))
    )


PARTS_OF_CODE = (
    *("co_name", "co_names", "co_varnames", "co_freevars", "co_cellvars"),
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount"),
)


def _is_equal_constant(one: Any, other: Any) -> bool:
    if isinstance(one, types.CodeType) and isinstance(other, types.CodeType):
        return _is_equal(one, other)
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    return type(one) is type(other) and repr(one) == repr(other)


def _positions(code: types.CodeType) -> list[Any]:
    """Return the lines of the instructions of a code; from Python 3.11 on, with their columns."""
    of_code: Callable[[], Any] = getattr(code, "co_positions", code.co_lines)
    return [*of_code()]
