"""Values of the user's own modules that were changed after the import.

The pod imports the modules anew. What the notebook has changed since then is sent, if the module assigns a
literal (``LR = 0.1``), or if the notebook holds the object itself (``from settings import cfg``). What a module
computes (``DEVICE = find_device()``) may differ in the pod, so it is never overwritten.
"""

from __future__ import annotations

import abc
import ast
import functools
import itertools
import logging
import operator
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ..runner.pickler import Packer
from ..runner.worker.fingerprint import HashWriter, TooLarge
from ..runner.worker.module_values import HELD, LITERAL, NEW

MAX_MODULE_BYTES = 1 << 20
IMMUTABLE = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    range,
    type(None),
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
)
# Objects that nobody changes, or that are sent by their name.
NOT_MUTABLE = (
    *IMMUTABLE,
    tuple,
    frozenset,
    Enum,
    re.Pattern,
    logging.Logger,
    types.MethodType,
    types.GenericAlias,
    typing.TypeVar,
)
NUMBER_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
CHANGING_METHODS = (
    "append",
    "add",
    "extend",
    "insert",
    "update",
    "setdefault",
    "pop",
    "remove",
    "discard",
    "clear",
)
CHANGING_CALL = rf"\.(?:{'|'.join(CHANGING_METHODS)})\("
MAX_NUMBER = 1 << 64
MAX_NAME_CHARS = 100
DYNAMIC = {"*", "__getattr__", "exec"}  # a source with one of them may make names that it does not mention
CONSTRUCTORS = {"dict": dict, "list": list, "set": set, "tuple": tuple}


@dataclass(frozen=True)
class ModuleValue:
    """A value of a module that is sent.

    Args:
        module: Name of the module.
        name: Name of the value in the module.
        kind: Why it is sent: LITERAL, HELD or NEW.
        literal: The repr of the literal that the module assigns.
        value: The value.
        reported: Whether the user is told if the pod does not set it: an earlier cell has changed it.
    """

    module: str
    name: str
    kind: str
    literal: str
    value: Any
    reported: bool = False

    @property
    def step(self) -> list[Any]:
        """The step of the runner that sets the value."""
        return [self.module, self.name, self.kind, self.literal, self.reported]

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class ModuleSource:
    """What a module's source says of its names.

    Args:
        literals: Name -> value, of the names that are assigned once, with a literal. The name may be that of
            an attribute in a class statement (``Config.lr``).
        mentioned: Every identifier in the source.
        attributes: Every name of an attribute in the source.
        stars: Whether the module imports all names of another one, so that ``mentioned`` is not complete.
    """

    literals: Mapping[str, Any] = field(default_factory=dict)
    mentioned: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    stars: bool = False


def changed_values(
    sources: Mapping[str, bytes], namespace: Mapping[str, Any], plain: bool
) -> tuple[list[ModuleValue], list[str]]:
    """Return the values to send, and a line for each changed value that is not sent.

    Args:
        sources: Name of each local module that is sent -> its source.
        namespace: The notebook's namespace.
        plain: Whether the pod has another minor version of Python.
    """
    modules = {name: sys.modules[name] for name in sources if name in sys.modules}
    if not modules:
        return [], []
    text = _source_of_cells(namespace)
    aliases: dict[int, list[str]] = {}
    for alias, value in list(namespace.items()):
        if isinstance(value, (types.ModuleType, type)):
            aliases.setdefault(id(value), []).append(alias)
    held = {id(value) for value in list(namespace.values()) if not isinstance(value, NOT_MUTABLE)}
    found: list[ModuleValue] = []
    notes: list[str] = []
    for name, module in modules.items():
        about = _read(sources[name])
        bytes_left = MAX_MODULE_BYTES
        sent: set[str] = set()
        changed = _changed_by_cells({name, *aliases.get(id(module), ())}, text)
        classes = _classes(name, module)
        for key, kind in classes.items():
            found_in_text = _changed_by_cells({*aliases.get(id(kind), ())}, text)
            changed |= {f"{key}.{attribute}" for attribute in found_in_text & vars(kind).keys()}
        candidates = _candidates(name, module, about, held), _class_candidates(name, classes, about)
        for each in itertools.chain(*candidates):
            size, reason = _measure(each.value, namespace, plain, bytes_left)
            if reason:
                notes.append(
                    f"{each} {reason}, so the pod has the value that the module makes. Set it in the cell."
                )
            else:
                bytes_left -= size
                found.append(replace(each, reported=not changed.isdisjoint(_path(each.name))))
            sent.update(_path(each.name))
        notes += [
            f"{name}.{key} was changed in the notebook, but the module computes it, so the pod has its own. "
            "Set it in the cell."
            for key in sorted(changed - sent - about.literals.keys())
            if "." in key or key in vars(module)
        ]
    return found, notes


