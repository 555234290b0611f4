"""Pickle values between notebook and worker so that functions keep the one namespace they live in.

cloudpickle gives each function of a notebook its own globals. Here these globals become ``__main__`` on
the other side, so functions see the cell's variables as in a kernel. All values share one memo, so shared
objects stay shared. Large buffers (arrays) are stored separately, so they are copied only once. Functions
get a tracking number, as cloudpickle gives to classes, by which the notebook recognizes its own functions
when they return. Both sides use this module; it imports cloudpickle only at the first use.
"""

import functools
import gc
import pickle
import sys
import types
import typing
import weakref
from typing import Any, Callable, Dict, Iterator, List, Optional, Set

from .proxies import reduce_instance

PROTOCOL = 5  # of the oldest Python in an image, 3.8+
MIN_BUFFER_BYTES = 64 << 10  # bytes from which on a buffer goes apart
ALIGN = 64  # so that arrays can lie where they arrive
# Evaluated in the pod: makes of a function what a task is there.
PLAIN_FUNCTION = "__import__('_podtask_runner.podtask_stub', fromlist=['plain']).plain(function)"
FILENAME_INDEX = 10  # its place among the arguments of types.CodeType, since Python 3.8


class _Main(dict):  # type: ignore[type-arg]
    """Represents the namespace in cloudpickle's table of globals; it is not empty, so cloudpickle keeps it."""


class Packer:
    """Pickle values into a file, one after another; a context manager.

    Args:
        file: Has the methods ``write``, and ``write_buffer`` for the view of a buffer; keeps no view for long.
        namespace: The globals of the notebook or of the worker, which become ``__main__`` on the other side.
        plain: Work without cloudpickle: the other side has another minor version, or does not need it.

        reduce: Called with a value for which neither this module nor cloudpickle has a reduced form.

    Attributes:
        needs: Names of the namespace that the functions so far read.
        types: Classes, functions and modules that the values so far refer to.
    """

    def __init__(
        self,
        file: Any,
        namespace: Dict[str, Any],
        plain: bool,
        reduce: Callable[[Any], Any] = reduce_instance,
    ) -> None:
        recorder = _Recorder(file)
        self.needs, self.types = recorder.needs, recorder.types
        make = _plain_pickler if plain else _cloudpickle_pickler
        self._pickler: Any = make(recorder, file, namespace, reduce)

    def dump(self, value: Any) -> None:
        """Pickle one more value.

        Raises:
            Exception: Any error that its ``__reduce__`` raises; the packer cannot be used after it.
        """
        self._pickler.dump(value)

    def __enter__(self) -> "Packer":  # noqa: PYI034 -- Self is newer than the pod's Python
        return self

    def __exit__(self, *_: object) -> None:
        # Left to the garbage collector (an error's traceback holds the pickler), a buffer may be
        # released after the memoryview that it shows: CPython 3.11 crashes on that.
        self._pickler.clear_memo()


class NullFile:
    """A file that discards everything."""

    def write(self, data: Any) -> int:
        """Discard a piece of a pickle."""
        return len(data) if isinstance(data, bytes) else memoryview(data).nbytes

    def write_buffer(self, view: Any) -> None:
        """Discard a buffer."""


class _Recorder:
    """Records names and types while values are pickled, and stores large buffers separately."""

    def __init__(self, file: Any) -> None:
        self.needs: Set[str] = set()
        self.types: List[Any] = []
        self._file = file

    def keep_in_stream(self, buffer: Any) -> bool:
        """Return whether a buffer stays in the pickle; store it separately if it does not."""
        view = buffer.raw()
        if view.nbytes < MIN_BUFFER_BYTES:
            return True
        self._file.write_buffer(view)
        return False

    def add_type(self, obj: Any) -> None:
        """Record an object if the other side must have its type or module."""
        if isinstance(obj, (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)):
            self.types.append(obj)


