"""Unpickle the values that come back, reusing the notebook's own classes and functions.

Values are unpickled only after they have arrived completely.
"""

from __future__ import annotations

import functools
import gc
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..runner.pickler import Unpickler
from ..runner.protocol import ROLE_DEFINITIONS
from ..runner.reducers import classes, enums, identity, typing_objects

# Functions that rebuild an object with a number, and functions that set the attributes of one.
MAKERS = {
    identity.track,
    classes.make_class,
    classes.make_stateless,
    typing_objects.make_parameter,
    typing_objects.make_lazy_parameter,
    typing_objects.make_alias,
    typing_objects.make_generic_alias,
    typing_objects.make_new_type,
}
FILLERS = {
    classes.fill_class,
    classes.fill_instance,
    enums.fill_member,
    identity.fill_attributes,
    typing_objects.fill_lazy,
}


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
        One value for each item; :class:`Undecoded` if unpickling failed. None for the item of definitions,
        which is read only if this kernel does not have what the values refer to.
    """
    packed = list(packed)
    definitions = functools.cache(lambda: _definitions(parts, packed))
    found: list[Any] = []
    start = first = 0
    unpickler: _Unpickler | None = None
    broken: Exception | None = None
    missing: Exception | None = None  # from an earlier item, which may share objects with this one
    for item in packed:
        if item["role"] == ROLE_DEFINITIONS:  # the last one
            found.append(None)
            continue
        if unpickler is None or item["apart"]:
            reader = _Reader(memoryview(parts[0])[start:])
            unpickler = _Unpickler(reader, buffers=parts[1 + first :], definitions=definitions)
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


class _Unpickler(Unpickler):
    """Unpickle values with the notebook's own classes and functions, and go on if a class is missing.

    An object that exists in the notebook stays as it is: neither its state nor its attributes are set again.

    Args:
        args: Arguments of ``pickle.Unpickler``.
        definitions: Returns number -> object, built from the pod's copies, for a kernel that has not sent them.
        kwargs: Keyword arguments of ``pickle.Unpickler``.
    """

    missing: Exception | None = None

    def __init__(self, *args: Any, definitions: Callable[[], dict[str, Any]] = dict, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._definitions = definitions
        self._own: dict[int, Any] = {}  # objects that exist already, by their id

    def find_class(self, module: str, name: str) -> Any:
        try:
            found = super().find_class(module, name)
        except (ImportError, AttributeError) as error:
            self.missing = self.missing or error
            return _Missing
        if found is identity.received:
            return self._received
        if found is enums.make_member:
            return self._member
        if found in MAKERS:
            return functools.partial(self._make, found)
        if found in FILLERS or (module.startswith("cloudpickle") and name == "_function_setstate"):
            return functools.partial(self._fill, found)
        return found

    def _received(self, number: str, name: str) -> Any:
        found = identity.NUMBERS.find(number)
        if found is None:
            found = self._definitions().get(number)
        if found is None:
            self.missing = self.missing or AttributeError(f"{name} no longer exists in this notebook")
            return _Missing
        return found

    def _make(self, make: Callable[..., Any], number: str, *args: Any) -> Any:
        found = identity.NUMBERS.find(number)
        if found is None:
            return make(number, *args)
        self._own[id(found)] = found
        return found

    def _member(self, kind: Any, name: Any, args: Any, value: Any) -> Any:
        if id(kind) not in self._own:
            return enums.make_member(kind, name, args)
        found = enums.find_member(kind, name, value)
        self._own[id(found)] = found
        return found

    def _fill(self, fill: Callable[..., None], obj: Any, state: Any) -> None:
        if id(obj) not in self._own:
            fill(obj, state)


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
