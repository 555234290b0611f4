"""Which names a piece of code reads before it sets them, and which it sets. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from .scopes import DEFINITION, names, pattern, scopes, unsure, walruses

LEAVES = (ast.Raise, ast.Return, ast.Break, ast.Continue)


class Flow:
    """Follow statements in order: which names are read before they are surely set.

    Attributes:
        reads: the names that may be read before the code itself has set them.
        writes: those that it sets.
        settled: name -> the names that are set whenever that one is read.
        possible: name -> the names that may be set whenever that one is read at once; it has
            none of those that only the bodies of functions read.
    """

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.set_before: dict[str, frozenset[str]] = {}
        self.maybe_set_before: dict[str, frozenset[str]] = {}
        self._set: set[str] = set()
        self._bound: set[str] = set()  # on some way at least
        self._gone = False  # nothing comes here: the way has left by ``raise``, ``break``, ...
        self._breaks: list[set[str]] = []  # what is set where the innermost loop is left

    def run(self, body: Iterable[ast.stmt]) -> None:
        """Take in a block of statements."""
        for statement in body:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.If):
            self._read(node.test)
            before = set(self._set)
            self._set |= walruses(node.test, true=True)
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
            self._set |= walruses(node.test, true=True)
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
            if isinstance(node, LEAVES):
                if isinstance(node, ast.Break):
                    self._breaks.append(set(self._set))
                self._gone = True

    def _ends(self) -> list[set[str]]:
        """Return what is set on the way that has been followed; nothing where that has left."""
        return [] if self._gone else [self._set]

    def _ends_of(self, before: set[str], body: Iterable[ast.stmt]) -> list[set[str]]:
        """Follow a block that begins with those names set."""
        self._set, self._gone = set(before), False
        self.run(body)
        return self._ends()

    def _join(self, *ends: set[str]) -> None:
        """Goes on where several ways meet."""
        self._gone = not ends
        if ends:
            self._set = set.intersection(*ends)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, before: set[str] | None) -> None:
        """Follow a loop's body from here on.

        Args:
            node: the loop.
            before: what is set where it ends without a turn; None where it ends by ``break`` only.
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
        for place, item in enumerate(node.items):
            self._read(item.context_expr)
            if item.optional_vars:
                self._bind(item.optional_vars)
            if place == 0 or all(_opens(each.context_expr) for each in node.items[:place]):
                after = set(self._set)
        self.run(node.body)
        if not all(_opens(item.context_expr) for item in node.items):
            # It may have held back an error, as ``suppress`` does.
            self._join(after, *self._ends())

    def _class(self, node: ast.ClassDef) -> None:
        for each in (*node.decorator_list, *node.bases, *(word.value for word in node.keywords)):
            self._read(each)
        body = Flow()  # a scope of its own, which falls back to the module's names
        body.run(node.body)
        self._note(
            body.reads,
            {
                name
                for name in body.reads & body.maybe_set_before.keys()
                if name not in body.maybe_set_before[name]
            },
        )
        for inner in scopes(node.body):  # do not see the names of the class's body
            self._note(names(inner)[0], set())
        self._bind(ast.Name(node.name, ast.Store()))

    def _match(self, node: ast.Match) -> None:
        self._read(node.subject)
        before = set(self._set)
        ends = []
        for case in node.cases:
            ends += self._ends_of(before, [*pattern(case), *case.body])
        last = node.cases[-1]
        if last.guard or not isinstance(last.pattern, ast.MatchAs) or last.pattern.pattern:
            ends.append(before)  # no case may fit
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
            self._set, self._gone = set(before), False
            if handler.type:
                self._read(handler.type)
            if handler.name:
                self._set.add(handler.name)
                self._bound.add(handler.name)
            self.run(handler.body)
            ends += [end - {handler.name or ""} for end in self._ends()]  # it is unset there
        always = self._ends_of(before, node.finalbody)
        self._join(*((end | always[0]) - (before - always[0]) for end in ends if always))

    def _simple(self, node: ast.stmt) -> None:
        if isinstance(node, ast.AnnAssign) and node.value is None:
            self._read(node.annotation)  # binds nothing
            return
        used, bound = names(node)
        at_once = used
        if isinstance(node, DEFINITION):
            parts = [
                *node.decorator_list,
                *node.args.defaults,
                *filter(None, node.args.kw_defaults),
            ]
            early = {each.id for part in parts for each in ast.walk(part) if isinstance(each, ast.Name)}
            used -= {node.name} - early  # what calls itself finds itself
            at_once = used & early
        if isinstance(node, ast.AugAssign):
            used |= bound
        self._bound |= walruses(node)
        self._note(used, at_once)
        if isinstance(node, ast.Delete):
            self._note(bound, bound)
            self._set -= bound
        else:
            self._set |= bound - unsure(node)
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
    """Return whether a context manager is a file, by its call: none that holds back an error."""
    if not isinstance(context, ast.Call):
        return False
    called = context.func
    return "open" in (getattr(called, "id", ""), getattr(called, "attr", ""))