def _plain_pickler(
    recorder: _Recorder, file: Any, namespace: Dict[str, Any], reduce: Callable[[Any], Any]
) -> Any:
    class Pickler(pickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            recorder.add_type(obj)
            if isinstance(obj, types.ModuleType):
                return eval, (f"__import__('importlib').import_module({obj.__name__!r})",)
            if isinstance(obj, type) and obj.__module__ == "pathlib._local":  # Python 3.13's
                return eval, (f"__import__('pathlib').{obj.__name__}",)
            if isinstance(obj, types.FunctionType) and obj.__module__ == "__main__":
                name = obj.__qualname__
                if getattr(namespace.get(name), "__wrapped__", None) is obj:
                    # pickle would refuse: under its name there is what wraps it.
                    return eval, (f"__import__('__main__').{name}",)
            return reduce(obj)

    return Pickler(file, protocol=PROTOCOL, buffer_callback=recorder.keep_in_stream)


class _BareObject:
    """Represents an object in a pickle before its state is set."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = function, args


def _cloudpickle_pickler(
    recorder: _Recorder, file: Any, namespace: Dict[str, Any], reduce: Callable[[Any], Any]
) -> Any:
    # Start-up cost: loaded when it is first needed.
    import cloudpickle.cloudpickle as parts

    main = _Main(main=True)
    cells: Dict[int, _BareObject] = {}

    class Pickler(parts.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if obj is main:
                return vars, (sys.modules["__main__"],)
            if type(obj) is _BareObject:
                return obj.reduced
            recorder.add_type(obj)
            if getattr(type(obj), "travels_as_its_function", False):
                return _undecorated(obj, super().reducer_override(obj.__wrapped__))
            if type(obj) is types.CodeType:
                return _with_filename(self.dispatch_table[types.CodeType](obj), obj)
            reduced = _complete(super().reducer_override(obj), obj, parts)
            return reduce(obj) if reduced is NotImplemented else reduced

        def _dynamic_function_reduce(self, func: Any) -> Any:
            make, args, (attributes, slots), *how = super()._dynamic_function_reduce(func)
            if func.__globals__ is namespace:
                # They travel by name, if at all: a value that comes back with a function must
                # not change the notebook's behind the user's back.
                found = slots["__globals__"]
                recorder.needs.update(found)
                found.clear()
            if func.__closure__:  # each would get cells of its own, that none else sees change
                args = (*args[:-1], tuple(map(shared, func.__closure__)))
            return (
                *_tracked(func, _BareObject(make, *args), parts),
                (_own_attributes(attributes), slots),
                *how,
            )

    def shared(cell: Any) -> _BareObject:
        return cells.setdefault(id(cell), _BareObject(parts._make_empty_cell))  # noqa: SLF001

    made: Any = Pickler(file, protocol=PROTOCOL, buffer_callback=recorder.keep_in_stream)
    made.globals_ref[id(namespace)] = main
    return made


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


def _tracked(obj: Any, made: _BareObject, parts: Any) -> Any:
    """Return the reduced form of an object with a tracking number, as cloudpickle makes for classes."""
    return parts._lookup_class_or_track, (parts._get_or_create_tracker_id(obj), made)  # noqa: SLF001


def _with_filename(reduced: Any, code: types.CodeType) -> Any:
    """Return cloudpickle's reduced form of a code object, with its file name: tracebacks show its lines.

    cloudpickle omits it since 3.1.3: https://github.com/cloudpipe/cloudpickle/blob/master/CHANGES.md
    """
    make, args = reduced
    return make, (*args[:FILENAME_INDEX], code.co_filename, *args[FILENAME_INDEX + 1 :])


LRU_CACHE = type(functools.lru_cache(len))
NEW_TYPE: Any = typing.NewType  # a class since Python 3.10


def _reduce_cached_property(obj: Any) -> Any:
    state = {name: value for name, value in vars(obj).items() if name not in ("func", "lock")}
    return functools.cached_property, (obj.func,), state  # Python before 3.12 gives it a lock


# What the standard library makes of a user's class or function, and forgot to make fit for pickle.
UNPICKLABLE: Dict[type, Callable[[Any], Any]] = {
    functools.cached_property: _reduce_cached_property,
    # Of functools.singledispatch.
    types.MappingProxyType: lambda obj: (types.MappingProxyType, (gc.get_referents(obj)[0],)),
    weakref.WeakKeyDictionary: lambda obj: (type(obj), (), None, None, iter([*obj.items()])),
}


def _complete(reduced: Any, obj: Any, parts: Any) -> Any:
    """Return cloudpickle's reduced form of an object, with the parts that cloudpickle omits."""
    if type(obj) is LRU_CACHE and parts._lookup_module_and_qualname(obj) is None:  # noqa: SLF001
        about = obj.cache_parameters()  # what it has cached stays here
        info = functools._CacheInfo  # noqa: SLF001 -- lru_cache's own
        bare = _BareObject(LRU_CACHE, obj.__wrapped__, about["maxsize"], about["typed"], info)
        return (*_tracked(obj, bare, parts), vars(obj))
    if type(obj) is NEW_TYPE and parts._lookup_module_and_qualname(obj) is None:  # noqa: SLF001
        made = _BareObject(NEW_TYPE, obj.__name__, obj.__supertype__)
        return (*_tracked(obj, made, parts), {"__module__": obj.__module__})
    if type(obj) in UNPICKLABLE and reduced is NotImplemented:
        return UNPICKLABLE[type(obj)](obj)
    if isinstance(reduced, tuple) and reduced[0] is parts._make_skeleton_class:  # noqa: SLF001
        return (reduced[0], _class_arguments(obj, *reduced[1]), *reduced[2:])
    return reduced


def _class_arguments(obj: Any, kind: Any, name: str, bases: Any, given: Dict[str, Any], *more: Any) -> Any:
    """Return cloudpickle's arguments for creating a class, with the parts that cloudpickle omits."""
    given = {**given, "__qualname__": obj.__qualname__}
    if "__slots__" in vars(obj) and not issubclass(obj, tuple):  # a NamedTuple makes its own
        given["__slots__"] = obj.__slots__
    if kind.__module__ == "__main__":
        # The notebook's metaclass has done its work once: what it noted then travels too.
        made = next(each for each in kind.__mro__ if each.__module__ != "__main__")
        kind = functools.partial(made.__new__, kind)
    return kind, name, bases, given, *more


def known(number: Optional[str]) -> Any:
    """Return the class or function with a tracking number; None if it is not from here or no longer exists."""
    # Start-up cost: loaded when it is first needed.
    import cloudpickle.cloudpickle as parts

    return parts._DYNAMIC_CLASS_TRACKER_BY_ID.get(number)  # noqa: SLF001 -- it has no other way in


def versions(objects: List[Any]) -> Dict[str, str]:
    """Return top-level module -> version of the modules that define the objects, if a module has a version."""
    roots = {module_of(each).partition(".")[0] for each in objects}
    found = {}
    for root in sorted(roots - {"__main__", "builtins", "cloudpickle"}):
        version = getattr(sys.modules.get(root), "__version__", None)
        if isinstance(version, str):
            found[root] = version
    return found


def module_of(obj: Any) -> str:
    """Return the module of a class or function, or the name of a module."""
    name = obj.__name__ if isinstance(obj, types.ModuleType) else obj.__module__
    return name if isinstance(name, str) else "builtins"


def mismatches(theirs: Dict[str, str], theirs_where: str, where: str) -> Iterator[str]:
    """Yield a sentence for each module whose major version differs on this side.

    Args:
        theirs: Top-level module -> version on the side where the values were pickled.
        theirs_where: Description of that side.
        where: Description of this side.

    Raises:
        ImportError: A module is missing on this side, or fails to load.
    """
    for root, version in theirs.items():
        # Start-up cost: loaded when it is first needed.
        import importlib  # not for nothing: it takes its time

        ours: Optional[str] = getattr(importlib.import_module(root), "__version__", None)
        if isinstance(ours, str) and ours.partition(".")[0] != version.partition(".")[0]:
            yield f"{root} is {ours} {where} and {version} {theirs_where}: its values may differ"
