"""The order in which definitions and values are sent to a pod with another minor Python version.

A definition is executed there, with its decorators and the hooks of its bases. What these use comes before it,
even a registry that they fill: then without the definitions that are in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from .cell_sources import Source
from .made_functions import IncompleteFunction
from .registries import IncompleteCopy


@dataclass(frozen=True)
class SortedDefinitions:
    """What is sent, in order.

    Args:
        steps: Name and source, each after those that it needs; without a source, a value is pickled.
        incomplete: Name -> copy of a value that is needed before all that it refers to is defined.
        changing: Names of the values that executing the definitions may change. They are set again at the end.
    """

    steps: list[tuple[str, Source | None]]
    incomplete: Mapping[str, IncompleteCopy] = field(default_factory=dict)
    changing: tuple[str, ...] = ()

    @property
    def incomplete_functions(self) -> dict[int, IncompleteFunction]:
        """Id of a function -> what it gets when it is sent before all that it refers to."""
        return {key: each for copy in self.incomplete.values() for key, each in copy.functions.items()}

    def without(self, names: Collection[str]) -> SortedDefinitions:
        """Return the same without the steps of these names."""
        steps = [(name, source) for name, source in self.steps if name not in names]
        return SortedDefinitions(
            steps, self.incomplete, tuple(name for name in self.changing if name not in names)
        )


@dataclass
class Steps:
    """The steps to sort, by name: a definition, a value, or what is set on a definition (``Model.rate``).

    Args:
        sources: The source of a step; None for a value.
        before: Names of the steps that must come before a step.
        uses: Names of the steps that a definition uses when it is called.
        parts: Names of the steps that complete a definition.
    """

    sources: dict[str, Source | None] = field(default_factory=dict)
    before: dict[str, set[str]] = field(default_factory=dict)
    uses: dict[str, set[str]] = field(default_factory=dict)
    parts: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, source: Source | None = None, before: set[str] | None = None) -> None:
        """Add a step; what it uses is added to ``uses`` later."""
        self.sources[name] = source
        self.before[name], self.uses[name] = before or set(), set()

    def add_part(self, owner: str, name: str) -> None:
        """Record that a step completes a definition."""
        self.parts.setdefault(owner, []).append(name)

    def copy(self) -> Steps:
        """Return a copy that further steps do not change."""
        before, uses = (
            {name: {*others} for name, others in each.items()} for each in (self.before, self.uses)
        )
        parts = {name: [*others] for name, others in self.parts.items()}
        return Steps(dict(self.sources), before, uses, parts)


class StepOrder:
    """Sorts steps; an object for one time.

    Args:
        steps: The steps.
        copy: Returns a copy of a value without what refers to definitions that are not done yet, from its name
            and the names that are done; None if there is none.
        classes: Returns the names of the notebook's classes whose instances such a copy has.
    """

    def __init__(
        self,
        steps: Steps,
        copy: Callable[[str, Mapping[str, object]], IncompleteCopy | None],
        classes: Callable[[str], set[str]],
    ) -> None:
        self._steps = steps
        self._copy = copy
        self._classes = classes
        self._done: dict[str, Source | None] = {}
        self._incomplete: dict[str, IncompleteCopy] = {}
        self._late: list[str] = []  # values that come after all definitions
        self._entered: dict[str, int] = {}  # with the number of definitions that waited for the step then
        self._called: set[str] = set()
        self._calling: set[str] = set()  # definitions whose needs are being added
        self._blocked: list[str] = []  # definitions that need what is not done yet
        self._is_last_try = False
        self._executing = 0  # definitions that wait for what they need when they are executed

    def sorted(self) -> SortedDefinitions:
        """Return all steps in order."""
        for self._is_last_try in (False, True):  # at last also definitions that need each other
            for name in self._steps.sources:
                self._visit(name)
        changing = [name for name in self._done if self._is_value(name) and name in self._called]
        for name in self._late:
            self._done[name] = None
        # Attributes are set last, unless a definition needs them: executing the definitions may change them.
        last = [name for name in self._done if self._is_value(name) and "." in name and name not in changing]
        order = [*(name for name in self._done if name not in last), *last]
        return SortedDefinitions(
            [(name, self._done[name]) for name in order],
            self._incomplete,
            (*{**dict.fromkeys(changing), **self._incomplete},),
        )

    def _is_value(self, name: str) -> bool:
        return self._steps.sources[name] is None

    def _is_ready(self, name: str) -> bool:
        """Return whether a step, and what it needs when it is called, is done or comes after all definitions."""
        return name not in self._calling and (name in self._done or name in self._late)

    def _visit(self, name: str) -> None:
        """Add a step after those that it needs."""
        if name in self._entered:
            # A cycle of definitions: the first one visited goes last.
            if self._is_value(name) and self._executing > self._entered[name]:
                self._add_incomplete(name)
            return
        self._entered[name] = self._executing
        before = sorted(self._steps.before[name])
        if self._is_value(name):
            for other in before:
                self._visit(other)
            for other in before:
                self._call(other)
        else:
            self._executing += 1
            for other in before:
                self._call(other)
            self._executing -= 1
            if not self._is_last_try and not all(map(self._is_ready, before)):
                del self._entered[name]
                self._blocked.append(name)
                return
        if self._is_value(name) and not all(other in self._done for other in before):
            self._add_incomplete(name)
        elif name not in self._done and name not in self._late:
            self._done[name] = self._steps.sources[name]

    def _call(self, name: str) -> None:
        """Visit a definition together with all that it needs when it is called, as a decorator is."""
        if name in self._called:
            return
        self._called.add(name)
        self._calling.add(name)
        self._visit(name)
        for other in [*self._steps.parts.get(name, ()), *sorted(self._steps.uses[name])]:
            self._call(other)
        self._calling.discard(name)
        blocked, self._blocked = self._blocked, []
        for other in blocked:
            self._visit(other)

    def _add_incomplete(self, name: str) -> None:
        """Add a value before the definitions that it refers to; after all of them if it has no copy without them."""
        if name in self._done or name in self._late:
            return
        owner = name.partition(".")[0]
        for root in sorted(self._classes(name)):
            self._call(root)
        if name in self._done or name in self._late:
            return
        copy = self._copy(name, self._done) if owner == name or owner in self._done else None
        if copy is None:
            self._late.append(name)
        else:
            self._done[name] = None
            self._incomplete[name] = copy
