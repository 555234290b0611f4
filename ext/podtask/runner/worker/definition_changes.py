"""Detect what a cell changed on the classes and functions that the notebook sent.

They go back by reference, so the notebook's own stay as they are. What the cell changed on one of them is a
value of its own: only that difference is sent, if the user asks for it, else its name.
"""

import types
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..caches import without_caches
from ..protocol import MAX_WATCHED_BYTES
from ..reducers import classes, enums, identity
from .fingerprint import fingerprint

ATOMS = (bool, int, float, complex, str, bytes, type(None))
# Kept for the comparison: they are never changed in place, or are compared as objects of their own.
KEPT = (
    *ATOMS,
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.CodeType,
    types.ModuleType,
    types.WrapperDescriptorType,
    property,
    classmethod,
    staticmethod,
)
NOT_KEPT = object()
CODE = (types.FunctionType, classmethod, staticmethod, property)
FUNCTION_ATTRIBUTES = ("__code__", "__defaults__", "__kwdefaults__", "__doc__")
REGISTERED = "registered"
MEMBER = "member"
SET_BY_ENUM = ("_name_", "_sort_order_", "__objclass__")
# Set by Python or by a library when it looks at a class.
CACHES = (
    *("__annot", "__pydantic", "__abstractmethods__", "__parameters__", "__protocol_", "__static_attr"),
    *("_classSetupFailed", "_class_cleanups", "tearDown_exceptions"),  # of unittest.TestCase
)
# Where a value is ("attribute", "cell", "registered" or "member"), and its name or place; for a member of an
# enumeration, the names of the member and of its attribute.
Key = Tuple[str, Any]


class DefinitionChange(NamedTuple):
    """What the cell changed on a class or function.

    Attributes:
        label: The name by which the user asks for it.
        value: What is pickled: the object, the new values by their place, the places that are gone.
    """

    label: str
    value: Tuple[Any, Dict[Key, Any], List[Key]]


class DefinitionSnapshot:
    """The classes and functions of the notebook as they were before the cell ran.

    Args:
        namespace: Namespace of the cell.
    """

    def __init__(self, namespace: Dict[str, Any]) -> None:
        self._bytes_left = MAX_WATCHED_BYTES
        self._before: Dict[str, Dict[Key, Any]] = {}
        self._instances: Dict[str, Any] = {}
        for number, obj in identity.NUMBERS.received_objects().items():
            if number in identity.NUMBERS.sent_as_source:
                continue
            if isinstance(obj, (type, types.FunctionType, types.ModuleType)):
                parts = {}
                for key, value in _parts(obj):
                    parts[key] = self._note(value, namespace)
                self._before[number] = parts
            elif _is_instance(obj):
                self._instances[number] = self._note(_state(obj), namespace)

    def changes(self, namespace: Dict[str, Any]) -> List[DefinitionChange]:
        """Return what has changed; mark the sentinels and singletons whose attributes have changed."""
        names = {id(value): name for name, value in reversed(list(namespace.items()))}
        received = identity.NUMBERS.received_objects()
        while self._mark_changed_instances(received, namespace):
            pass  # what refers to a changed one has changed, too
        found = []
        for number, obj in received.items():
            before = self._before.get(number)
            if before is None:
                continue
            now = dict(_parts(obj))
            assigned = {
                key: value
                for key, value in now.items()
                if key not in before or not _is_same(before[key], value, namespace)
            }
            deleted = [key for key in before if key not in now]
            if assigned or deleted:
                found.append(DefinitionChange(_label(obj, namespace, names), (obj, assigned, deleted)))
        return found

    def _mark_changed_instances(self, received: Dict[str, Any], namespace: Dict[str, Any]) -> bool:
        changed = identity.NUMBERS.changed_instances
        new = {
            number
            for number, before in self._instances.items()
            if number in received
            and number not in changed
            and not _is_same(before, _state(received[number]), namespace)
        }
        changed |= new
        return bool(new)

    def _note(self, value: Any, namespace: Dict[str, Any]) -> Any:
        """Return the marks of a value: (its id, the value if it is kept, its fingerprint)."""
        if isinstance(value, KEPT):
            return id(value), value, None
        if hasattr(type(value), "__get__"):  # a descriptor: libraries keep much in theirs
            return id(value), NOT_KEPT, None
        found, size = fingerprint(value, namespace, self._bytes_left)
        self._bytes_left -= size
        return id(value), NOT_KEPT, found


