"""How a class of the notebook travels: all its attributes, built without its metaclass or hooks running again.

cloudpickle calls the metaclass on the other side with an empty body, so that ``__init_subclass__`` runs twice
or misses its arguments (https://github.com/cloudpipe/cloudpickle/issues/527,
https://github.com/uqfoundation/dill/issues/381). It also leaves out attributes that equal the parent's
(https://github.com/cloudpipe/cloudpickle/issues/584) and changes their order.
"""

import abc
import contextlib
import copyreg
import threading
import types
from typing import Any, Callable, Dict, Iterator, List, Tuple

from . import identity

HOOK = "__init_subclass__"
IN_NAMESPACE = ("__module__", "__slots__", "__orig_bases__")  # needed while the class is created
# Made by the class itself, or by Python when it is asked for.
NOT_SENT = {
    "__dict__",
    "__weakref__",
    "_abc_impl",
    "__annotate_func__",
    "__annotations_cache__",
    "__annotate__",
}
DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType)
HEAP_TYPE = 1 << 9  # the flag of a class that a class statement has made
_lock = threading.RLock()


def reduce_class(kind: Any) -> Any:
    """Return the reduced form of a class."""
    given = vars(kind)
    namespace = {name: given[name] for name in IN_NAMESPACE if name in given}
    namespace["__qualname__"] = kind.__qualname__
    if isinstance(given.get("__dict__"), property):  # the user's own
        namespace["__dict__"] = given["__dict__"]
    attributes = {
        name: value
        for name, value in given.items()
        if name not in namespace and name not in NOT_SENT and not _is_own_slot(kind, value)
    }
    if "__annotate_func__" in given:  # Python 3.14 evaluates annotations late, with the class body's names
        with contextlib.suppress(
            Exception
        ):  # evaluating runs the user's expressions; a name may be undefined yet
            attributes["__annotations__"] = kind.__annotations__
    if "__firstlineno__" in attributes:  # Python 3.13 drops it when other attributes are set
        attributes["__firstlineno__"] = attributes.pop("__firstlineno__")
    number = identity.NUMBERS.number_of(kind)
    args = (number, type(kind), kind.__name__, kind.__bases__, namespace)
    return make_class, args, (attributes, registered_subclasses(kind)), None, None, fill_class


def _is_own_slot(kind: Any, value: Any) -> bool:
    if type(value).__name__ == "CField":  # ctypes makes them when ``_fields_`` is set
        return True
    return isinstance(value, DESCRIPTORS) and value.__objclass__ is kind


def registered_subclasses(kind: Any) -> List[Any]:
    """Return the classes that were registered with an abstract base class."""
    if not isinstance(kind, abc.ABCMeta) or "_abc_impl" not in vars(kind):
        return []
    found = [reference() for reference in abc._get_dump(kind)[0]]  # type: ignore[attr-defined] # noqa: SLF001
    return sorted((each for each in found if each is not None), key=lambda each: str(each.__qualname__))


def make_class(
    number: str, metaclass: Any, name: str, bases: Tuple[Any, ...], namespace: Dict[str, Any]
) -> Any:
    """Return a class without attributes, so that these may refer to it."""
    made = make_quiet_class(metaclass, name, bases, namespace)
    if "__abstractmethods__" in vars(made):  # instances may come before the methods
        made.__abstractmethods__ = frozenset()
    return identity.track(number, made)


def make_quiet_class(metaclass: Any, name: str, bases: Tuple[Any, ...], namespace: Dict[str, Any]) -> Any:
    """Return a class, made without the hooks of its bases and without the code of its metaclass."""
    with _without_hooks(bases):
        return _creator(metaclass)(metaclass, name, bases, namespace)


def fill_class(kind: Any, state: Any) -> None:
    """Give a class its attributes and registered subclasses. A ``__setattr__`` of its metaclass is not called."""
    attributes, registered = state
    set_attribute = _first_in_c(type(kind), "__setattr__")
    if "_flag_mask_" in attributes and "_singles_mask_" not in attributes and hasattr(kind, "_singles_mask_"):
        # The other side's Python is older than 3.11.4, which has added it.
        bits = [value for value in attributes["_value2member_map_"] if value > 0 and value & (value - 1) == 0]
        attributes["_singles_mask_"] = sum(bits)
    for name, value in attributes.items():
        set_attribute(kind, name, value)
    for each in registered:
        abc.ABCMeta.register(kind, each)


def set_class_attribute(kind: Any, name: str, *value: Any) -> None:
    """Set an attribute of a class, or delete it if no value is given, without its metaclass's hooks."""
    _first_in_c(type(kind), "__setattr__" if value else "__delattr__")(kind, name, *value)


def _creator(metaclass: Any) -> Callable[..., Any]:
    """Return the ``__new__`` that creates a class and does nothing else.

    The other metaclasses have done their work in the notebook: what they made are attributes of the class.
    """
    for each in metaclass.__mro__:
        if each is abc.ABCMeta or isinstance(vars(each).get("__new__"), types.BuiltinFunctionType):
            found: Callable[..., Any] = each.__new__
            return found
    return type.__new__


