"""Random sequences of cells on both sides of a session, and the same cells in one plain kernel.

The plain kernel tells what each cell must see. Some sequences cannot be as in one kernel, by the rule that the side
counts which has set a name last: the notebook never sees what the session has set until it comes back (``-o``),
and the session keeps what only it has. So the generator lets a cell read a name only if its side can know the value.
"""

from __future__ import annotations

import ast
import types
from random import Random
from typing import Any

import pytest
from podtask.cell.cell import Cell
from podtask.errors import InputError
from podtask.runner.stamps import named_definitions
from podtask.runner.worker.shared_names import needed_names

from tests.unit.sides import Process, Sides

DATA = ("a", "b", "c", "d")
NUMBERS = ("n", "m")
FUNCTIONS = ("f", "g")
INSTANCES = ("p", "q")
ALL = (*DATA, *NUMBERS, *FUNCTIONS, "P", *INSTANCES)
HELPERS = """
def show(value, seen=()):
    kind = type(value)
    if id(value) in seen: return "..."
    inner = (*seen, id(value))
    if kind is list: return "[%s]" % ", ".join(show(each, inner) for each in value)
    if kind is dict: return "{%s}" % ", ".join(f"{key}: {show(each, inner)}" for key, each in value.items())
    if hasattr(value, "hello"): return f"{kind.__name__}({show(dict(sorted(vars(value).items())), inner)})"
    return repr(value)
"""


def describe(value: Any, seen: tuple[int, ...] = ()) -> Any:
    """Return what a value is like, without the identities of its parts."""
    if id(value) in seen:
        return "..."
    inner = (*seen, id(value))
    if isinstance(value, (list, tuple)):
        return [describe(each, inner) for each in value]
    if isinstance(value, dict):
        return {key: describe(each, inner) for key, each in value.items()}
    if isinstance(value, types.FunctionType):
        cells = [describe(cell.cell_contents, inner) for cell in value.__closure__ or ()]
        return (
            "function",
            value.__code__.co_code,
            value.__code__.co_consts,
            describe([value.__defaults__, cells]),
        )
    if isinstance(value, type):
        return (
            "class",
            value.__name__,
            {k: describe(v, inner) for k, v in vars(value).items() if k[:2] != "__"},
        )
    if hasattr(type(value), "hello"):
        return (describe(type(value), inner), describe(vars(value), inner))
    return value


def parts(value: Any, found: set[int] | None = None) -> set[int]:
    """Return the identities of the objects in a value that a cell can change in place."""
    found = set() if found is None else found
    if id(value) in found:
        return found
    inner: tuple[Any, ...] = ()
    if isinstance(value, list):
        inner = tuple(value)
    elif isinstance(value, dict):
        inner = tuple(value.values())
    elif isinstance(value, types.FunctionType):
        inner = (value.__defaults__, *(cell.cell_contents for cell in value.__closure__ or ()))
    elif isinstance(value, tuple):
        inner = value
    elif hasattr(type(value), "hello"):
        inner = (vars(value), type(value))
    elif not isinstance(value, type):
        return found
    found.add(id(value))
    for each in inner:
        parts(each, found)
    return found


