"""Unpickle the values that come back, reusing the notebook's own classes and functions.

Values are unpickled only after they have arrived completely.
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
    """Stand for a value that could not be unpickled here."""

    error: Exception


def unpack(parts: Sequence[Any], packed: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return the values that the runner packed, in order.

    Args:
        parts: The pickles, then the out-of-band buffers. Arrays keep using these buffers.
        packed: Items of the end frame: ``stream`` and ``buffers`` give the end of each item, and
            ``apart`` is true if it shares no objects with earlier items.

    Returns:
        One value for each item; :class:`Undecoded` if unpickling failed.
    """
    found: list[Any] = []
    start = first = 0
    unpickler: _Unpickler | None = None
    broken: Exception | None = None
    missing: Exception | None = None  # from an earlier item, which may share objects with this one
    for item in packed:
        if unpickler is None or item["apart"]:
            reader = _Reader(memoryview(parts[0])[start:])
            unpickler = _Unpickler(reader, buffers=parts[1 + first :])
            broken = missing = None
        if broken is None:
            unpickler.missing = None
            try:
                value = unpickler.load()
            except Exception as error:  # noqa: BLE001 -- whatever a class's own code raises
                broken = error
            missing = unpickler.missing if unpickler.missing is not None else missing
            if missing is not None and (unpickler.missing is not None or _holds_missing(value)):
                value = Undecoded(missing)
        found.append(value if broken is None else Undecoded(broken))
        start, first = item["stream"], item["buffers"]
    return found


class _Unpickler(pickle.Unpickler):
    """Unpickle values with the notebook's own classes and functions, and go on if a class is missing.

    cloudpickle would create a class again and drop it if the class exists already. That would run
    its metaclass and ``__init_subclass__`` once more.
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
        """Set a function's state; for the notebook's own functions, only what a cell may have changed."""
        if id(function) not in self._own:
            fill(function, state)
            return
        attributes, slots = state
        function.__dict__.update(attributes)
        # Keep the defaults, which may be compared with ``is`` to objects of the notebook.
        for ours, theirs in zip(function.__closure__ or (), slots["__closure__"] or (), strict=True):
            if theirs != types.CellType():  # empty
                ours.cell_contents = theirs.cell_contents


class _Missing:
    """Accept every operation of a pickle, in place of an object of a missing class."""

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
    """Return whether a value contains a placeholder for an object of a missing class."""
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
    """A readable file over a buffer, without a copy of the whole buffer."""

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