def _candidates(name: str, module: Any, about: ModuleSource, held: set[int]) -> Iterator[ModuleValue]:
    """Yield the values of a module that differ from what its import makes, as far as the source tells."""
    for key, value in list(vars(module).items()):
        if key.startswith("__") or isinstance(value, types.ModuleType):
            continue
        if id(value) in held and not isinstance(value, NOT_MUTABLE):
            yield ModuleValue(name, key, HELD, "", value)
        elif key in about.literals:
            literal = about.literals[key]
            if not _is_same(value, literal):
                yield ModuleValue(name, key, LITERAL, repr(literal), value)
        elif key not in about.mentioned and not about.stars:
            yield ModuleValue(name, key, NEW, "", value)


def _classes(name: str, module: Any) -> dict[str, type]:
    """Return the classes that a module itself has defined; none whose metaclass makes attributes."""
    return {
        key: value
        for key, value in list(vars(module).items())
        if type(value) in (type, abc.ABCMeta) and value.__module__ == name and value.__qualname__ == key
    }


def _class_candidates(name: str, classes: Mapping[str, type], about: ModuleSource) -> Iterator[ModuleValue]:
    """Yield the attributes of a module's classes that differ from what the class statement makes."""
    known = about.mentioned | about.attributes
    for owner, kind in classes.items():
        for attribute, value in list(vars(kind).items()):
            if attribute.startswith("__") or attribute == "_abc_impl" or hasattr(type(value), "__get__"):
                continue
            key = f"{owner}.{attribute}"
            if key in about.literals:
                literal = about.literals[key]
                if not _is_same(value, literal):
                    yield ModuleValue(name, key, LITERAL, repr(literal), value)
            elif attribute not in known and not about.stars:
                yield ModuleValue(name, key, NEW, "", value)


def _path(name: str) -> set[str]:
    """Return a name and, of an attribute, the name of its class."""
    return {name, name.partition(".")[0]}


def _is_same(value: Any, literal: Any) -> bool:
    if type(value) is not type(literal):
        return False
    try:
        return bool(value == literal) and repr(value) == repr(literal)
    except Exception:  # noqa: BLE001 -- values of the user inside a list, say arrays
        return False


def _measure(value: Any, namespace: Mapping[str, Any], plain: bool, limit: int) -> tuple[int, str]:
    """Return the size of a value's pickle, and why it cannot be sent; empty if it can."""
    file = HashWriter(limit)
    try:
        with Packer(file, dict(namespace) if plain else namespace, plain) as packer:  # type: ignore[arg-type]
            packer.dump(value)
    except TooLarge:
        return 0, f"is larger than {limit >> 10} KiB"
    except Exception as error:  # noqa: BLE001 -- whatever a __reduce__ raises
        return 0, f"cannot be pickled ({type(error).__name__})"
    missing = sorted(packer.needs & namespace.keys())
    if missing:
        return 0, f"uses {', '.join(missing[:3])} of the notebook"
    return file.size, ""


def _source_of_cells(namespace: Mapping[str, Any]) -> str:
    """Return the source of the cells that ran in the notebook."""
    cells = namespace.get("In")
    return "\n".join(
        cell for cell in (cells if isinstance(cells, list) else ()) if "run_cell_magic('podtask'" not in cell
    )


