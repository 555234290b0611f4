"""End the worker as Python ends a process: run exit handlers and finalizers, and close open files.

The worker is forked and leaves with ``os._exit``, so Python's own shutdown never runs in it.
"""

import atexit
import contextlib
import gc
import io
import sys
import types
import weakref
from typing import Any, Dict, Iterable, List

from ..streams import InterruptGuard

# Without pending data of their own. Closing them could only disturb the files that are built on them.
MEMORY_FILES = (io.BytesIO, io.StringIO)
IO_BASE = io.FileIO.__mro__[-2]  # of all files; io.IOBase also asks its registered classes
WAITING_FINALIZERS = ("_terminate_pool", "_finalize_join")  # of a pool, and of a queue that nobody reads
DEFINITIONS = (type, types.FunctionType, types.ModuleType)


def begin() -> None:
    """Exclude the runner's own objects from the shutdown; call this before the cell makes any."""
    gc.freeze()


def shut_down(guard: InterruptGuard) -> None:
    """Run the exit handlers, finalize the values of the cell, and close its files.

    An interrupt ends the step that is running; the next steps still run. The supervisor limits the time.

    Args:
        guard: Lets interrupts through while the user's code runs.
    """
    files: List[Any] = []
    for step in (
        _run_exit_handlers,
        # Files that become garbage in a cycle lose what is in their buffers, so they are kept until they are closed:
        # https://github.com/python/cpython/issues/83856
        lambda: files.extend(_files()),
        _finalize_values,
        lambda: _close([*files, *_files()]),
    ):
        # The next step must run after an interrupt and after an error, which Python has printed already.
        with contextlib.suppress(BaseException), guard.lifted():  # an interrupt, or sys.exit in a handler
            step()


def _run_exit_handlers() -> None:
    _forget_processes()
    try:
        atexit._run_exitfuncs()  # noqa: SLF001 -- the only way to run them without ending the process
    finally:
        atexit._clear()  # noqa: SLF001 -- they hold values of the cell


def _forget_processes() -> None:
    """Drop the finalizers of multiprocessing that would wait for ended processes: they may hold locks for ever."""
    registry = getattr(sys.modules.get("multiprocessing.util"), "_finalizer_registry", {})
    for key, finalizer in list(registry.items()):
        if getattr(getattr(finalizer, "_callback", None), "__name__", "") in WAITING_FINALIZERS:
            del registry[key]


def _finalize_values() -> None:
    """Free the namespace of the cell, so that finalizers (``__del__``, ``finally`` in a generator) run."""
    # Clients, files and tasks that were not closed are reported when they are freed. In a kernel they live on.
    if "asyncio" in sys.modules and "logging" in sys.modules:
        sys.modules["logging"].getLogger("asyncio").disabled = True
    if "warnings" in sys.modules:
        sys.modules["warnings"].simplefilter("ignore", ResourceWarning)
    marker = _AliveMarker()
    vars(sys.modules.pop("__main__"))["__podtask_mark__"] = marker
    sys.modules["__main__"] = types.ModuleType("__main__")
    alive = weakref.ref(marker)
    del marker
    gc.collect()  # __del__ still sees all globals: the namespace is part of the garbage
    left = alive()
    # Something else may refer to a function of the cell, such as a cache of typing.
    namespaces = [each for each in gc.get_referrers(left) if type(each) is dict] if left is not None else []
    local_modules = sys.modules.get(f"{__package__}.local_modules")  # loaded only if there are any
    if local_modules is not None:
        namespaces += local_modules.namespaces()
    for namespace in namespaces:
        _clear_values(namespace)


class _AliveMarker:
    """Show, by being alive, that the namespace which holds it still exists."""


def _clear_values(namespace: Dict[str, Any]) -> None:
    """Free the values of a namespace; those with ``__del__`` first, while it still finds what it uses."""
    for chosen in (_has_finalizer, lambda value: not issubclass(type(value), DEFINITIONS)):
        for name in list(namespace):
            if not name.startswith("__") and chosen(namespace[name]):
                namespace[name] = None
        gc.collect()


def _has_finalizer(value: Any) -> bool:
    return hasattr(type(value), "__del__") and not issubclass(type(value), IO_BASE)


def _files() -> List[Any]:
    """Return the files that the cell has opened, with others of the io module's classes."""
    return [each for each in gc.get_objects() if issubclass(type(each), IO_BASE)]


def _close(files: List[Any]) -> None:
    for each in _outermost_first(files):
        with contextlib.suppress(Exception):  # a broken file object; Python's own shutdown ignores it, too
            try:
                if not each.closed:
                    each.close()
            except OSError as error:
                print(f"podtask: cannot write {getattr(each, 'name', each)}: {error}", file=sys.stderr)


def _outermost_first(files: Iterable[Any]) -> List[Any]:
    """Return files ordered so that a compressed or encoded file comes before the one that it writes to."""

    def layer(file: Any) -> int:
        if isinstance(file, io.TextIOWrapper):
            return 0
        if isinstance(file, (io.BufferedWriter, io.BufferedRandom)):
            return 2
        return 3 if isinstance(file, io.FileIO) else 1

    return sorted((each for each in files if type(each) not in MEMORY_FILES), key=layer)
