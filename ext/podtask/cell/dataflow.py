"""The names that code reads before it sets them, and the names that it sets. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from .scopes import (
    FUNCTION_DEFINITIONS,
    case_statements,
    class_scopes,
    maybe_bound,
    nodes_of,
    used_and_bound,
    walrus_targets,
)

JUMP_STATEMENTS = (ast.Raise, ast.Return, ast.Break, ast.Continue)


class NameFlow:
    """The flow of names through statements: which are read before they are certainly set.

    Attributes:
        reads: Names that may be read before the code itself has set them.
        writes: Names that the code sets.
        set_before: Maps a name to the names that are always set when it is read.
        maybe_set_before: Maps a name to the names that may be set when it is read. Names that
            are read only inside function bodies are not in it.
    """

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.set_before: dict[str, frozenset[str]] = {}
        self.maybe_set_before: dict[str, frozenset[str]] = {}
        self._set: set[str] = set()
        self._bound: set[str] = set()  # set on at least one path
        self._unreachable = False  # after ``raise``, ``break``, ...
        self._breaks: list[set[str]] = []  # names set at each ``break`` of the innermost loop

    def run(self, body: Iterable[ast.stmt]) -> None:
        """Follow a block of statements."""
        for statement in body:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.If):
            self._read(node.test)
            before = set(self._set)
            self._set |= walrus_targets(node.test, true=True)
            self.run(node.body)
            self._join(*self._ends(), *self._ends_of(before, node.orelse))
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self._read(node.iter)
            before = set(self._set)
            self._bind(node.target)
            self._loop(node, before)
        elif isinstance(node, ast.While):
            self._read(node.test)
            before = set(self._set)
            self._set |= walrus_targets(node.test, true=True)
            for_ever = isinstance(node.test, ast.Constant) and bool(node.test.value)
            self._loop(node, None if for_ever else before)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            self._with(node)
        elif isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            self._try(node)  # type: ignore[arg-type]
        elif isinstance(node, ast.ClassDef):
            self._class(node)
        elif isinstance(node, ast.Match):
            self._match(node)
        else:
            self._simple(node)
            if isinstance(node, JUMP_STATEMENTS):
                if isinstance(node, ast.Break):
                    self._breaks.append(set(self._set))
                self._unreachable = True

    def _ends(self) -> list[set[str]]:
        """Return the names set on the current path, or nothing if its end is unreachable."""
        return [] if self._unreachable else [self._set]

    def _ends_of(self, before: set[str], body: Iterable[ast.stmt]) -> list[set[str]]:
        """Follow a block that starts with the given names set, and return the names set at its end."""
        self._set, self._unreachable = set(before), False
        self.run(body)
        return self._ends()

    def _join(self, *ends: set[str]) -> None:
        """Continue where several paths meet, each with its own set of names."""
        self._unreachable = not ends
        if ends:
            self._set = set.intersection(*ends)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, before: set[str] | None) -> None:
        """Follow the body of a loop.

        Args:
            node: The loop.
            before: Names set if the body never runs; None if the loop can end only by ``break``.
        """
        outer, self._breaks = self._breaks, []
        self.run(node.body)
        done = [] if before is None else [before, *self._ends()]
        breaks, self._breaks = self._breaks, outer
        if done:
            breaks += self._ends_of(set.intersection(*done), node.orelse)
        self._join(*breaks)

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        after = set(self._set)
        for index, item in enumerate(node.items):
            self._read(item.context_expr)
            if item.optional_vars:
                self._bind(item.optional_vars)
            if index == 0 or all(_opens(each.context_expr) for each in node.items[:index]):
                after = set(self._set)
        self.run(node.body)
        if not all(_opens(item.context_expr) for item in node.items):
            # The context manager may have suppressed an error.
            self._join(after, *self._ends())

    def _class(self, node: ast.ClassDef) -> None:
        for each in (*node.decorator_list, *node.bases, *(word.value for word in node.keywords)):
            self._read(each)
        body = NameFlow()  # its own scope, which falls back to the module's names
        body.run(node.body)
        self._note(
            body.reads,
            {
                name
                for name in body.reads & body.maybe_set_before.keys()
                if name not in body.maybe_set_before[name]
            },
        )
        for inner in class_scopes(node.body):  # do not see the names of the class body
            self._note(used_and_bound(inner)[0], set())
        self._bind(ast.Name(node.name, ast.Store()))

    def _match(self, node: ast.Match) -> None:
        self._read(node.subject)
        before = set(self._set)
        ends = []
        for case in node.cases:
            ends += self._ends_of(before, [*case_statements(case), *case.body])
        last = node.cases[-1]
        if last.guard or not isinstance(last.pattern, ast.MatchAs) or last.pattern.pattern:
            ends.append(before)  # possibly no case matches
        self._join(*ends)

    def _try(self, node: ast.Try) -> None:
        deleted = {
            name.id
            for each in node.body
            for name in ast.walk(each)
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Del)
        }
        before = self._set - deleted
        self.run([*node.body, *node.orelse])
        ends = self._ends()
        for handler in node.handlers:
            self._set, self._unreachable = set(before), False
            if handler.type:
                self._read(handler.type)
            if handler.name:
                self._set.add(handler.name)
                self._bound.add(handler.name)
            self.run(handler.body)
            ends += [end - {handler.name or ""} for end in self._ends()]  # Python deletes the name
        always = self._ends_of(before, node.finalbody)
        self._join(*((end | always[0]) - (before - always[0]) for end in ends if always))

    def _simple(self, node: ast.stmt) -> None:
        if isinstance(node, ast.AnnAssign) and node.value is None:
            self._read(node.annotation)  # binds nothing
            return
        nodes = nodes_of(node)
        used, bound = used_and_bound(node, nodes)
        at_once = used
        if isinstance(node, FUNCTION_DEFINITIONS):
            parts = [
                *node.decorator_list,
                *node.args.defaults,
                *filter(None, node.args.kw_defaults),
            ]
            early = {each.id for part in parts for each in ast.walk(part) if isinstance(each, ast.Name)}
            used -= {node.name} - early  # a recursive call finds the definition itself
            at_once = used & early
        if isinstance(node, ast.AugAssign):
            used |= bound
        named = ast.NamedExpr in map(type, nodes)
        if named:
            self._bound |= walrus_targets(node)
        self._note(used, at_once)
        if isinstance(node, ast.Delete):
            self._note(bound, bound)
            self._set -= bound
        else:
            self._set |= bound - maybe_bound(node) if named else bound
            self._bound |= bound
            self.writes |= bound

    def _bind(self, target: ast.expr) -> None:
        self._simple(ast.Assign([target], ast.Constant(None)))

    def _read(self, node: ast.expr) -> None:
        self._simple(ast.Expr(node))

    def _note(self, used: set[str], at_once: set[str]) -> None:
        fresh = used - self._set
        self.reads |= fresh
        for name in fresh:
            self.set_before[name] = self.set_before.get(name, frozenset(self._set)) & self._set
        for name in fresh & at_once:
            self.maybe_set_before[name] = (
                self.maybe_set_before.get(name, frozenset(self._bound)) & self._bound
            )


def _opens(context: ast.expr) -> bool:
    """Return whether a context manager opens a file, judging by its call. A file suppresses no errors."""
    if not isinstance(context, ast.Call):
        return False
    called = context.func
    return "open" in (getattr(called, "id", ""), getattr(called, "attr", ""))