def _changed_by_cells(aliases: Iterable[str], text: str) -> set[str]:
    """Return the names of a module that cells have assigned or changed in place, as their text tells.

    Args:
        aliases: Names of the module in the notebook.
        text: Source of the cells.
    """
    if not any(f"{alias}." in text or (alias in text and "setattr" in text) for alias in aliases):
        return set()
    words = "|".join(map(re.escape, sorted(aliases, key=len, reverse=True)))
    pattern = re.compile(
        rf"(?<![\w.])(?:{words})\.(\w+)(?:\.\w+|\[[^\]\n]*\])*(?:\s*(?:[-+*/|&]|//|\*\*)?=(?!=)|{CHANGING_CALL})"
        rf"|setattr\(\s*(?:{words})\s*,\s*['\"](\w+)['\"]"
    )
    return {first or second for first, second in pattern.findall(text)}


@functools.lru_cache(maxsize=1000)
def _read(source: bytes) -> ModuleSource:
    """Return the description of a source; one that does not compile counts as having any name."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ModuleSource(stars=True)
    mentioned = {name for node in ast.walk(tree) for name in _mentions(node)}
    stored = [name for node in tree.body for name in _stored(node)]
    pairs = [pair for node in tree.body for pair in _literal_assignments(node)]
    literals = {name: value for name, value in pairs if stored.count(name) == 1}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and stored.count(node.name) == 1:
            inner = [name for each in node.body for name in _stored(each)]
            of_class = [pair for each in node.body for pair in _literal_assignments(each)]
            literals.update(
                {f"{node.name}.{name}": value for name, value in of_class if inner.count(name) == 1}
            )
    attributes = frozenset(node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return ModuleSource(literals, frozenset(mentioned), attributes, not mentioned.isdisjoint(DYNAMIC))


def _mentions(node: ast.AST) -> Iterator[str]:
    """Yield the identifiers of one node, and short strings: a name may be in ``globals()["LR"]``."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < MAX_NAME_CHARS:
        yield node.value
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name


def _stored(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement of a module binds or changes in place, without what functions in it do."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
        return
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]
    elif isinstance(node, (ast.Subscript, ast.Attribute)):
        called = isinstance(node, ast.Attribute) and node.attr in CHANGING_METHODS
        if isinstance(node.value, ast.Name) and (called or not isinstance(node.ctx, ast.Load)):
            yield node.value.id
    for child in ast.iter_child_nodes(node):
        yield from _stored(child)


def _literal_assignments(node: ast.stmt) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) for each name to which a statement assigns a literal."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        targets = [node.target]
    for target in targets:
        value = node.value  # type: ignore[attr-defined]
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(target.elts, value.elts, strict=False))
        for name, each in pairs:
            if isinstance(name, ast.Name):
                try:
                    yield name.id, _literal(each)
                except ValueError:
                    pass


def _literal(node: ast.expr) -> Any:
    """Return the value of a literal, of ``60 * 60``, and of ``dict(lr=0.1)``.

    Raises:
        ValueError: The expression is something else.
    """
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CONSTRUCTORS:
        if any(keyword.arg is None for keyword in node.keywords):
            raise ValueError
        arguments = [_literal(each) for each in node.args]
        keywords = {str(each.arg): _literal(each.value) for each in node.keywords}
        try:
            return CONSTRUCTORS[node.func.id](*arguments, **keywords)
        except TypeError:
            raise ValueError from None
    if isinstance(node, ast.BinOp):
        return _number(node)
    try:
        return ast.literal_eval(node)
    except (TypeError, SyntaxError, MemoryError, RecursionError):
        raise ValueError from None


def _number(node: ast.expr) -> Any:
    """Return the value of arithmetic with numbers.

    Raises:
        ValueError: The expression is something else, or its value is large.
    """
    if isinstance(node, ast.BinOp) and type(node.op) in NUMBER_OPERATORS:
        left, right = _number(node.left), _number(node.right)
        try:
            value = NUMBER_OPERATORS[type(node.op)](left, right)
        except (ArithmeticError, TypeError):
            raise ValueError from None
    else:
        value = ast.literal_eval(node)
    if type(value) not in (int, float) or abs(value) > MAX_NUMBER:
        raise ValueError
    return value
