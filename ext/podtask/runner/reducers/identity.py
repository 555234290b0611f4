"""Numbers by which an object that was sent is recognized when it comes back.

The notebook numbers its classes, functions and sentinels when it sends them. The pod registers what it builds
under the same numbers, and sends the number back instead of the object. So the notebook gets its own object,
untouched, even if it has changed, renamed or unbound it meanwhile
(https://github.com/cloudpipe/cloudpickle/issues/439, https://github.com/cloudpipe/cloudpickle/issues/262).
"""

import itertools
import os
import sys
import threading
import uuid
import weakref
from typing import Any, Callable, Dict, Optional, Set


class Made:
    """Represents the result of a call in a pickle.

    Args:
        make: The function to call on the other side.
        args: Its arguments.
    """

    def __init__(self, make: Any, *args: Any) -> None:
        self._call = make, args

    def __reduce__(self) -> Any:
        return self._call


class ObjectNumbers:
    """The numbered objects of this process. They are compared with ``is``; an object may forbid hashing.

    Attributes:
        received: The numbers of objects that belong to the other side.
        sent_as_source: Those of them that were executed here; libraries keep state in them.
        changed_instances: Those of them whose attributes have changed, so that they are sent back by value.
    """

    def __init__(self) -> None:
        self.received: Set[str] = set()
        self.sent_as_source: Set[str] = set()
        self.changed_instances: Set[str] = set()
        self._prefix = uuid.uuid4().hex
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self._references: Dict[str, Callable[[], Any]] = {}
        self._numbers: Dict[int, str] = {}

    def number_of(self, obj: Any) -> str:
        """Return the number of an object; give it one if it has none."""
        with self._lock:
            number = self.known_number(obj)
            if number is None:
                number = f"{self._prefix}-{os.getpid()}-{next(self._count)}"
                self._register(number, obj)
            return number

    def known_number(self, obj: Any) -> Optional[str]:
        """Return the number of an object, None if it has none."""
        number = self._numbers.get(id(obj))
        return number if number is not None and self.find(number) is obj else None

    def find(self, number: str) -> Any:
        """Return the object with a number, None if it no longer exists or is not from here."""
        reference = self._references.get(number)
        return None if reference is None else reference()

    def add(self, number: str, obj: Any) -> Any:
        """Register an object; return the one that has the number already, if there is one."""
        with self._lock:
            found = self.find(number)
            if found is None:
                self._register(number, obj)
                return obj
            return found

    def forget(self, number: str) -> None:
        """Remove an object that was not built completely."""
        with self._lock:
            found = self.find(number)
            self._references.pop(number, None)
            self._numbers.pop(id(found), None)

    def receive_all(self) -> None:
        """Regard all objects that the other side has numbered as belonging to it."""
        self.received = {number for number in self._references if not number.startswith(self._prefix)}

    def received_number(self, obj: Any) -> Optional[str]:
        """Return the number of an object that belongs to the other side, None for any other object."""
        number = self._numbers.get(id(obj))
        return number if number in self.received and self.find(str(number)) is obj else None

    def received_objects(self) -> Dict[str, Any]:
        """Return number -> object for all that belong to the other side and still exist."""
        found = {number: self.find(number) for number in sorted(self.received)}
        return {number: obj for number, obj in found.items() if obj is not None}

    def _register(self, number: str, obj: Any) -> None:
        key = id(obj)

        def forget(_: Any) -> None:  # may run at any time, so without the lock
            self._references.pop(number, None)
            if self._numbers.get(key) == number:
                self._numbers.pop(key, None)

        try:
            self._references[number] = weakref.ref(obj, forget)
        except TypeError:  # a bare object() has no weak references; it takes 16 bytes
            self._references[number] = lambda: obj
        self._numbers[key] = number


NUMBERS = ObjectNumbers()


def track(number: str, made: Any) -> Any:
    """Register a rebuilt object; return the one that has the number already, if there is one."""
    return NUMBERS.add(number, made)


def received(number: str, name: str) -> Any:
    """Return the object of this side that the other side refers to.

    Args:
        number: Its number.
        name: Its name, for the error.

    Raises:
        AttributeError: It does not exist in this process.
    """
    found = NUMBERS.find(number)
    if found is None:
        raise AttributeError(f"{name} does not exist here any longer")
    return found


def sent_as_source(number: str, name: str) -> Any:
    """Return the definition with a name, which was executed here; register it under its number."""
    NUMBERS.sent_as_source.add(number)
    return NUMBERS.add(number, vars(sys.modules["__main__"])[name])


def fill_attributes(obj: Any, state: Dict[str, Any]) -> None:
    """Give an object its attributes."""
    vars(obj).update(state)