def _first_in_c(metaclass: Any, name: str) -> Callable[..., Any]:
    for each in metaclass.__mro__:
        if isinstance(vars(each).get(name), types.WrapperDescriptorType):
            found: Callable[..., Any] = vars(each)[name]
            return found
    return getattr(type, name)  # type: ignore[no-any-return]


@contextlib.contextmanager
def _without_hooks(bases: Tuple[Any, ...]) -> Iterator[None]:
    """Let a class be created from these bases without their ``__init_subclass__``.

    ``type.__new__`` always calls it. A class that another thread creates meanwhile still gets its own.
    """
    owners = {each: vars(each)[HOOK] for base in bases for each in _mro(base) if HOOK in vars(each)}
    thread = threading.get_ident()
    replaced = []
    with _lock:
        try:
            for owner, hook in owners.items():
                with contextlib.suppress(TypeError):  # a class in C cannot be changed
                    type.__setattr__(owner, HOOK, _hook_of_other_threads(hook, thread))
                    replaced.append((owner, hook))
            yield
        finally:
            for owner, hook in replaced:
                type.__setattr__(owner, HOOK, hook)


def _mro(base: Any) -> Tuple[Any, ...]:
    return tuple(each for each in getattr(base, "__mro__", ()) if each is not object)


def _hook_of_other_threads(hook: Any, thread: int) -> Any:
    def run(cls: Any, /, **options: Any) -> None:
        if threading.get_ident() != thread:
            hook.__get__(None, cls)(**options)

    return classmethod(run)


# -- instances ----------------------------------------------------------------------------------------


def make_instance(kind: Any) -> Any:
    """Return an instance without attributes. A ``__new__`` of the class is not called: it has run once."""
    return object.__new__(kind)


def make_stateless(number: str, kind: Any) -> Any:
    """Return an instance that has no attributes and is recognized when it comes back."""
    return identity.track(number, object.__new__(kind))


def fill_instance(obj: Any, state: Any) -> None:
    """Give an instance its attributes, without a ``__setattr__`` of its class."""
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    if attributes:
        vars(obj).update(attributes)
    for name, value in (slots or {}).items():
        object.__setattr__(obj, name, value)


def has_plain_instances(kind: Any) -> bool:
    """Return whether the instances of a class are nothing but their attributes, and pickled as such."""
    if hasattr(kind, "__getattr__") or type(kind.__getattribute__) is types.FunctionType:
        return False  # it may answer for another object
    return (
        kind.__reduce__ is object.__reduce__
        and kind.__reduce_ex__ is object.__reduce_ex__
        and getattr(kind, "__getstate__", None) is getattr(object, "__getstate__", None)
        and not any(hasattr(kind, name) for name in ("__getnewargs__", "__getnewargs_ex__", "__setstate__"))
        and all(each is object or each.__flags__ & HEAP_TYPE for each in kind.__mro__)
        and kind not in copyreg.dispatch_table
    )


def is_stateless(obj: Any) -> bool:
    """Return whether an instance of a class with plain instances has no attributes of its own.

    Raises:
        TypeError: It cannot be pickled: a class in C keeps something in it, as a lock does.
    """
    if getattr(obj, "__dict__", None):
        return False
    return obj.__reduce_ex__(2)[2] is None


def single_instances(kind: Any) -> Iterator[Any]:
    """Yield the instances that a class holds itself, or its base class or metaclass holds for it in a dictionary."""
    for holder in (*kind.__mro__, *type(kind).__mro__):
        for value in vars(holder).values() if holder.__module__ == "__main__" else ():
            found = value
            if type(value) is dict and not hasattr(type(kind).__hash__, "__code__"):  # the user's would run
                found = value.get(kind)
            if type(found) is kind:
                yield found


class SlotNames:
    """Lets pickle find the slots of classes without ``copyreg``, which sets a list by the metaclass's ``__setattr__``."""

    def __init__(self) -> None:
        self._classes: List[Any] = []

    def add(self, kind: Any) -> None:
        """Give a class of the notebook the list."""
        if kind.__module__ == "__main__" and "__slotnames__" not in vars(kind):
            set_class_attribute(kind, "__slotnames__", slot_names(kind))
            self._classes.append(kind)

    def remove(self) -> None:
        """Remove the lists."""
        for kind in self._classes:
            if "__slotnames__" in vars(kind):
                set_class_attribute(kind, "__slotnames__")


def slot_names(kind: Any) -> List[str]:
    """Return the names of the slots of a class. ``copyreg`` would leave a list of them on the class."""
    return [
        name
        for each in kind.__mro__
        if "__slots__" in vars(each)
        for name, value in vars(each).items()
        if isinstance(value, types.MemberDescriptorType)
    ]