def apply(value: Tuple[Any, Dict[Key, Any], List[Key]]) -> None:
    """Make the changes of a cell on the notebook's own class or function."""
    obj, assigned, deleted = value
    for (where, key), new in assigned.items():
        if where == REGISTERED:
            for each in new:
                type(obj).register(obj, each)
        elif where == "cell":
            obj.__closure__[key].cell_contents = new
        elif where == MEMBER:
            vars(vars(obj)["_member_map_"][key[0]])[key[1]] = new
        elif isinstance(obj, type):
            classes.set_class_attribute(obj, key, new)
        else:
            setattr(obj, key, new)
    for where, key in deleted:
        if where == "attribute" and key in vars(obj):
            classes.set_class_attribute(obj, key) if isinstance(obj, type) else delattr(obj, key)
        elif where == MEMBER:
            vars(vars(obj)["_member_map_"][key[0]]).pop(key[1], None)


def _parts(obj: Any) -> Iterator[Tuple[Key, Any]]:
    """Yield the place and the value of everything that a cell may change on a class, function or module."""
    for name, value in list(vars(obj).items()):
        if not isinstance(obj, type) or _is_own_attribute(obj, name, value):
            yield ("attribute", name), value
    if isinstance(obj, type):
        registered = classes.registered_subclasses(obj)
        if registered:
            yield (REGISTERED, ""), registered
    if enums.is_enumeration(obj):
        yield from _member_parts(obj)
    if isinstance(obj, types.FunctionType):
        for name in FUNCTION_ATTRIBUTES:
            yield ("attribute", name), getattr(obj, name)
        for place, cell in enumerate(obj.__closure__ or ()):
            try:
                yield ("cell", place), cell.cell_contents
            except ValueError:
                pass  # still empty


def _member_parts(kind: Any) -> Iterator[Tuple[Key, Any]]:
    """Yield the place and the value of the attributes of an enumeration's members."""
    for name, member in vars(kind)["_member_map_"].items():
        attributes = without_caches(dict(vars(member)), kind) or {}
        for attribute, value in attributes.items() if member._name_ == name else ():  # not an alias
            if attribute not in SET_BY_ENUM:
                yield (MEMBER, (name, attribute)), value


def _is_own_attribute(kind: Any, name: str, value: Any) -> bool:
    """Return whether an attribute is the user's: neither a slot nor something that a library remembers."""
    if isinstance(value, classes.DESCRIPTORS) or name in classes.NOT_SENT or name.startswith(CACHES):
        return False
    if name.startswith("_") and name.endswith("_") and enums.is_enumeration(kind):
        return False
    return not name.startswith("__") or not name.endswith("__") or isinstance(value, (*ATOMS, *CODE))


def _is_instance(obj: Any) -> bool:
    return classes.has_plain_instances(type(obj)) and type(obj) is not object


def _state(obj: Any) -> Any:
    names = classes.SlotNames()
    names.add(type(obj))
    try:
        return without_caches(obj.__reduce_ex__(2)[2], type(obj))
    finally:
        names.remove()


def _is_same(before: Any, value: Any, namespace: Dict[str, Any]) -> bool:
    address, kept, found = before
    if isinstance(value, KEPT) or kept is not NOT_KEPT:
        return value is kept or bool(type(value) is type(kept) and isinstance(value, ATOMS) and value == kept)
    if found is None:
        return bool(id(value) == address)
    return bool(fingerprint(value, namespace, 2 * MAX_WATCHED_BYTES, found)[0] == found)


def _label(obj: Any, namespace: Dict[str, Any], names: Dict[int, str]) -> str:
    """Return the name by which the user knows a class or function: its own, or that of its outer class."""
    full = str(getattr(obj, "__qualname__", "") or obj.__name__)
    if id(obj) in names:
        return full if namespace.get(full) is obj else names[id(obj)]
    root = full.partition(".")[0]
    outer: Optional[Any] = namespace.get(root)
    return root if isinstance(outer, type) and identity.NUMBERS.received_number(outer) else full
