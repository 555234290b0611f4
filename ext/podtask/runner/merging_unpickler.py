"""Unpickle values of which some objects exist already in this process: these stay as they are."""

import functools
from typing import Any, Callable, Dict, List

from .pickler import Unpickler
from .reducers import classes, enums, identity, typing_objects

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


class MergingUnpickler(Unpickler):
    """Unpickle values with the classes, functions and sentinels that this process has under the same numbers.

    Neither the state nor the attributes of these are set again, unless ``sets_existing`` is true.

    Args:
        args: Arguments of ``pickle.Unpickler``.
        kwargs: Keyword arguments of ``pickle.Unpickler``.

    Attributes:
        made: Numbers of the objects that did not exist.
        sets_existing: Whether the objects that exist get the attributes of the other side.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._existing: Dict[int, Any] = {}  # by their id
        self.made: List[str] = []
        self.sets_existing = False

    def find_class(self, module: str, name: str) -> Any:
        """Return a function or class by its name; those that rebuild objects look for existing ones first."""
        found = super().find_class(module, name)
        if found is enums.make_member:
            return self._member
        if found in MAKERS:
            return functools.partial(self._make, found)
        if found in FILLERS or (module.startswith("cloudpickle") and name == "_function_setstate"):
            return functools.partial(self._fill, found)
        return found

    def _make(self, make: Callable[..., Any], number: str, *args: Any) -> Any:
        found = identity.NUMBERS.find(number)
        if found is None:
            self.made.append(number)
            return make(number, *args)
        self._existing[id(found)] = found
        return found

    def _member(self, kind: Any, name: Any, args: Any, value: Any) -> Any:
        if id(kind) not in self._existing:
            return enums.make_member(kind, name, args)
        found = enums.find_member(kind, name, value)
        self._existing[id(found)] = found
        return found

    def _fill(self, fill: Callable[..., None], obj: Any, state: Any) -> None:
        if self.sets_existing or id(obj) not in self._existing:
            fill(obj, state)
