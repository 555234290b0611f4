"""Which names a piece of code reads before it sets them, and which it sets. Pure."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Container, Iterable, Iterator

INNER = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Flow:
    """Follows statements in order: which names are read before they are surely set."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.settled: dict[str, frozenset[str]] = {}
        self._set: set[str] = set()

    def run(self, body: Iterable[ast.stmt]) -> None:
        """Takes in a block of statements."""
        for statement in body:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.If):
            self._read(node.test)
            self._branches(node.body, node.orelse)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self._read(node.iter)
            before = set(self._set)
            self._bind(node.target)
            self.run(node.body)
            self._set = set(before)
            self.run(node.orelse)
            self._set = before
        elif isinstance(node, ast.While):
            self._read(node.test)
            self._branches(node.body, node.orelse, [])
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                self._read(item.context_expr)
                if item.optional_vars:
                    self._bind(item.optional_vars)
            self.run(node.body)
        elif isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            self._try(node)  # type: ignore[arg-type]
        elif isinstance(node, ast.ClassDef):
            self._class(node)
        elif isinstance(node, ast.Match):
            self._read(node.subject)
            self._branches(*([*_pattern(case), *case.body] for case in node.cases), [])
        else:
            self._simple(node)

    def _class(self, node: ast.ClassDef) -> None:
        for each in (*node.decorator_list, *node.bases, *(word.value for word in node.keywords)):
            self._read(each)
        body = Flow()  # a scope of its own, which falls back to the module's names
        body.run(node.body)
        self._note(body.reads)
        for inner in _scopes(node.body):  # do not see the names of the class's body
            self._note(_names(inner)[0])
        self._bind(ast.Name(node.name, ast.Store()))

    def _try(self, node: ast.Try) -> None:
        before = set(self._set)
        self.run(node.body)
        self.run(node.orelse)
        for handler in node.handlers:
            self._set = set(before)
            if handler.type:
                self._read(handler.type)
            if handler.name:
                self._set.add(handler.name)
            self.run(handler.body)
        self._set = before
        self.run(node.finalbody)

    def _branches(self, *bodies: list[ast.stmt]) -> None:
        before = set(self._set)
        ends = []
        for body in bodies:
            self._set = set(before)
            self.run(body)
            ends.append(self._set)
        self._set = set.intersection(*ends)

    def _simple(self, node: ast.stmt) -> None:
        if isinstance(node, ast.AnnAssign) and node.value is None:
            self._read(node.annotation)  # binds nothing
            return
        used, bound = _names(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            at_once = [
                *node.decorator_list,
                *node.args.defaults,
                *filter(None, node.args.kw_defaults),
            ]
            early = {
                each.id for part in at_once for each in ast.walk(part) if isinstance(each, ast.Name)
            }
            used -= {node.name} - early  # what calls itself finds itself
        if isinstance(node, ast.AugAssign):
            used |= bound
        self._note(used)
        if isinstance(node, ast.Delete):
            self._note(bound)
            self._set -= bound
        else:
            self._set |= bound
            self.writes |= bound

    def _bind(self, target: ast.expr) -> None:
        self._simple(ast.Assign([target], ast.Constant(None)))

    def _read(self, node: ast.expr) -> None:
        self._simple(ast.Expr(node))

    def _note(self, used: set[str]) -> None:
        fresh = used - self._set
        self.reads |= fresh
        for name in fresh:
            self.settled[name] = self.settled.get(name, frozenset(self._set)) & self._set


def free_names(source: str) -> set[str]:
    """Returns the global names that a piece of code and the functions in it read."""
    return _used(symtable.symtable(source, "<names>", "exec"))


def _pattern(case: ast.match_case) -> list[ast.stmt]:
    """Returns statements that read and bind what a case's pattern and guard do."""
    made: list[ast.stmt] = []
    for node in ast.walk(case.pattern):
        if isinstance(node, (ast.MatchValue, ast.MatchClass)):
            made.append(ast.Expr(node.value if isinstance(node, ast.MatchValue) else node.cls))
        name = getattr(node, "name", None) or getattr(node, "rest", None)
        if name:
            made.append(ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)))
    return [*made, ast.Expr(case.guard)] if case.guard else made


def _names(node: ast.stmt) -> tuple[set[str], set[str]]:
    """Returns (names used, names bound at the top) of a statement."""
    text = ast.unparse(ast.fix_missing_locations(node))
    inlined = _inlined(node)
    augmented = {
        each.target.id
        for each in ast.walk(node)
        if isinstance(each, ast.AugAssign) and isinstance(each.target, ast.Name)
    }
    if any(
        isinstance(each, (ast.Await, ast.AsyncFor, ast.AsyncWith))
        or (isinstance(each, ast.comprehension) and each.is_async)
        for each in ast.walk(node)
    ):
        # symtable has no flag for top-level await: look from inside a coroutine instead.
        wrapped = "async def _():\n " + text.replace("\n", "\n ")
        inner = symtable.symtable(wrapped, "<names>", "exec").get_children()[0]
        bound = {each.get_name() for each in inner.get_symbols() if each.is_assigned()}
        top = {each.get_name() for each in inner.get_symbols() if each.is_referenced()}
        return (top - inlined) | _used(inner, augmented, inlined, free=True), bound - inlined
    table = symtable.symtable(text, "<names>", "exec")
    bound = {
        each.get_name() for each in table.get_symbols() if each.is_assigned() or each.is_imported()
    }
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        # The table of the module does not show that a comprehension's walrus binds there.
        bound |= {each.target.id for each in ast.walk(node) if isinstance(each, ast.NamedExpr)}
    return _used(table, augmented, inlined), bound - inlined


def _scopes(body: Iterable[ast.AST]) -> Iterator[ast.stmt]:
    """Yields, as statements, the outermost functions and comprehensions of a class's body."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node
        elif isinstance(node, INNER):
            yield ast.Expr(node)
        elif not isinstance(node, ast.ClassDef):
            yield from _scopes(ast.iter_child_nodes(node))


def _inlined(node: ast.AST) -> set[str]:
    """Returns the targets of comprehensions whose names stand nowhere outside of these."""
    targets: set[str] = set()
    outside: set[str] = set()
    todo: list[ast.AST] = [node]
    while todo:
        each = todo.pop()
        if isinstance(each, ast.Name):
            outside.add(each.id)
        if isinstance(each, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            todo.append(each.generators[0].iter)
            for inner in ast.walk(each):
                if isinstance(inner, ast.comprehension):
                    names = (name for name in ast.walk(inner.target) if isinstance(name, ast.Name))
                    targets |= {name.id for name in names}
        else:
            todo += ast.iter_child_nodes(each)
    return targets - outside


def _used(
    table: symtable.SymbolTable,
    augmented: Container[str] = (),
    inlined: Container[str] = (),
    free: bool = False,
) -> set[str]:
    """Returns the names that a scope and those in it take from the module.

    Args:
        table: of the scope.
        augmented: targets of augmented assignments in it.
        inlined: targets of comprehensions, which from Python 3.12 on show in its own table.
        free: count free names too: the scope stands for a module.
    """
    used = set()
    for symbol in table.get_symbols():
        outer = table.get_type() == "module" or symbol.is_global()
        if (outer or (free and symbol.is_free())) and symbol.is_referenced():
            if symbol.get_name() in inlined and not symbol.is_declared_global():
                continue
            used.add(symbol.get_name())
        if symbol.is_declared_global() and symbol.get_name() in augmented:
            used.add(symbol.get_name())  # ``global c; c += 1`` counts as no reference
    for child in table.get_children():
        used |= _used(child, augmented, free=free)
    return used
