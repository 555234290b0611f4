"""Pickle values between notebook and worker so that functions keep the one namespace they live in.

cloudpickle gives each function of a notebook its own globals. Here these globals become ``__main__`` on
the other side, so functions see the cell's variables as in a kernel. All values share one memo, so shared
objects stay shared. Large buffers (arrays) are stored separately, so they are copied only once. Classes,
functions and sentinels have numbers (``reducers/identity.py``), by which the notebook recognizes its own when
they return. Both sides use this module; it imports cloudpickle only at the first use.
"""

import functools
import pickle
import sys
import types
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

from .proxy_objects import reduce_instance
from .reducers import classes, identity, library_objects, typing_objects
from .singletons import Singletons, is_stream_write, reduce_stream_write

PROTOCOL = 5  # of the oldest Python in an image, 3.8+
MIN_BUFFER_BYTES = 64 << 10  # bytes from which on a buffer goes apart
ALIGN = 64  # so that arrays can lie where they arrive
REDUCERS = identity.__name__.rpartition(".")[0]  # the package of the functions that rebuild objects
TYPES = (
    *(type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType),
    *typing_objects.PARAMETERS,
)
FUNCTIONS = (types.FunctionType, type(functools.lru_cache(len)))
REDUCERS_NAMES = ("podtask.runner.reducers.", "_podtask_runner.reducers.")  # of both sides


class Packer:
    """Pickle values into a file, one after another; a context manager.

    Args:
        file: Has the methods ``write``, and ``write_buffer`` for the view of a buffer; keeps no view for long.
        namespace: The globals of the notebook or of the worker, which become ``__main__`` on the other side.
        plain: Work without cloudpickle: the other side has another minor version, or does not need it.
        reduce: Called with a value for which neither this module nor cloudpickle has a reduced form.
        by_value: Send also what belongs to the other side, for a notebook that does not have it any longer.
        named: Id of an object -> name under which the other side has it, since it was sent as source.
        links: Pickle exceptions with their causes and contexts.
        reduce_function: Called with functions and cells if the packer works without cloudpickle; returns
            NotImplemented for those that the other side has under their name.

    Attributes:
        needs: Names of the namespace that the functions so far read.
        types: Classes, functions and modules that the values so far refer to.
        references: Number -> object of the other side that the values so far refer to.
        used_names: Names of ``named`` that the values so far refer to.
        made_functions: Functions that ``reduce_function`` has reduced.
    """

    def __init__(
        self,
        file: Any,
        namespace: Dict[str, Any],
        plain: bool,
        reduce: Callable[[Any], Any] = reduce_instance,
        by_value: bool = False,
        named: Optional[Dict[int, str]] = None,
        links: bool = True,
        reduce_function: Optional[Callable[[Any], Any]] = None,
    ) -> None:
        def can_pickle(error: Any) -> bool:
            try:
                with Packer(
                    NullFile(), namespace, plain, reduce, by_value, named, False, reduce_function
                ) as packer:
                    packer.dump(error)
            except Exception:  # whatever a __reduce__ raises: the exception travels without this link
                return False
            return True

        recorder = _Recorder(file)
        self.needs, self.types, self.references = recorder.needs, recorder.types, recorder.references
        self.used_names, self.made_functions = recorder.used_names, recorder.made_functions
        if plain:
            self._pickler: Any = _plain_pickler(recorder, file, namespace, reduce, reduce_function)
        else:
            # Start-up cost: it imports cloudpickle, which takes longer than most cells.
            from .cloud_pickler import CloudPickler

            self._pickler = CloudPickler(recorder, file, PROTOCOL, namespace, reduce, by_value)
            self._pickler.named = named or {}
        self._pickler.can_pickle_link = can_pickle if links else None

    def dump(self, value: Any) -> None:
        """Pickle one more value.

        Raises:
            Exception: Any error that its ``__reduce__`` raises; the packer cannot be used after it.
        """
        self._pickler.dump(value)

    def dump_reference(self, name: str, value: Any) -> None:
        """Pickle a reference to what the other side has under a name, in place of a value, for all that is pickled later."""
        if id(value) in self._pickler.memo.copy():  # of another name
            self._pickler.dump(value)
            return
        reference = _Reference(name)
        self._pickler.dump(reference)
        memo = self._pickler.memo.copy()  # as many entries as before: the pickler counts them
        memo[id(value)] = memo.pop(id(reference))[0], value
        self._pickler.memo = memo

    def ignore_slot_names(self) -> None:
        """Leave out what pickle notes on a class when it pickles an instance; not for a packer that is plain."""
        self._pickler.ignores_slot_names = True

    def pickled_objects(self) -> List[Any]:
        """Return the objects that have been pickled so far, and that the memo keeps until the packer is closed."""
        cells = [cell for cell, _ in getattr(self._pickler, "closure_cells", {}).values()]
        return [obj for _, obj in self._pickler.memo.copy().values()] + cells

    def dump_incomplete(self, copy: Any, copies: List[Tuple[Any, Any]]) -> None:
        """Pickle an incomplete copy of a value, which is the value for all that is pickled later.

        Args:
            copy: The copy.
            copies: The containers of the value, each with its copy.

        Raises:
            Exception: Any error that a ``__reduce__`` raises; the packer cannot be used after it.
        """
        self._pickler.dump(copy)
        memo = self._pickler.memo.copy()
        for original, made in copies:
            if id(made) in memo:
                memo[id(original)] = memo.pop(id(made))[0], original
        self._pickler.memo = memo

    def __enter__(self) -> "Packer":  # noqa: PYI034 -- Self is newer than the pod's Python
        return self

    def __exit__(self, *_: object) -> None:
        # Left to the garbage collector (an error's traceback holds the pickler), a buffer may be
        # released after the memoryview that it shows: CPython 3.11 crashes on that.
        self._pickler.clear_memo()


