"""Pickle classes and functions by value: cloudpickle, with what it leaves out.

Imported only when it is needed, as it imports cloudpickle. Each method that replaces a part of cloudpickle
names the report on it; the other reports are in ``reducers/``.
"""

import functools
import gc
import sys
import types
import typing
from typing import Any, Callable, Dict, Optional, Set, Tuple

import cloudpickle.cloudpickle as parts

from .reducers import classes, enums, identity, library_objects, typing_objects
from .singletons import Singletons, is_stream_write, reduce_stream_write

# Evaluated in the pod: makes the object that takes the place of a task there, from its function.
PLAIN_FUNCTION = "__import__('_podtask_runner.podtask_stub', fromlist=['plain']).plain(function)"
FILENAME_INDEX = 10  # its place among the arguments of types.CodeType, since Python 3.8


class ModuleGlobals(dict):  # type: ignore[type-arg]
    """Represents the globals of a module in cloudpickle's table, so that functions keep one namespace.

    Args:
        module: A module that is sent, or the name of one that the other side has.
    """

    def __init__(self, module: Any) -> None:
        super().__init__(module=module)  # not empty: cloudpickle fills an empty one
        self._module = module

    def __reduce__(self) -> Any:
        if isinstance(self._module, str):
            return eval, (f"vars(__import__('sys').modules[{self._module!r}])",)
        return vars, (self._module,)


