"""Names that are found in ``__main__`` without being named: tests, docstrings, members, forward references.

``unittest.main()``, ``doctest.testmod()``, ``inspect.getmembers(sys.modules["__main__"])`` or
``"df" in globals()`` in a cell read variables of the notebook that the cell does not name. Executes nothing
of the notebook.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from .dataflow import NameFlow
from .scopes import FUNCTION_DEFINITIONS

UNITTEST_ROOTS = {"unittest", "absl", "testtools"}
UNITTEST_LOADERS = {"loadTestsFromModule", "loadTestsFromName", "loadTestsFromNames", "findTestCases"}
UNITTEST_NAMES = {"setUpModule", "tearDownModule", "load_tests"}
DOCTEST_MODULES = {"testmod", "DocTestSuite"}  # by default, they test __main__
DOCTEST_OBJECTS = {"run_docstring_examples", "DocTestFinder"}  # they test what the cell names
PYTEST_NAMES = re.compile(r"test|Test|pytest|(?:setup|teardown|setUp|tearDown)_?(?:module|function|Module)$")
FIXTURE = "FixtureFunctionDefinition"  # the type of a pytest fixture
# Calls that evaluate annotations that are strings.
TYPE_HINTS = {
    "get_type_hints",
    "get_annotations",
    "resolve_types",
    "model_rebuild",
    "update_forward_refs",
    "TypeAdapter",
    "validate_call",
    "validate_arguments",
}
# They list all members of a module; without one of them, the cell names what it reads of __main__.
MEMBER_LISTS = {"getmembers", "getmembers_static", "dir", "vars", "__dict__"}
CALLS = {
    *("main", "TestProgram", "eval_str", "ipytest"),
    *UNITTEST_LOADERS,
    *DOCTEST_MODULES,
    *DOCTEST_OBJECTS,
    *TYPE_HINTS,
}
MAIN_MODULE = (
    r"\bmodules\[(?:__name__|['\"]__main__['\"])\]|\b(?:import_module|__import__)\(['\"]__main__['\"]"
)
# Calls without arguments that return the variables of the notebook; in a function, only the first one does.
NAMESPACES = ("globals", "locals", "vars", "dir")
NAMESPACE_CALL = rf"\b(?:{'|'.join(NAMESPACES)})\(\)"
MAY_LOOK_UP = re.compile(
    rf"\b(?:{'|'.join(sorted(CALLS))})\b|\bimport\b.*\b__main__\b|{MAIN_MODULE}|{NAMESPACE_CALL}"
)
IN_FUNCTIONS = {*CALLS, "modules", "import_module", "__import__", "__main__", "globals"}


class MainLookups(NamedTuple):
    """Names of the notebook that are found in ``__main__``.

    Attributes:
        needed: Names that a library looks for, in the order of the notebook.
        members: All other definitions and values that a list of the members has, and that can be read without
            libraries that the cell does not use.
        left_out: The other values of the list.
        checked: Names whose existence is checked (``"df" in globals()``); the cell can do without them.
    """

    needed: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()

    def without(self, excluded: Callable[[str], bool]) -> MainLookups:
        """Return the lookups without the names that a function excludes."""
        if not any(self):
            return self
        return MainLookups(*(tuple(name for name in names if not excluded(name)) for names in self))


NOTHING = MainLookups()


def main_lookups(source: str, reads: Iterable[str], namespace: Mapping[str, Any]) -> MainLookups:
    """Return the names that a cell, and the functions that it calls, let libraries find in ``__main__``.

    Args:
        source: Source of the cell.
        reads: Names that the cell reads.
        namespace: The notebook's namespace.
    """
    reads = {name: namespace[name] for name in reads if name in namespace}
    sources = [*_sources_of_functions(reads, namespace)]
    if MAY_LOOK_UP.search(source) or any(map(_is_lookup, reads.values())):
        sources.append(source)
    needed: set[str] = set()
    checked: set[str] = set()
    lists_members = False
    roots: set[str] = set()
    for each in sources:
        try:
            tree = ast.parse(each)
        except SyntaxError:
            continue  # await at the top level of a function's excerpt, say
        calls = _Calls(namespace)
        calls.visit(tree)
        needed.update(*_needed(calls, reads, namespace))
        checked |= calls.checked
        if calls.checks_any:
            checked.update(calls.texts)
        lists_members |= calls.takes_main and bool(calls.words & MEMBER_LISTS)
        roots |= calls.roots
    if not needed and not checked and not lists_members:
        return NOTHING
    found = tuple(name for name in namespace if name in needed and name not in reads)
    asked = tuple(name for name in namespace if name in checked and name not in reads and name not in needed)
    if not lists_members:
        return MainLookups(found, checked=asked)
    members: dict[bool, list[str]] = {True: [], False: []}
    roots |= {"builtins", "__main__", *(_root(value) for value in reads.values())}
    for name, value in namespace.items():
        if not name.startswith("_") and name not in reads and not isinstance(value, types.ModuleType):
            members[_root(value) in roots].append(name)
    return MainLookups(found, tuple(members[True]), tuple(members[False]), asked)


def _root(value: object) -> str:
    """Return the top-level package of a module, class or function, and of any other value's type."""
    if isinstance(value, types.ModuleType):
        return value.__name__.partition(".")[0]
    owner = value if isinstance(value, (type, types.FunctionType)) else type(value)
    return str(owner.__module__).partition(".")[0]


