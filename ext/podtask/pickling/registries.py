"""Containers that executing definitions changes, such as a registry that a decorator fills."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable
from typing import Any

from ..runner.reducers import containers
from .made_functions import IncompleteFunction, filled_cells

MAX_OBJECTS = 10_000  # of a value, from which on it is not taken for a registry
PLAIN = (int, float, str, bytes, bool, types.NoneType)


def contents(
    value: Any, is_made: Callable[[Any], bool], limit: int | None = None
) -> list[tuple[Any, containers.Content]]:
    """Return the containers that a value consists of, each with its content.

    A function that is sent like data counts as a container of its attributes, and so do its cells.

    Args:
        value: A value of the notebook.
        is_made: Returns whether an object is such a function.
        limit: Number of objects from which on none is returned.
    """
    found: list[tuple[Any, containers.Content]] = []
    seen: dict[int, Any] = {}
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, PLAIN) or id(each) in seen:
            continue
        seen[id(each)] = each
        if containers.is_container(each):
            new = containers.content(each)
            found.append((each, new))
            waiting += _parts(new)
        elif is_made(each):
            cells = (cell for _, cell in filled_cells(each))
            pairs = [(part, containers.content(part)) for part in (each, *cells)]
            found += pairs
            waiting += [*_defaults(each), *(part for _, new in pairs for part in _parts(new))]
        elif isinstance(each, (tuple, functools.partial, types.MethodType)):
            waiting += _immutable_parts(each)
        if limit is not None and len(seen) + len(waiting) > limit:
            return []
    return found


class IncompleteCopy:
    """A copy of a value without some of its content. In the pod, it becomes the value itself.

    Args:
        value: A container, or a value that consists of containers.
        is_sendable: Returns whether a part of the value can be sent now.
        is_made: Returns whether an object is a function that is sent like data.
        earlier: The containers of earlier copies, by id, which are pickled as what they were copied from.

    Attributes:
        copy: The copy.
        copies: The copied containers, each with its copy.
        functions: Id of a function -> what it gets now. It is not copied itself.
    """

    def __init__(
        self,
        value: Any,
        is_sendable: Callable[[Any], bool],
        is_made: Callable[[Any], bool],
        earlier: dict[int, Any],
    ) -> None:
        self._is_sendable = is_sendable
        self._is_made = is_made
        self._earlier = earlier
        self._made: dict[int, Any] = {}
        self.copies: list[tuple[Any, Any]] = []
        self.functions: dict[int, IncompleteFunction] = {}
        self.copy = self._copied(value)

    @classmethod
    def create(
        cls,
        value: Any,
        is_sendable: Callable[[Any], bool],
        is_made: Callable[[Any], bool],
        earlier: dict[int, Any],
    ) -> IncompleteCopy | None:
        """Return the copy of a value; None if it has none."""
        made = cls(value, is_sendable, is_made, earlier)
        if not made.copies and not made.functions and made.copy is value and id(value) not in earlier:
            return None
        earlier.update((id(original), original) for original, _ in made.copies)
        return made

    def _copied(self, value: Any) -> Any:
        if id(value) in self._made:
            return self._made[id(value)]
        if id(value) in self._earlier or self._is_sendable(value):
            return value
        if type(value) is tuple:
            return tuple(self._kept(value))
        if type(value) is functools.partial:
            words = {name: self._copied(each) for name, each in value.keywords.items()}
            return functools.partial(value.func, *map(self._copied, value.args), **words)
        if isinstance(value, types.MethodType):
            return types.MethodType(value.__func__, self._copied(value.__self__))
        if self._is_made(value):
            self._add_function(value)
        return self._copied_container(value) if containers.is_container(value) else value

    def _copied_container(self, value: Any) -> Any:
        made = self._made[id(value)] = containers.make_empty(type(value), containers.setting_of(value))
        self.copies.append((value, made))
        items, *states = containers.content(value)
        if type(value) in containers.WEAK:
            items = []
        elif isinstance(value, dict):
            pairs = [pair for pair in items if self._is_kept(pair[0]) and self._is_kept(pair[1])]
            items = [(key, self._copied(each)) for key, each in pairs]
        elif items is not None:
            items = self._kept(items)
        attributes, slots = (
            {
                name: self._copied(each)
                for name, each in state.items()
                if self._is_kept(each, is_attribute=True)
            }
            for state in states
        )
        containers.fill(made, (items, attributes, slots))
        return made

    def _add_function(self, function: types.FunctionType) -> None:
        if id(function) in self.functions:
            return
        new = self.functions[id(function)] = IncompleteFunction()
        for name, cell in filled_cells(function):
            if self._is_kept(cell.cell_contents, is_attribute=True):
                new.contents[name] = self._copied(cell.cell_contents)
        if function.__defaults__ is not None:
            new.defaults = (*map(self._copied, function.__defaults__),)
        new.kwdefaults = {name: self._copied(each) for name, each in (function.__kwdefaults__ or {}).items()}

    def _kept(self, items: Iterable[Any]) -> list[Any]:
        return [self._copied(each) for each in items if self._is_kept(each)]

    def _is_kept(self, part: Any, is_attribute: bool = False) -> bool:
        """Return whether a part is in the copy: it can be sent as it is, or has an incomplete copy itself.

        An instance of the notebook's, or a function, may have been registered, unless it is an attribute of another one.
        """
        if type(part) in PLAIN or containers.built_in(part) is not None:  # no member of an IntFlag
            return True
        if is_attribute and (containers.is_container(part) or self._is_made(part)):
            return True
        return self._is_sendable(part)


def _defaults(function: types.FunctionType) -> list[Any]:
    return [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]


def _parts(content: containers.Content) -> list[Any]:
    """Return the objects in a content."""
    items, attributes, slots = content
    return [*(items or ()), *attributes.values(), *slots.values()]


def _immutable_parts(value: Any) -> Iterable[Any]:
    if isinstance(value, functools.partial):
        return [*value.args, *value.keywords.values()]
    return [value.__self__] if isinstance(value, types.MethodType) else value
