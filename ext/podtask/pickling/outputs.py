"""Values as they come in: the notebook's own classes and functions are known again.

Nothing of it is read before it is here whole; what cannot be decoded keeps its bytes.
"""

from __future__ import annotations

import functools
import gc
import pickle
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..runner.pickler import known


@dataclass(frozen=True)
class Undecoded:
    """Stands for a value that could not be unpickled here."""

    error: Exception


def unpack(parts: Sequence[Any], packed: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return the values of the items that the runner packed, in their order.

    Args:
        parts: the pickles, then the buffers that went apart; arrays stay in these.
        packed: of the end frame; ``stream`` and ``buffers`` say where each item ends, ``apart``
            that it shares nothing with those before it.

    Returns:
        One value for each item; :class:`Undecoded` where unpickling raised.
    """
    found: list[Any] = []
    start = first = 0
    unpickler: _Unpickler | None = None
    broken: Exception | None = None
    lacks: Exception | None = None  # what an item before lacked: this one may share parts with it
    for item in packed:
        if unpickler is None or item["apart"]:
            reader = _Reader(memoryview(parts[0])[start:])
            unpickler = _Unpickler(reader, buffers=parts[1 + first :])
            broken = lacks = None
        if broken is None:
            unpickler.missing = None
            try:
                value = unpickler.load()
            except Exception as error:  # noqa: BLE001 -- whatever a class's own code raises
                broken = error
            lacks = unpickler.missing if unpickler.missing is not None else lacks
            if lacks is not None and (unpickler.missing is not None or _holds_missing(value)):
                value = Undecoded(lacks)
        found.append(value if broken is None else Undecoded(broken))
        start, first = item["stream"], item["buffers"]
    return found


class _Unpickler(pickle.Unpickler):
    """Knows the notebook's own classes and functions again, and reads on where a class is missing.

    cloudpickle would make a class anew and throw it away where there is one of its number: a
    metaclass, and ``__init_subclass__``, would run once more.
    """

    missing: Exception | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._own: dict[int, Any] = {}  # functions of the notebook, by their id

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("cloudpickle"):
            found = super().find_class(module, name)
            if name in ("_make_skeleton_class", "_make_skeleton_enum"):
                return functools.partial(self._class, found)
            if name == "_lookup_class_or_track":
                return functools.partial(self._function, found)
            if name == "_function_setstate":
                return functools.partial(self._state, found)
            return found
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError) as error:
            self.missing = self.missing or error
            return _Missing

    def _class(self, make: Callable[..., Any], *args: Any) -> Any:
        return known(args[-2]) or make(*args)

    def _function(self, track: Callable[..., Any], number: str, made: Any) -> Any:
        found = track(number, made)
        if found is not made:
            self._own[id(found)] = found
        return found

    def _state(self, fill: Callable[..., None], function: Any, state: Any) -> None:
        """Fill a function; of the notebook's own only what a cell may have changed is taken."""
        if id(function) not in self._own:
            fill(function, state)
            return
        attributes, slots = state
        function.__dict__.update(attributes)
        # Not the defaults: what ``is`` compares them with has stayed here.
        for ours, theirs in zip(function.__closure__ or (), slots["__closure__"] or (), strict=True):
            if theirs != types.CellType():  # empty
                ours.cell_contents = theirs.cell_contents


class _Missing:
    """Take whatever a pickle does with an object."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass

    def add(self, value: Any) -> None:
        pass


def _holds_missing(value: Any) -> bool:
    """Return whether somewhere in a value there is what stands for something missing."""
    seen: set[int] = set()
    todo = [value]
    while todo:
        each = todo.pop()
        if isinstance(each, _Missing) or each is _Missing:
            return True
        if id(each) not in seen and not isinstance(each, (type, types.ModuleType)):
            seen.add(id(each))
            function = isinstance(each, types.FunctionType)  # not its globals
            todo += (each.__closure__ or ()) if function else gc.get_referents(each)
    return False


class _Reader:
    """A file over bytes, without a copy of them all."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._place = 0

    def read(self, size: int) -> bytes:
        start, self._place = self._place, self._place + size
        return bytes(self._view[start : self._place])

    def readinto(self, target: Any) -> int:
        found = self._view[self._place : self._place + len(target)]
        target[: len(found)] = found
        self._place += len(found)
        return len(found)

    def readline(self) -> bytes:
        rest = bytes(self._view[self._place :])
        line = rest[: rest.find(b"\n") + 1] or rest
        self._place += len(line)
        return line