def _is_lookup(value: Any) -> bool:
    """Return whether a value of the notebook is such a function or its module, by whatever alias."""
    known = isinstance(value, (types.FunctionType, types.ModuleType, type))
    return known and value.__name__ in {*CALLS, *UNITTEST_ROOTS, "doctest"}


def _sources_of_functions(reads: Iterable[str], namespace: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sources of the notebook's functions that the cell may call and that may look into ``__main__``."""
    todo, seen = list(reads), set[str]()
    while todo:
        name = todo.pop()
        value = namespace.get(name)
        if name in seen or not isinstance(value, types.FunctionType) or value.__globals__ is not namespace:
            continue
        seen.add(name)
        codes, names = [value.__code__], set[str]()
        for code in codes:
            names.update(code.co_names)
            codes += [each for each in code.co_consts if isinstance(each, types.CodeType)]
        todo += names
        if names & IN_FUNCTIONS or any(_is_lookup(namespace.get(each)) for each in names):
            try:
                yield textwrap.dedent(inspect.getsource(value))
            except (OSError, TypeError):
                pass  # made by exec: its calls cannot be read


class _Calls(ast.NodeVisitor):
    """Collects what a source calls, under the names that the libraries give to their functions.

    Attributes:
        calls: (top-level package, name of the function), and the call.
        words: Names, attributes and keywords.
        attributes: Attributes.
        texts: Strings.
        annotations: Annotations that are strings.
        roots: Packages that the source imports.
        takes_main: Whether it takes the module ``__main__``.
        checked: Names that it looks up in ``globals()``.
        checks_any: Whether it looks up a name there that is not a constant.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.calls: list[tuple[str, str, ast.Call]] = []
        self.words: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.annotations: list[str] = []
        self.roots: set[str] = set()
        self.takes_main = False
        self.checked: set[str] = set()
        self.checks_any = False
        self._depth = 0  # of nested functions
        self._namespace = namespace
        self._imported: dict[str, str] = {}

    def visit(self, node: ast.AST) -> None:
        """Collect from a node and from the nodes below it."""
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node)
        elif isinstance(node, ast.Name):
            self.words.add(node.id)
        elif isinstance(node, ast.Attribute):
            self.words.add(node.attr)
            self.attributes.add(node.attr)
        elif isinstance(node, ast.keyword) and node.arg:
            self.words.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.texts.append(node.value)
        elif isinstance(node, ast.Call):
            name = self._original_name(node.func)
            self.calls.append((name.partition(".")[0], name.rpartition(".")[2], node))
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if annotation is not None:
                self.annotations += strings(annotation)
        if isinstance(node, (ast.Call, ast.Subscript)) and re.search(MAIN_MODULE, ast.unparse(node)):
            self.takes_main = True
        self._check(node)
        inner = isinstance(node, (*FUNCTION_DEFINITIONS, ast.Lambda))
        self._depth += inner
        self.generic_visit(node)
        self._depth -= inner

    def _check(self, node: ast.AST) -> None:
        """Collect the name in ``"df" in globals()``, ``globals().get("df")`` and ``globals()["df"]``."""
        key: ast.expr | None = None
        if isinstance(node, ast.Compare) and self._is_namespace(node.comparators[0]):
            key = node.left if isinstance(node.ops[0], (ast.In, ast.NotIn)) else None
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            key = node.slice if self._is_namespace(node.value) else None
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            key = node.args[0] if node.args and self._is_namespace(node.func.value) else None
        if isinstance(key, ast.Constant):
            self.checked.add(str(key.value))
        elif key is not None:
            self.checks_any = True

    def _is_namespace(self, node: ast.expr) -> bool:
        known = NAMESPACES[:1] if self._depth else NAMESPACES
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in known
            and not node.args
        )

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            whole = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            root = whole.partition(".")[0]
            by_root = isinstance(node, ast.Import) and alias.asname is None
            self._imported[alias.asname or (root if by_root else alias.name)] = root if by_root else whole
            self.roots.add(root)
            self.takes_main |= root == "__main__"

    def _original_name(self, node: ast.expr) -> str:
        """Return the dotted name under which its library has a function."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ".".join(["", *parts])
        name = self._imported.get(node.id, node.id)
        value = self._namespace.get(node.id)
        if node.id not in self._imported and isinstance(value, types.ModuleType):
            name = value.__name__
        elif node.id not in self._imported and isinstance(value, (type, types.FunctionType)):
            name = f"{value.__module__}.{value.__name__}"
        return ".".join([name, *parts])


def strings(node: ast.AST) -> list[str]:
    """Return the strings in a syntax tree."""
    found = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
    return [value for value in found if isinstance(value, str)]


def _needed(found: _Calls, reads: Mapping[str, Any], namespace: Mapping[str, Any]) -> Iterator[Iterable[str]]:
    """Yield the names that each call looks for."""
    for root, last, call in found.calls:
        if last in ("TestProgram", *UNITTEST_LOADERS) or (last == "main" and root in UNITTEST_ROOTS):
            yield _named(namespace, lambda name, value: name in UNITTEST_NAMES or _is_test_case(value))
            yield (word for text in strings(call) for word in re.findall(r"\w+", text))
        elif root == "ipytest":
            yield _named(
                namespace, lambda name, value: PYTEST_NAMES.match(name) or type(value).__name__ == FIXTURE
            )
        elif root == "doctest" and last in (*DOCTEST_MODULES, *DOCTEST_OBJECTS):
            of_main = last in DOCTEST_MODULES and (found.takes_main or not _names_a_module(call))
            yield _documented(namespace if of_main else reads, found.texts)
        elif last in TYPE_HINTS:
            yield _annotated(found.annotations, reads, namespace)
    if "eval_str" in found.words:
        yield _annotated(found.annotations, reads, namespace)
    if found.takes_main and not found.words & MEMBER_LISTS:
        yield {*found.attributes, *found.texts}


def _named(namespace: Mapping[str, Any], matches: Callable[[str, Any], Any]) -> list[str]:
    return [name for name, value in namespace.items() if matches(name, value)]


def _is_test_case(value: object) -> bool:
    unittest: Any = sys.modules.get("unittest")
    return isinstance(value, type) and unittest is not None and issubclass(value, unittest.TestCase)


def _names_a_module(call: ast.Call) -> bool:
    """Return whether a call of doctest names the module to test, which is not ``__main__``."""
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg in ("m", "module"))]
    return any(not (isinstance(each, ast.Constant) and each.value is None) for each in given)


