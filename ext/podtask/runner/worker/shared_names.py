"""The session's side of the names that notebook and session share: which of them its cells have set.

It compares only what the notebook is about to send, and before anything of the cell runs.
"""

import dis
import functools
import gc
import itertools
import types
from typing import Any, Dict, Iterable, Iterator, List, Optional, Set

from .. import protocol
from ..bound_names import BindingStatements, failed_line
from ..stamps import DEFINITIONS, Stamp, Stamper, named_definitions
from ..value_summary import SHORT_KINDS, summarize_value

MAX_OBJECTS = 10_000  # looking at them takes a few milliseconds
CONTAINERS = (list, tuple, set, frozenset)
OPAQUE = (types.ModuleType, types.FrameType, types.CodeType, types.GeneratorType, types.BuiltinFunctionType)


class SharedNames:
    """The names of a session.

    Args:
        namespace: The ``__main__`` of the session.
    """

    def __init__(self, namespace: Dict[str, Any]) -> None:
        self._namespace = namespace
        self._stamps: Dict[
            str, Optional[Stamp]
        ] = {}  # of the names that are the same on both sides, as they were
        self._replaced: Dict[str, str] = {}
        self._loaded: List[str] = []
        self._current: Set[str] = set()
        self._statements: Optional[BindingStatements] = None

    def compare(self, about: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Return why a cell cannot run yet, None if it can.

        Args:
            about: The field ``shared`` of the RUN frame.

        Returns:
            ``conflicts``: name -> summary of the session's value, of names that were changed in place on both sides.
            ``wanted``: names whose values the notebook must send.
        """
        self._replaced = {}
        self._loaded = []
        conflicts: Dict[str, str] = {}
        wanted: List[str] = []
        stamper = Stamper(self._namespace)
        for name, condition in about["names"].items():
            if name not in self._namespace:
                if condition in (protocol.SET_IF_CHANGED, protocol.SET_IF_MISSING):
                    wanted.append(name)
            elif condition != protocol.SET_IF_MISSING and self._is_changed(name, stamper):
                summary = summarize_value(self._namespace[name])
                if condition == protocol.SET_IF_SAME:
                    conflicts[name] = summary
                elif condition == protocol.SET_IF_CHANGED:
                    wanted.append(name)
                elif not isinstance(self._namespace[name], types.ModuleType):
                    self._replaced[name] = summary
        if not conflicts and not wanted:
            return None
        return {"conflicts": conflicts, "wanted": wanted}

    def note_loaded(self, about: Dict[str, Any]) -> None:
        """Note that the notebook has set names, before the cell runs.

        Args:
            about: The field ``shared`` of the RUN frame.
        """
        self._current = {*about["current"]}
        self._loaded = [name for name in about["sent"] if name in self._namespace]
        self.note_same(self._loaded)

    def note_same(self, names: Iterable[str]) -> None:
        """Note that the two sides have the same values of names: they were sent, or have been returned."""
        stamper = Stamper(self._namespace)
        for name in names:
            if name in self._namespace:
                self._stamps[name] = stamper.stamp(self._namespace[name])

    def changed_outputs(self, names: Iterable[str]) -> List[str]:
        """Return those of the outputs of a cell that has ended which the notebook does not have as they are.

        Another copy of the others would not be the object that the notebook's other names refer to.
        """
        stamper = Stamper(self._namespace)
        return [
            name
            for name in names
            if name not in self._current or name not in self._namespace or self._is_changed(name, stamper)
        ]

    def begin(self, tree: Any) -> None:
        """Note the names and what the statements of a cell bind, before it runs."""
        self._statements = BindingStatements(tree, self._namespace)

    def report(self, error: Optional[BaseException]) -> Dict[str, Any]:
        """Return the field ``shared`` of the RESULT frame of a cell that has ended.

        Args:
            error: The error that the cell has raised, None if it has succeeded.
        """
        about: Dict[str, Any] = {"loaded": self._loaded, "replaced": self._replaced}
        if self._statements is None:  # the cell did not begin
            return {**about, "bound": {}, "deleted": []}
        done = self._statements.names_after(self._namespace, failed_line(error, self._namespace))
        self._statements = None
        for name in (*done.bound, *done.deleted):
            self._stamps.pop(name, None)
        named = named_definitions(self._namespace) if done.bound else {}
        bound = {
            name: [
                summarize_value(self._namespace[name]),
                sorted(needed_names(self._namespace[name], self._namespace, named)),
            ]
            for name in done.bound
        }
        return {**about, "bound": bound, "deleted": done.deleted}

    def _is_changed(self, name: str, stamper: Stamper) -> bool:
        before = self._stamps.get(name)
        return before is None or not before.matches(stamper.stamp(self._namespace[name]))


def needed_names(value: Any, namespace: Dict[str, Any], named: Dict[int, str]) -> Set[str]:
    """Return the names that a value needs when it is used.

    These are the names of the classes and functions that it holds, and the global names that it reads itself: a
    function, a class, or the class of an instance. Names that these need in turn belong to their own names.

    Args:
        value: The value.
        namespace: The globals of the notebook's functions.
        named: The names of the definitions of this namespace, by id.
    """
    if type(value) in SHORT_KINDS:
        return set()
    found = {named[key] for key in _held_definitions(value, namespace, named)}
    for function in _functions(value):
        if function.__globals__ is namespace:
            for code in _codes(function.__code__):
                found |= {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    return found


def _held_definitions(value: Any, namespace: Dict[str, Any], named: Dict[int, str]) -> Set[int]:
    """Return the ids of the classes and functions with a name that a value holds.

    No code of the user's classes runs. A list is asked for the types of all its items at once. Further in, at most
    :data:`MAX_OBJECTS` objects are looked at: in a larger value, the classes of deeper objects may be missed.
    """
    todo = [value]
    seen = {id(value), id(namespace)}
    found: Set[int] = set()
    count = 0
    for obj in todo:  # grows
        for part in _parts(obj):
            count += 1
            if count > MAX_OBJECTS:
                return found
            if type(part) in SHORT_KINDS or id(part) in seen:
                continue
            seen.add(id(part))
            if id(part) in named:
                found.add(id(part))
            else:
                todo.append(part)
    return found


def _parts(obj: Any) -> Iterable[Any]:
    """Return what an object refers to, and the types of this, without what belongs to a module."""
    kind = type(obj)
    if kind in (*CONTAINERS, dict):
        items = itertools.chain(obj, obj.values()) if kind is dict else obj
        kinds = {*map(type, items)}.difference(SHORT_KINDS)
        return itertools.chain(kinds, obj, obj.values() if kind is dict else ()) if kinds else ()
    if isinstance(obj, OPAQUE) or (isinstance(obj, DEFINITIONS) and obj.__module__ != "__main__"):
        return ()
    if kind is types.FunctionType:
        return obj.__defaults__, obj.__kwdefaults__, obj.__closure__, vars(obj)
    return (kind, *gc.get_referents(obj))


def _functions(value: Any) -> Iterator[types.FunctionType]:
    if isinstance(value, functools.partial):
        value = value.func
    value = getattr(value, "__func__", value) if isinstance(value, types.MethodType) else value
    if isinstance(value, types.FunctionType):
        yield value
        return
    for kind in (value if isinstance(value, type) else type(value)).__mro__:
        if kind.__module__ != "__main__":
            continue
        for part in list(vars(kind).values()):
            accessors = (part.fget, part.fset, part.fdel) if isinstance(part, property) else (part,)
            for each in accessors:
                found = getattr(each, "__func__", each)
                if isinstance(found, types.FunctionType):
                    yield found


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _codes(each)
