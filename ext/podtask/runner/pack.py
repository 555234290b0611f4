"""Pickles between notebook and worker: functions keep the one namespace they live in.

cloudpickle gives each function from a notebook globals of its own. Here such globals are
``__main__`` on the other side, so that functions see the cell's variables as in a kernel. Values
go one after another with one memo, so what is shared stays shared; large buffers (arrays) go
apart, so they are copied once. Used by both sides; cloudpickle is imported at the first use only.
"""

import pickle
import sys
import types
from typing import Any, Dict, Iterator, List, Optional, Set

PROTOCOL = 5  # of the oldest Python in an image, 3.8+
APART = 64 << 10  # bytes from which on a buffer goes apart
ALIGN = 64  # so that arrays can lie where they arrive


class _Main(dict):  # type: ignore[type-arg]
    """Stands for the namespace in cloudpickle's table of globals; not empty, so it stays as is."""


class Packer:
    """Pickles values into a file, one after another; a context manager.

    Args:
        file: has ``write``, and ``take_apart`` for a buffer's view; keeps no view for long.
        namespace: the globals of the notebook, or of the worker; the other's ``__main__``.
        plain: without cloudpickle: the other side has another minor version, or needs none.

    Attributes:
        needs: names of the namespace that the functions so far read.
        types: classes, functions and modules that the values so far refer to.
    """

    def __init__(self, file: Any, namespace: Dict[str, Any], plain: bool) -> None:
        notes = _Notes(file)
        self.needs, self.types = notes.needs, notes.types
        self._pickler: Any = (_plain if plain else _carrying)(notes, file, namespace)

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


class _Notes:
    """What is taken down while values are pickled."""

    def __init__(self, file: Any) -> None:
        self.needs: Set[str] = set()
        self.types: List[Any] = []
        self._file = file

    def apart(self, buffer: Any) -> bool:
        """The pickler's question whether a buffer stays in the stream."""
        view = buffer.raw()
        if view.nbytes < APART:
            return True
        self._file.take_apart(view)
        return False

    def used(self, obj: Any) -> None:
        """Takes down what the other side must have for a value."""
        if isinstance(obj, (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)):
            self.types.append(obj)


def _plain(notes: _Notes, file: Any, namespace: Dict[str, Any]) -> Any:
    class Pickler(pickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            notes.used(obj)
            if isinstance(obj, types.FunctionType) and obj.__module__ == "__main__":
                name = obj.__qualname__
                if getattr(namespace.get(name), "__wrapped__", None) is obj:
                    # pickle would refuse: under its name there is what wraps it.
                    return eval, (f"__import__('__main__').{name}",)
            return NotImplemented

    return Pickler(file, protocol=PROTOCOL, buffer_callback=notes.apart)


def _carrying(notes: _Notes, file: Any, namespace: Dict[str, Any]) -> Any:
    import cloudpickle

    main = _Main(main=True)

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if obj is main:
                return vars, (sys.modules["__main__"],)
            notes.used(obj)
            if getattr(type(obj), "travels_as_its_function", False):
                # In the pod a call of another task is a plain call.
                reduced = super().reducer_override(obj.__wrapped__)
                return obj.__qualname__ if reduced is NotImplemented else reduced
            return super().reducer_override(obj)

        def _dynamic_function_reduce(self, func: Any) -> Any:
            reduced = super()._dynamic_function_reduce(func)
            if func.__globals__ is namespace:
                # They travel by name, if at all: a value that comes back with a function must
                # not change the notebook's behind the user's back.
                found = reduced[2][1]["__globals__"]
                notes.needs.update(found)
                found.clear()
            return reduced

    made: Any = Pickler(file, protocol=PROTOCOL, buffer_callback=notes.apart)
    made.globals_ref[id(namespace)] = main
    return made


def versions(used: List[Any]) -> Dict[str, str]:
    """Returns top-level module -> its version, of what values refer to, where it says one."""
    roots = {module_of(each).partition(".")[0] for each in used}
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
            yield f"{root} is {ours} {where} and {version} {theirs_where}: values of it may differ"