class _Reference:
    """Represents a value in a pickle that the other side has under a name.

    Args:
        name: The name in its ``__main__``.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> Any:
        return eval, (f"vars(__import__('sys').modules['__main__'])[{self._name!r}]",)


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
        self.references: Dict[str, Any] = {}
        self.used_names: Set[str] = set()
        self.made_functions: List[Any] = []
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
        if isinstance(obj, TYPES):
            both_have_it = str(getattr(obj, "__module__", "")).startswith(REDUCERS)
            if not both_have_it and not is_stream_write(obj):
                self.types.append(obj)


def _plain_pickler(
    recorder: _Recorder,
    file: Any,
    namespace: Dict[str, Any],
    reduce: Callable[[Any], Any],
    reduce_function: Optional[Callable[[Any], Any]],
) -> Any:
    singletons = Singletons()
    singles: Dict[Any, Set[int]] = {}
    slot_names = classes.SlotNames()

    class Pickler(pickle.Pickler):
        can_pickle_link: Optional[Callable[[Any], bool]] = None

        def clear_memo(self) -> None:
            super().clear_memo()
            slot_names.remove()

        def reducer_override(self, obj: Any) -> Any:
            recorder.add_type(obj)
            if is_stream_write(obj):
                return reduce_stream_write(obj)
            if isinstance(obj, (*FUNCTIONS, types.CellType)):
                reduced = _reduce_function(obj, recorder, reduce_function)
                if reduced is not NotImplemented:
                    return reduced
            if identity.NUMBERS.received and getattr(obj, "__module__", None) == "__main__":
                _refuse_new_definition(obj)
            if (type(obj).__module__ == "__main__" and not isinstance(obj, type)) or type(obj) is object:
                slot_names.add(type(obj))
                reduced = _reduce_own_instance(obj, singles)
                if reduced is not NotImplemented:
                    return reduced
            expression = _expression_of(obj, namespace)
            if expression:
                return eval, (expression,)
            reduced = library_objects.first_reduced(obj, library_objects.reduce, singletons.reduce, reduce)
            return library_objects.with_links(obj, reduced, self.can_pickle_link)

    return Pickler(file, protocol=PROTOCOL, buffer_callback=recorder.keep_in_stream)


def _expression_of(obj: Any, namespace: Dict[str, Any]) -> str:
    """Return the expression that finds a module, class or function on the other side; empty if pickle finds it."""
    if isinstance(obj, types.ModuleType):
        return f"__import__('importlib').import_module({obj.__name__!r})"
    if isinstance(obj, type) and obj.__module__ == "pathlib._local":  # Python 3.13's
        return f"__import__('pathlib').{obj.__name__}"
    if isinstance(obj, types.FunctionType) and obj.__module__ == "__main__":
        name = obj.__qualname__
        if getattr(namespace.get(name), "__wrapped__", None) is obj:
            # pickle would refuse: under its name there is what wraps it.
            return f"__import__('__main__').{name}"
    return ""


def _reduce_function(obj: Any, recorder: _Recorder, reduce_function: Optional[Callable[[Any], Any]]) -> Any:
    """Return the reduced form of a function, or of a part of one, that the other side does not have by name."""
    number = identity.NUMBERS.received_number(obj)
    if number is not None and not number.startswith("="):  # else the notebook knows its name
        return identity.received, (number, getattr(obj, "__qualname__", ""))
    if reduce_function is None:
        return NotImplemented
    reduced = reduce_function(obj)
    if reduced is not NotImplemented and isinstance(obj, FUNCTIONS):
        recorder.made_functions.append(obj)
        used = getattr(obj, "__globals__", {}).get("__name__", "__main__")
        if used != "__main__":  # code of a module has made it, and uses the module's names
            recorder.types.append(sys.modules[used])
    return reduced


def _reduce_own_instance(obj: Any, singles: Dict[Any, Set[int]]) -> Any:
    """Return the reduced form of an object of the notebook.

    Without attributes it may be a sentinel, which is compared with ``is``: it keeps its identity, and so does an
    instance that its class holds.

    Args:
        obj: The object.
        singles: Ids of the instances that classes hold, by class; filled here.
    """
    number = identity.NUMBERS.received_number(obj)
    if number is not None and number not in identity.NUMBERS.changed_instances:
        return identity.received, (number, type(obj).__qualname__)
    if not classes.has_plain_instances(type(obj)):
        return NotImplemented
    if number is None and classes.is_stateless(obj):
        return classes.make_stateless, (identity.NUMBERS.number_of(obj), type(obj))
    kind = type(obj)
    if kind not in singles:
        singles[kind] = set(map(id, classes.single_instances(kind)))
    made: Any = classes.make_instance, (kind,)
    if number is None and id(obj) in singles[kind]:
        made = classes.make_stateless, (identity.NUMBERS.number_of(obj), kind)
    elif type(kind.__new__) is not types.FunctionType:  # else copyreg.__newobj__ would call it once more
        return NotImplemented
    return (*made, obj.__reduce_ex__(2)[2], None, None, classes.fill_instance)


def _refuse_new_definition(obj: Any) -> None:
    """Raise an error if a class or function was defined by the cell and would travel by its name alone.

    The notebook may have another one of that name.
    """
    if not isinstance(obj, (type, types.FunctionType)) or "<locals>" in obj.__qualname__:
        return
    root: Any = sys.modules["__main__"].__dict__.get(obj.__qualname__.partition(".")[0])
    if isinstance(root, (type, types.FunctionType)) and identity.NUMBERS.received_number(root) is None:
        raise pickle.PicklingError(
            f"{obj.__qualname__} was defined by the cell, in a pod with another version of Python"
        )


class Unpickler(pickle.Unpickler):
    """Unpickle what a :class:`Packer` of the other side has pickled."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a function or class by its name; the functions that rebuild objects are those of this side."""
        if module.startswith(REDUCERS_NAMES):
            module = f"{REDUCERS}.{module.rpartition('.')[2]}"
        return super().find_class(module, name)


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
