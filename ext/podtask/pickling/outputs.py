"""Unpickle the values that come back, reusing the notebook's own classes and functions.

Large values are unpickled while they arrive. Nothing is assigned before all have arrived.
"""

from __future__ import annotations

import functools
import gc
import threading
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..runner.merging_unpickler import MergingUnpickler
from ..runner.protocol import ROLE_DEFINITIONS
from ..runner.reducers import identity
from .arriving_values import ArrivingValues, ValuesDiscarded


@dataclass(frozen=True)
class Undecoded:
    """Stand for a value that could not be unpickled here."""

    error: Exception


def unpack(
    parts: Sequence[Any], packed: Iterable[Mapping[str, Any]], early: EarlyUnpacking | None = None
) -> list[Any]:
    """Return the values that the runner packed, in order.

    Args:
        parts: The pickles, then the out-of-band buffers. Arrays keep using these buffers.
        packed: Items of the end frame: ``stream`` and ``buffers`` give the end of each item, and
            ``apart`` is true if it shares no objects with earlier items.
        early: Has unpickled the first items while they arrived.

    Returns:
        One value for each item; :class:`Undecoded` if unpickling failed. None for the item of definitions,
        which is read only if this kernel does not have what the values refer to.
    """
    packed = list(packed)
    definitions = functools.cache(lambda: _definitions(parts, packed))
    group, found = early.finish() if early is not None else (None, [])
    start, first = (packed[len(found) - 1]["stream"], packed[len(found) - 1]["buffers"]) if found else (0, 0)
    for item in packed[len(found) :]:
        if item["role"] == ROLE_DEFINITIONS:  # the last one
            found.append(None)
            continue
        if group is None or item["apart"]:
            group = _Group(_Reader(memoryview(parts[0])[start:]), parts[1 + first :], definitions)
        found.append(group.load())
        start, first = item["stream"], item["buffers"]
    return found


class EarlyUnpacking:
    """A thread that unpickles the first values while they and others arrive.

    Args:
        values: The values.
    """

    def __init__(self, values: ArrivingValues) -> None:
        self._values = values
        self._found: list[Any] = []
        self._group = _Group(
            _ArrivingReader(values),
            values.buffers(),
            functools.cache(lambda: _definitions(values.parts, values.wait_for_packed())),
        )
        self._thread = threading.Thread(target=self._run, name="podtask-unpickle", daemon=True)
        self._thread.start()

    def finish(self) -> tuple[_Group | None, list[Any]]:
        """Wait for the thread; return the group of the first values, and those that were unpickled.

        There are none if the values were discarded.
        """
        self._thread.join()
        return (None if self._values.is_discarded else self._group), self._found

    def _run(self) -> None:
        try:
            while self._values.wait_for_item(len(self._found)):
                self._found.append(self._group.load())
        except ValuesDiscarded:
            self._found.clear()
        if self._values.is_discarded:
            self._group.forget_objects()


class _Group:
    """Unpickles the values that share objects, one after another.

    Args:
        reader: A file that begins with the first of them.
        buffers: Their buffers.
        definitions: Returns number -> object of the pod's copies.
    """

    def __init__(
        self, reader: Any, buffers: Iterable[Any], definitions: Callable[[], dict[str, Any]]
    ) -> None:
        self._unpickler = _Unpickler(reader, buffers=buffers, definitions=definitions)
        self._broken: Exception | None = None
        self._missing: Exception | None = None  # from an earlier value, which may share objects with this one

    def load(self) -> Any:
        """Return the next value; :class:`Undecoded` if it cannot be unpickled."""
        unpickler = self._unpickler
        if self._broken is not None:
            return Undecoded(self._broken)
        unpickler.missing = None
        try:
            value = unpickler.load()
        except Exception as error:  # noqa: BLE001 -- whatever a class's own code raises
            self._broken = error
            return Undecoded(error)
        self._missing = unpickler.missing if unpickler.missing is not None else self._missing
        if self._missing is not None and (unpickler.missing is not None or _holds_missing(value)):
            return Undecoded(self._missing)
        return value

    def forget_objects(self) -> None:
        """Forget the numbers of the objects that were built: their attributes may not have arrived."""
        for number in self._unpickler.made:
            identity.NUMBERS.forget(number)


def _definitions(parts: Sequence[Any], packed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return number -> object of the classes and functions that the pod has sent along as copies."""
    if not packed or packed[-1]["role"] != ROLE_DEFINITIONS:
        return {}
    start, first = (packed[-2]["stream"], packed[-2]["buffers"]) if len(packed) > 1 else (0, 0)
    unpickler = _Unpickler(_Reader(memoryview(parts[0])[start:]), buffers=parts[1 + first :])
    try:
        found: dict[str, Any] = unpickler.load()
    except Exception:  # noqa: BLE001 -- whatever a class's own code raises: the values that need it say so
        return {}
    return found


class _Unpickler(MergingUnpickler):
    """Unpickle values with the notebook's own classes and functions, and go on if a class is missing.

    Args:
        args: Arguments of ``pickle.Unpickler``.
        definitions: Returns number -> object, built from the pod's copies, for a kernel that has not sent them.
        kwargs: Keyword arguments of ``pickle.Unpickler``.
    """

    missing: Exception | None = None

    def __init__(self, *args: Any, definitions: Callable[[], dict[str, Any]] = dict, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._definitions = definitions

    def find_class(self, module: str, name: str) -> Any:
        try:
            found = super().find_class(module, name)
        except (ImportError, AttributeError) as error:
            self.missing = self.missing or error
            return _Missing
        return self._received if found is identity.received else found

    def _received(self, number: str, name: str) -> Any:
        found = identity.NUMBERS.find(number)
        if found is None:
            found = self._definitions().get(number)
        if found is None:
            self.missing = self.missing or AttributeError(f"{name} no longer exists in this notebook")
            return _Missing
        return found


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
        self._position = 0

    def read(self, size: int) -> bytes:
        start, self._position = self._position, self._position + size
        return bytes(self._view[start : self._position])

    def readinto(self, target: Any) -> int:
        found = self._view[self._position : self._position + len(target)]
        target[: len(found)] = found
        self._position += len(found)
        return len(found)

    def readline(self) -> bytes:
        rest = bytes(self._view[self._position :])
        line = rest[: rest.find(b"\n") + 1] or rest
        self._position += len(line)
        return line


class _ArrivingReader:
    """A readable file over pickles that still arrive. It waits for the bytes that are read.

    Args:
        values: The pickles.
    """

    def __init__(self, values: ArrivingValues) -> None:
        self._values = values
        self._position = 0

    def read(self, size: int) -> bytes:
        data = bytearray(size)
        return bytes(memoryview(data)[: self.readinto(data)])

    def readinto(self, target: Any) -> int:
        done = 0
        with memoryview(target) as view:
            while done < len(view):
                with view[done:] as rest:
                    count = self._values.copy_to(rest, self._position)
                if not count:
                    break
                done += count
                self._position += count
        return done

    def readline(self) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n"):
            piece = self.read(1)
            if not piece:
                break
            line += piece
        return bytes(line)