class _BareObject:
    """Represents an object in a pickle before its state is set."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = function, args


class CloudPickler(parts.Pickler):  # type: ignore[misc]
    """cloudpickle's pickler with the reducers of this package.

    Args:
        recorder: Is given the types and names that the values use, and the large buffers.
        file: File for the pickle.
        protocol: Version of the pickle protocol.
        namespace: The globals that become ``__main__`` on the other side.
        reduce: Called with a value that neither this class nor cloudpickle reduces.
        by_value: Send also what belongs to the other side.

    Attributes:
        named: Id of an object -> name under which the other side has it, since it was sent as source.
        can_pickle_link: Returns whether the cause or context of an exception can be pickled; None to leave them out.
        ignores_slot_names: Whether to leave out what pickle has noted on classes when it pickled an instance.
        closure_cells: Id of a cell of a closure -> the cell, and what stands for it in the pickle.
    """

    def __init__(
        self,
        recorder: Any,
        file: Any,
        protocol: int,
        namespace: Dict[str, Any],
        reduce: Callable[[Any], Any],
        by_value: bool,
    ) -> None:
        super().__init__(file, protocol=protocol, buffer_callback=recorder.keep_in_stream)
        self.named: Dict[int, str] = {}
        self.ignores_slot_names = False
        self.can_pickle_link: Optional[Callable[[Any], bool]] = None
        self._recorder = recorder
        self._reduce = reduce
        self._main = ModuleGlobals("__main__")
        self._namespace = namespace
        self.closure_cells: Dict[int, Tuple[Any, _BareObject]] = {}
        self._constants: Dict[Any, Dict[int, str]] = {}  # of the modules of types, by type
        self._by_value: Dict[Any, bool] = {}  # of classes
        self._plain_instances: Dict[Any, bool] = {}
        self._single_instances: Dict[Any, Set[int]] = {}  # ids, by class
        self._slot_names = classes.SlotNames()
        self._all_by_value = by_value
        self._singletons_by_name = Singletons()
        self._received = not by_value and bool(identity.NUMBERS.received)
        self.globals_ref[id(namespace)] = self._main

    def clear_memo(self) -> None:
        """Forget the values, and remove what pickle needs on their classes: a list of the names of slots."""
        super().clear_memo()
        self._slot_names.remove()

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is _BareObject:
            return obj.reduced
        if kind is ModuleGlobals:
            return obj.__reduce__()
        self._recorder.add_type(obj)
        number = identity.NUMBERS.received_number(obj) if self._received else None
        if number is not None and number not in identity.NUMBERS.changed_instances:
            self._recorder.references[number] = obj
            return identity.received, (number, _name_of(obj))
        if id(obj) in self.named:
            self._recorder.used_names.add(self.named[id(obj)])
            return identity.sent_as_source, (identity.NUMBERS.number_of(obj), self.named[id(obj)])
        if issubclass(kind, type):
            return self._reduce_class(obj)
        if kind is types.FunctionType:
            return reduce_stream_write(obj) if is_stream_write(obj) else self._function_reduce(obj)
        if kind in REDUCERS_BY_TYPE:
            return REDUCERS_BY_TYPE[kind](self, obj)
        if enums.is_member(obj):
            return self._reduce_member(obj)
        if getattr(kind, "travels_as_its_function", False) is True:  # a metaclass may answer
            return _undecorated(obj, self.reducer_override(obj.__wrapped__))
        reduced = library_objects.first_reduced(
            obj, library_objects.reduce, self._reduce_instance, self._singletons_by_name.reduce, self._reduce
        )
        return library_objects.with_links(obj, reduced, self.can_pickle_link)

    def _reduce_class(self, obj: Any) -> Any:
        """Return the reduced form of a class: its name if it can be imported there, else all of it."""
        if obj.__module__ == "builtins" or parts._should_pickle_by_reference(obj):  # noqa: SLF001
            return super().reducer_override(obj)
        if obj.__module__ == "_ctypes":
            return _reduce_metaclass_of_ctypes(obj)
        reduced = classes.reduce_class(obj)
        if self.ignores_slot_names:
            reduced[2][0].pop("__slotnames__", None)
        return reduced

    def _reduce_member(self, obj: Any) -> Any:
        kind = type(obj)
        if parts._should_pickle_by_reference(kind):  # noqa: SLF001
            return NotImplemented
        if self._received and identity.NUMBERS.received_number(kind) is not None:
            return enums.refer_to_member(obj)
        return enums.reduce_member(obj)

    def _reduce_instance(self, obj: Any) -> Any:
        """Return the reduced form of any other object.

        An object without a state may be a sentinel, which is compared with ``is``: it keeps its identity
        (https://github.com/cloudpipe/cloudpickle/issues/262).
        """
        kind = type(obj)
        plain = self._plain_instances.get(kind)
        if plain is None:
            plain = self._plain_instances[kind] = classes.has_plain_instances(kind)
            self._slot_names.add(kind)
        if not plain:
            return NotImplemented
        if kind is object:
            return self._reduce_sentinel(obj)
        by_value = self._is_by_value(kind)
        if classes.is_stateless(obj):
            if not by_value:
                return self._constants[kind].get(id(obj), NotImplemented)  # dataclasses.MISSING
            if identity.NUMBERS.received_number(obj) is None or self._all_by_value:
                return self._numbered(obj, _BareObject(classes.make_instance, kind))
        is_changed = identity.NUMBERS.received_number(obj) is not None  # then it comes back as a copy
        is_single = by_value and not is_changed and id(obj) in self._singles_of(kind)
        if by_value and (type(kind.__new__) is types.FunctionType or is_single):
            # copyreg.__newobj__ would call the class's own __new__ once more.
            state = obj.__reduce_ex__(2)[2]
            made = _BareObject(classes.make_instance, kind)
            reduced = self._numbered(obj, made) if is_single else made.reduced
            return (*reduced, state, None, None, classes.fill_instance)
        return NotImplemented

    def _singles_of(self, kind: Any) -> Set[int]:
        """Return the ids of the instances that a class of the notebook holds, as singletons do."""
        if kind not in self._single_instances:
            self._single_instances[kind] = set(map(id, classes.single_instances(kind)))
        return self._single_instances[kind]

    def _is_by_value(self, kind: Any) -> bool:
        if kind not in self._constants:
            by_reference = parts._should_pickle_by_reference(kind)  # noqa: SLF001
            self._constants[kind] = _constants_of(kind) if by_reference else {}
            self._by_value[kind] = not by_reference
        return self._by_value[kind]

    def _reduce_sentinel(self, obj: Any) -> Any:
        if identity.NUMBERS.known_number(obj) is None:
            for module in list(sys.modules.values()):
                names = vars(module) if isinstance(module, types.ModuleType) else {}
                if names is not self._namespace and getattr(module, "__name__", "") != "__main__":
                    for name, value in list(names.items()):
                        if value is obj:
                            return getattr, (module, name)
        return classes.make_stateless, (identity.NUMBERS.number_of(obj), object)

    def _numbered(self, obj: Any, made: _BareObject) -> Any:
        return identity.track, (identity.NUMBERS.number_of(obj), made)

    def _dynamic_function_reduce(self, func: Any) -> Any:
        make, args, (attributes, slots), *how = super()._dynamic_function_reduce(func)
        found = slots["__globals__"]
        if func.__globals__ is self._namespace:
            # They travel by name, if at all: a value that comes back with a function must
            # not change the notebook's behind the user's back.
            self._recorder.needs.update(found)
            found.clear()
        elif type(self.globals_ref.get(id(func.__globals__))) is ModuleGlobals:
            found.clear()  # the module itself travels
        if getattr(func, "__type_params__", ()):  # since Python 3.12
            slots["__type_params__"] = func.__type_params__
        if func.__closure__:  # each would get cells of its own, that none else sees change
            args = (*args[:-1], tuple(map(self._shared_cell, func.__closure__)))
        return (
            *self._numbered(func, _BareObject(make, *args)),
            (_own_attributes(attributes), slots),
            *how,
        )

    def _shared_cell(self, cell: Any) -> _BareObject:
        made = _BareObject(parts._make_empty_cell)  # noqa: SLF001
        return self.closure_cells.setdefault(id(cell), (cell, made))[1]

    def reduce_module(self, module: Any) -> Any:
        """Return the reduced form of a module that exists only in the notebook's memory."""
        if parts._should_pickle_by_reference(module):  # noqa: SLF001
            return NotImplemented
        self.globals_ref[id(vars(module))] = ModuleGlobals(module)
        made = _BareObject(types.ModuleType, module.__name__)
        state = {name: value for name, value in vars(module).items() if name != "__builtins__"}
        return (*self._numbered(module, made), state, None, None, identity.fill_attributes)

    def reduce_lru_cache(self, obj: Any) -> Any:
        """Return the reduced form of a cached function; what it has cached stays here."""
        if parts._lookup_module_and_qualname(obj) is not None:  # noqa: SLF001
            return NotImplemented
        about = obj.cache_parameters()
        info = functools._CacheInfo  # noqa: SLF001 -- lru_cache's own
        made = _BareObject(LRU_CACHE, obj.__wrapped__, about["maxsize"], about["typed"], info)
        return (*self._numbered(obj, made), vars(obj), None, None, identity.fill_attributes)

    def reduce_code(self, code: types.CodeType) -> Any:
        """Return cloudpickle's reduced form of a code object, with its file name: tracebacks show its lines.

        cloudpickle omits it since 3.1.3: https://github.com/cloudpipe/cloudpickle/blob/master/CHANGES.md
        """
        make, args = self.dispatch_table[types.CodeType](code)
        return make, (*args[:FILENAME_INDEX], code.co_filename, *args[FILENAME_INDEX + 1 :])

    def by_name_or(self, obj: Any, name: str, reduce: Callable[[Any], Any]) -> Any:
        """Return the reduced form of an object: where its module has it, else what ``reduce`` returns."""
        found = parts._lookup_module_and_qualname(obj, name=name)  # noqa: SLF001
        return reduce(obj) if found is None else (getattr, found)


def _constants_of(kind: Any) -> Dict[int, str]:
    """Return id -> name of the instances of a type that its module has."""
    module = sys.modules.get(kind.__module__)
    return {id(value): name for name, value in list(vars(module).items()) if type(value) is kind}


def _name_of(obj: Any) -> str:
    name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
    return name if isinstance(name, str) else type(obj).__qualname__


def _undecorated(task: Any, reduced: Any) -> Any:
    """Return the reduced form of a task: in the pod a call of another task is a plain call."""
    if reduced is NotImplemented:
        return task.__qualname__
    return eval, (PLAIN_FUNCTION, {"function": task.__wrapped__})


def _own_attributes(attributes: Dict[str, Any]) -> Dict[str, Any]:
    """Return the attributes of a function without those that the pod adds to a task."""
    return {
        name: value
        for name, value in attributes.items()
        if type(value) is not types.FunctionType or "in_place" not in vars(value)
    }


def _reduce_metaclass_of_ctypes(obj: Any) -> Any:
    """Return the reduced form of the metaclass of structures or unions, which no module has."""
    ctypes = sys.modules["ctypes"]
    base = next(name for name in ("Structure", "Union") if type(getattr(ctypes, name)) is obj)
    return eval, (f"type(__import__('ctypes').{base})",)


LRU_CACHE = type(functools.lru_cache(len))


def _reduce_cached_property(obj: Any) -> Any:
    state = {name: value for name, value in vars(obj).items() if name not in ("func", "lock")}
    return functools.cached_property, (obj.func,), state  # Python before 3.12 gives it a lock


def _reduce_mapping_proxy(obj: Any) -> Any:
    return types.MappingProxyType, (gc.get_referents(obj)[0],)  # of functools.singledispatch


# What neither pickle nor cloudpickle sends as it is: type -> reducer, which is given the pickler, too.
REDUCERS_BY_TYPE: Dict[Any, Callable[[Any, Any], Any]] = {
    types.CodeType: lambda pickler, obj: pickler.reduce_code(obj),
    types.ModuleType: lambda pickler, obj: pickler.reduce_module(obj),
    LRU_CACHE: lambda pickler, obj: pickler.reduce_lru_cache(obj),
    functools.cached_property: lambda _, obj: _reduce_cached_property(obj),
    types.MappingProxyType: lambda _, obj: _reduce_mapping_proxy(obj),
    typing_objects.GENERIC_ALIAS: lambda _, obj: typing_objects.reduce_generic_alias(obj),
    typing.ForwardRef: lambda _, obj: typing_objects.reduce_forward_reference(obj),
    **{
        kind: lambda pickler, obj: pickler.by_name_or(obj, obj.__name__, typing_objects.reduce_parameter)
        for kind in typing_objects.PARAMETERS
    },
}
if isinstance(typing_objects.NEW_TYPE, type):
    REDUCERS_BY_TYPE[typing_objects.NEW_TYPE] = lambda pickler, obj: pickler.by_name_or(
        obj, obj.__qualname__, typing_objects.reduce_new_type
    )
if typing_objects.TYPE_ALIAS is not None:
    REDUCERS_BY_TYPE[typing_objects.TYPE_ALIAS] = lambda pickler, obj: pickler.by_name_or(
        obj, obj.__name__, typing_objects.reduce_alias
    )
