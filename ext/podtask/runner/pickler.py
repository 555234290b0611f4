"""Pickles between notebook and worker: functions keep the one namespace they live in.

cloudpickle gives each function from a notebook globals of its own. Here such globals are
``__main__`` on the other side, so that functions see the cell's variables as in a kernel. Values
go one after another with one memo, so what is shared stays shared; large buffers (arrays) go
apart, so they are copied once. Functions get a number, as cloudpickle gives classes one: by it
the notebook knows its own when they come back. Used by both sides; cloudpickle is imported at
the first use only.
"""

import functools
import gc
import pickle
import sys
import types
import typing
import weakref
from typing import Any, Callable, Dict, Iterator, List, Optional, Set

PROTOCOL = 5  # of the oldest Python in an image, 3.8+
MIN_BUFFER_BYTES = 64 << 10  # bytes from which on a buffer goes apart
ALIGN = 64  # so that arrays can lie where they arrive
# Evaluated in the pod: makes of a function what a task is there.
PLAIN_FUNCTION = "__import__('_podtask_runner.podtask_stub', fromlist=['plain']).plain(function)"
FILENAME_INDEX = 10  # its place among the arguments of types.CodeType, since Python 3.8


class _Main(dict):  # type: ignore[type-arg]
    """Stands for the namespace in cloudpickle's table of globals; not empty, so it stays as is."""


class Packer:
    """Pickles values into a file, one after another; a context manager.

    Args:
        file: has ``write``, and ``write_buffer`` for a buffer's view; keeps no view for long.
        namespace: the globals of the notebook, or of the worker; the other's ``__main__``.
        plain: without cloudpickle: the other side has another minor version, or needs none.

    Attributes:
        needs: names of the namespace that the functions so far read.
        types: classes, functions and modules that the values so far refer to.
    """

    def __init__(self, file: Any, namespace: Dict[str, Any], plain: bool) -> None:
        recorder = _Recorder(file)
        self.needs, self.types = recorder.needs, recorder.types
        self._pickler: Any = (_plain_pickler if plain else _cloudpickle_pickler)(recorder, file, namespace)

    def dump(self, value: Any) -> None:
        """Pickles one more value.

        Raises:
            Exception: whatever its ``__reduce__`` raises; this packer is of no use then.
        """
        self._pickler.dump(value)

    def __enter__(self) -> "Packer":  # noqa: PYI034 -- Self is newer than the pod's Python
        return self

    def __exit__(self, *_: object) -> None:
        # Left to the garbage collector (an error's traceback holds the pickler), a buffer may be
        # released after the memoryview that it shows: CPython 3.11 crashes on that.
        self._pickler.clear_memo()


class NullFile:
    """A file that takes everything and keeps nothing."""

    def write(self, data: Any) -> int:
        """Takes a piece of a pickle."""
        return len(data) if isinstance(data, bytes) else memoryview(data).nbytes

    def write_buffer(self, view: Any) -> None:
        """Takes a buffer."""


class _Recorder:
    """What is taken down while values are pickled."""

    def __init__(self, file: Any) -> None:
        self.needs: Set[str] = set()
        self.types: List[Any] = []
        self._file = file

    def keep_in_stream(self, buffer: Any) -> bool:
        """The pickler's question whether a buffer stays in the stream."""
        view = buffer.raw()
        if view.nbytes < MIN_BUFFER_BYTES:
            return True
        self._file.write_buffer(view)
        return False

    def add_type(self, obj: Any) -> None:
        """Takes down what the other side must have for a value."""
        if isinstance(obj, (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)):
            self.types.append(obj)


def _plain_pickler(recorder: _Recorder, file: Any, namespace: Dict[str, Any]) -> Any:
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
            return NotImplemented

    return Pickler(file, protocol=PROTOCOL, buffer_callback=recorder.keep_in_stream)


class _BareObject:
    """Stands in a pickle for the bare form of an object, which its state comes after."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = function, args


def _cloudpickle_pickler(recorder: _Recorder, file: Any, namespace: Dict[str, Any]) -> Any:
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
            return _complete(super().reducer_override(obj), obj, parts)

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
    """Returns how a task travels: in the pod a call of another task is a plain call."""
    if reduced is NotImplemented:
        return task.__qualname__
    return eval, (PLAIN_FUNCTION, {"function": task.__wrapped__})


def _own_attributes(attributes: Dict[str, Any]) -> Dict[str, Any]:
    """Returns a function's attributes without those that make a task of it in a pod."""
    return {
        name: value
        for name, value in attributes.items()
        if type(value) is not types.FunctionType or "in_place" not in vars(value)
    }


def _tracked(obj: Any, made: _BareObject, parts: Any) -> Any:
    """Returns how an object is made under its number, as cloudpickle does with classes."""
    return parts._lookup_class_or_track, (parts._get_or_create_tracker_id(obj), made)  # noqa: SLF001


def _with_filename(reduced: Any, code: types.CodeType) -> Any:
    """Returns what cloudpickle made of code, with the name of its file: tracebacks show its lines.

    From 3.1.3 on it leaves that out: https://github.com/cloudpipe/cloudpickle/blob/master/CHANGES.md
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
    """Returns what cloudpickle made of an object, with what it leaves out."""
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
    """Returns cloudpickle's arguments for making a class, completed."""
    given = {**given, "__qualname__": obj.__qualname__}
    if "__slots__" in vars(obj) and not issubclass(obj, tuple):  # a NamedTuple makes its own
        given["__slots__"] = obj.__slots__
    if kind.__module__ == "__main__":
        # The notebook's metaclass has done its work once: what it noted then travels too.
        made = next(each for each in kind.__mro__ if each.__module__ != "__main__")
        kind = functools.partial(made.__new__, kind)
    return kind, name, bases, given, *more


def known(number: Optional[str]) -> Any:
    """Returns the class or function of a number; None where it is not from here, or is gone."""
    import cloudpickle.cloudpickle as parts

    return parts._DYNAMIC_CLASS_TRACKER_BY_ID.get(number)  # noqa: SLF001 -- it has no other way in


def versions(objects: List[Any]) -> Dict[str, str]:
    """Returns top-level module -> its version, of what values refer to, where it says one."""
    roots = {module_of(each).partition(".")[0] for each in objects}
    found = {}
    for root in sorted(roots - {"__main__", "builtins", "cloudpickle"}):
        version = getattr(sys.modules.get(root), "__version__", None)
        if isinstance(version, str):
            found[root] = version
    return found


def module_of(obj: Any) -> str:
    """Returns the module of a class or function, or the name of a module."""
    name = obj.__name__ if isinstance(obj, types.ModuleType) else obj.__module__
    return name if isinstance(name, str) else "builtins"


def mismatches(theirs: Dict[str, str], theirs_where: str, where: str) -> Iterator[str]:
    """Yields a sentence for each module whose major version is another one on this side.

    Args:
        theirs: top-level module -> version on the side where the values were pickled.
        theirs_where: that side in words.
        where: this side in words.

    Raises:
        ImportError: a module is missing here, or fails to load.
    """
    for root, version in theirs.items():
        import importlib  # not for nothing: it takes its time

        ours: Optional[str] = getattr(importlib.import_module(root), "__version__", None)
        if isinstance(ours, str) and ours.partition(".")[0] != version.partition(".")[0]:
            yield f"{root} is {ours} {where} and {version} {theirs_where}: its values may differ"