class Bindings:
    """The names of a cell while it is executed: notes which it binds.

    Args:
        names: The namespace, which is changed.
    """

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self.bound: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        return self._names[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._names[name] = value
        self.bound.add(name)

    def __delitem__(self, name: str) -> None:
        del self._names[name]
        self.bound.discard(name)


class Sequence:
    """One random sequence of cells.

    Args:
        seed: Sequences of the same seed are equal.

    Attributes:
        log: The cells so far, for a message.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._sides = Sides()
        self._one = Process()
        self.log: list[str] = []
        self._tainted: set[str] = set()
        self._changed_here: set[str] = set()  # in place by the notebook, of a value that the session had set
        self._set_there: set[str] = set()  # by the session last; the notebook does not have the value
        self._set_here: set[str] = set()  # by the notebook last; the session has not read it since
        self._returned: set[str] = set()
        for process in (self._sides.notebook, self._sides.session, self._one):
            process.run(ast.parse(HELPERS))

    def run(self, cells: int) -> str:
        """Run some cells; return why the sequence has ended.

        Raises:
            AssertionError: The two sides are not as one kernel.
        """
        for _ in range(cells):
            there = self._random.random() < 0.5
            source, outputs = self._cell(there)
            if not self._step(source, there, outputs):
                return "conflict"
        return "end"

    def _step(self, source: str, there: bool, outputs: tuple[str, ...]) -> bool:
        """Run one cell on its side and in the one kernel; return whether the sequence goes on."""
        flags = f" -o {','.join(outputs)}" if outputs else ""
        self.log.append(f"{'there' + flags if there else 'here'}: {source}")
        reads = self._closure(source)
        expected_conflicts = reads & self._changed_here
        if there and expected_conflicts:
            with pytest.raises(InputError) as caught:
                self._sides.there(source)
            assert any(f"{name} is" in caught.value.message for name in expected_conflicts)
            return False
        before = {name: describe(value) for name, value in self._own(self._one).items()}
        before_here = {name: describe(value) for name, value in self._own(self._sides.notebook).items()}
        bindings = Bindings(self._one.names)
        expected = self._outcome(lambda: self._one.run(ast.parse(source), bindings))
        side = self._sides.session if there else self._sides.notebook
        run = (lambda: self._sides.there(source, outputs)) if there else (lambda: self._sides.here(source))
        conflict, found = "", ""
        try:
            found = self._outcome(run)
        except InputError as error:
            conflict = error.message
        if conflict:  # of a name that shares objects with one that the cell reads
            notebook = self._sides.notebook
            changed = self._changed_here | self._set_there
            clashing = {name for name in changed if self._sharing(notebook, {name}) & reads - {name}}
            assert any(f"{name} is" in conflict for name in clashing), conflict
            return False
        assert found == expected, f"{found!r} is {expected!r} in one kernel"
        now = self._own(self._one)
        bound = bindings.bound & {*ALL}
        deleted = before.keys() - now.keys()
        changed = {name for name in now if before.get(name, now) != describe(now[name])} - bound
        if not there:  # changed in place in the notebook, of a value that the session has set
            clashing = changed & self._set_there - self._tainted
            here = self._sides.notebook.names
            self._changed_here |= {
                name for name in clashing if before_here.get(name) != describe(here.get(name))
            }
            # The notebook has changed an older object, which another of its names has, too.
            self._tainted |= {
                name
                for name in before_here.keys() & here.keys() - changed - bound - self._changed_here
                if before_here[name] != describe(here[name])
            }
        self._update(there, bound, deleted, changed, side)
        for name in outputs:
            if name not in self._tainted:
                self._set_there.discard(name)
                self._changed_here.discard(name)
        self._returned |= {*outputs}
        if not there:  # `a = b` of a returned copy
            self._returned |= self._sharing(self._one, self._returned) & bound
        if there:
            self._set_here -= reads
            self._compare(reads | bound)
        return True

    def _update(
        self, there: bool, bound: set[str], deleted: set[str], changed: set[str], side: Process
    ) -> None:
        other = self._sides.notebook if there else self._sides.session
        for name in bound:
            self._tainted.discard(name)
            self._changed_here.discard(name)
            self._returned.discard(name)
            (self._set_there.add if there else self._set_there.discard)(name)
            (self._set_here.discard if there else self._set_here.add)(name)
        for name in deleted:
            self._changed_here.discard(name)
            if name in other.names:
                self._tainted.add(name)  # its other side lives on
        own = self._own(self._one)
        for name in changed:
            is_good = name in side.names and describe(side.names[name]) == describe(own[name])
            if is_good and there:
                self._set_there.add(name)
            elif is_good:
                self._set_here.add(name)
            elif not is_good and name not in self._changed_here:
                self._tainted.add(name)

    def _compare(self, names: set[str]) -> None:
        """Compare the names that a cell has used in the session, and which of them are the same objects."""
        one, session = self._own(self._one), self._own(self._sides.session)
        good = [
            name
            for name in sorted(one)
            if name not in self._tainted | self._set_here
            and name in session
            and describe(session[name]) == describe(one[name])
        ]
        for name in sorted(names & one.keys() - self._tainted):
            assert name in good, (
                f"{name}: {show(session.get(name))} in the session, {show(one[name])} in one kernel"
            )
            for other in good:
                if {name, other} & self._returned or isinstance(one[name], (int, str)):
                    continue
                same = one[name] is one[other]
                assert (session[name] is session[other]) == same, f"{name} is {other}: {same} in one kernel"

    def _sharing(self, process: Process, names: set[str]) -> set[str]:
        """Return names of a process that have an object in common with some of them."""
        own = self._own(process)
        theirs = set().union(*(parts(own[name]) for name in names & own.keys()))
        return {name for name, value in own.items() if parts(value) & theirs}

    def _changes_copies(self, source: str, used: set[str]) -> bool:
        """Return whether a cell may change an object in place of which ``-o`` has made several, one for each name."""
        sharing = self._sharing(self._one, used)
        in_place = any(word in source for word in (".append(", ".update(", "rate =", "(f", "(g", ".hello("))
        return in_place and len(sharing) > 1 and bool(sharing & self._returned)

    @staticmethod
    def _own(process: Process) -> dict[str, Any]:
        return {name: process.names[name] for name in ALL if name in process.names}

    @staticmethod
    def _outcome(run: Any) -> str:
        try:
            return str(run())
        except InputError:
            raise
        except Exception as error:  # a cell may fail, and must fail in the same way
            return f"{type(error).__name__}: {error}"

    @staticmethod
    def _statically_bound(source: str) -> set[str]:
        return {
            node.id
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        } & {*ALL}

    def _closure(self, source: str) -> set[str]:
        """Return the names that a cell uses in the one kernel, with those of its functions and instances."""
        own = self._own(self._one)
        named = named_definitions(self._one.names)
        todo = [*Cell.of(source).reads]
        found: set[str] = set()
        for name in todo:
            if name in ALL and name not in found:
                found.add(name)
                if name in own:
                    todo += needed_names(own[name], self._one.names, named)
        return found

    def _cell(self, there: bool) -> tuple[str, tuple[str, ...]]:
        """Return the source of a cell whose side can know all that it reads, and what it brings back."""
        random = self._random
        own = self._own(self._one)
        for _ in range(50):
            source = self._statement(own)
            if there or random.random() < 0.3:
                source += f"\nprint(show({random.choice(ALL[:6])}))"
            bound = self._statically_bound(source)
            reads = self._closure(source)
            used = {name for name in reads if name in own}
            if used & self._tainted or self._changes_copies(source, used):
                continue
            if reads - own.keys():  # a name that was deleted on one side may live on the other
                continue
            if not there and used & self._changed_here:
                continue
            if not there and used & self._set_there and not self._may_conflict(source, used, own):
                continue
            outputs: tuple[str, ...] = ()
            if there and random.random() < 0.25:
                names = [
                    name
                    for name in sorted((used | bound) & {*DATA, *NUMBERS})
                    if name in own or name in bound
                ]
                outputs = tuple(random.sample(names, min(len(names), 1)))
            return source, outputs
        return "n = 1", ()

    def _may_conflict(self, source: str, used: set[str], own: dict[str, Any]) -> bool:
        """Return whether a cell of the notebook only changes a value in place that the session has set."""
        here = self._sides.notebook.names
        [name, *others] = used
        return (
            not others
            and source.startswith(f"{name}.append(")
            and "print" not in source
            and isinstance(own[name], (list, dict))
            and isinstance(here.get(name), (list, dict))
        )

    def _statement(self, own: dict[str, Any]) -> str:
        random = self._random
        one, two = random.choice(DATA), random.choice(DATA)
        number, function, instance = (
            random.choice(NUMBERS),
            random.choice(FUNCTIONS),
            random.choice(INSTANCES),
        )
        small, fresh = (
            random.randrange(5),
            random.randrange(1000, 10**6),
        )  # in a branch, no small number: see bound_names
        return random.choice(
            (
                f"{one} = [{small}]",
                f"{one} = {{'k': {small}}}",
                # Not `a = a`: a small value that is bound again is sent as a new object, by the rule.
                f"{one} = {two}" if one != two else f"{one} = [{small}]",
                f"{one} = [{two}, {small}]",
                f"{one} = {{'k': {two}}}",
                f"{number} = {small}",
                f"{number} += 1",
                f"for {number} in range({small + 1}): pass",
                f"del {random.choice((one, number))}",
                f"{one}.append({small}) if isinstance({one}, list) else {one}.update(j={small})",
                f"{one}.append({small}) if isinstance({one}, list) else {one}.update(j={small})",
                f"def {function}(): return {number}",
                f"def {function}(): return show({one})",
                f"def {function}(seen=[]):\n    seen.append({small})\n    return len(seen)",
                "def g(): return f()",
                f"print({function}())",
                f"print({function}())",
                f"class P:\n    rate = {small}\n    def hello(self): return self.rate + {number}",
                f"P.rate = {small}",
                f"{instance} = P()",
                f"{instance}.x = {random.choice((one, str(small)))}",
                f"print({instance}.hello(), isinstance({instance}, P))",
                f"if {number} == {small}: {one} = [{small}]",
                f"try:\n    {one} = [{small}]\n    {number} = 1 / 0\nexcept ZeroDivisionError: {number} = {fresh}",
                f"{one} = [{small}]; {number} = 1 / 0",
                f"import math as {number}",
            )
        )


def show(value: Any) -> str:
    """Return a short text of a value."""
    return repr(describe(value))[:200]