def _documented(values: Mapping[str, Any], texts: Iterable[str]) -> set[str]:
    """Return the definitions whose docstrings have examples, and the names that examples read.

    Args:
        values: Values of the notebook, by name.
        texts: Strings of the cell, among them its docstrings.
    """
    # Start-up cost: it loads the debugger, and few cells need it.
    import doctest

    parser = doctest.DocTestParser()
    examples = [example for text in texts for example in _examples(parser, text)]
    found = set()
    for name, value in values.items():
        tested = [*value.values()] if name == "__test__" and isinstance(value, dict) else [value]
        inner = [
            example for each in tested for text in _docstrings(each) for example in _examples(parser, text)
        ]
        if inner:
            found.add(name)
            examples += inner
    for example in examples:
        found |= _names_read(example.source, "exec")
    return found


def _docstrings(value: Any) -> Iterator[str]:
    """Yield the docstrings of a class or function of the notebook, and those inside a class."""
    value = getattr(value, "__func__", getattr(value, "fget", value))  # methods and properties
    if isinstance(value, str):
        yield value
    elif callable(value) and getattr(value, "__module__", None) == "__main__":
        if isinstance(value.__doc__, str):
            yield value.__doc__
        for each in vars(value).values() if isinstance(value, type) else ():
            nested = getattr(each, "__qualname__", "").startswith(f"{value.__qualname__}.")
            if isinstance(each, (staticmethod, classmethod, property)) or nested:
                yield from _docstrings(each)


def _examples(parser: Any, text: str) -> list[Any]:
    try:
        return list(parser.get_examples(text)) if ">>>" in text else []
    except ValueError:
        return []  # not a docstring, or one that doctest will refuse in the pod


def _annotated(texts: Iterable[str], reads: Mapping[str, Any], namespace: Mapping[str, Any]) -> set[str]:
    """Return the names that annotations in strings refer to: those of the cell, and of what it reads."""
    found: set[str] = set()
    todo: list[Any] = [*reads.values()]
    fresh = {name for text in texts for name in _names_read(text, "eval")}
    while todo or fresh:
        for name in fresh - found:
            todo.append(namespace.get(name))
        found |= fresh
        fresh = set()
        for value in todo:
            for text in _forward_references(value):
                fresh |= _names_read(text, "eval")
        fresh -= found
        todo = []
    return found


def _forward_references(value: Any) -> Iterator[str]:
    """Yield the strings in the annotations of a class or function of the notebook."""
    if getattr(value, "__module__", None) != "__main__":
        return
    if isinstance(value, type):
        for kind in value.__mro__:
            if kind.__module__ == "__main__":
                for each in vars(kind).values():
                    function = getattr(each, "__func__", getattr(each, "fget", each))
                    if isinstance(function, types.FunctionType):
                        yield from _strings_of(function)
                yield from _strings_of(kind)
    elif isinstance(inspect.unwrap(value), types.FunctionType) if callable(value) else False:
        yield from _strings_of(inspect.unwrap(value))


def _strings_of(annotated: Any) -> Iterator[str]:
    try:
        todo = [*inspect.get_annotations(annotated).values()]
    except Exception:  # noqa: BLE001 -- Python 3.14 evaluates annotations here; what fails, fails in the pod too
        return
    while todo:
        each = todo.pop()
        if isinstance(each, typing.ForwardRef):
            each = each.__forward_arg__
        if isinstance(each, str):
            yield each
        else:
            todo += typing.get_args(each)


def _names_read(source: str, mode: Literal["exec", "eval"]) -> set[str]:
    try:
        tree = ast.parse(source, mode=mode)
    except SyntaxError:
        return set()
    flow = NameFlow()
    flow.run([ast.Expr(tree.body)] if isinstance(tree, ast.Expression) else tree.body)  # type: ignore[attr-defined]
    return flow.reads
