"""Load the inputs of a cell into its namespace: local modules, then values and definitions in order."""

import contextlib
import io
import linecache
import mmap
import os
import pickle
import sys
import time
import types
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from .. import pickler
from ..reducers import classes, identity
from ..state.libraries import AppliedState
from ..streams import Stream
from .module_values import ModuleValues

READ_BYTES = 64 << 10  # at once, of small values


class InputFile(io.RawIOBase):
    """The inputs as a file, read while they arrive.

    Args:
        fd: Descriptor of the file to which the supervisor writes. Its position is the supervisor's.
        size: Size of the inputs in bytes.
        arrival_fd: Read end of a pipe that becomes readable when more has arrived.

    Attributes:
        waited_seconds: How long the cell has waited for bytes, which does not count as its run time.
    """

    def __init__(self, fd: int, size: int, arrival_fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._size = size
        self._arrival_fd = arrival_fd
        self._position = 0
        self.waited_seconds = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        """Read some bytes, wait for them if necessary; return 0 at the end."""
        while True:
            count = os.preadv(self._fd, [target], self._position)
            if count or self._position >= self._size:
                self._position += count
                return count
            self._wait()

    def buffers(self, places: List[Tuple[int, int]]) -> Iterator[memoryview]:
        """Yield the buffers at these offsets, of these sizes. They are at the end, so all has to arrive first."""
        self.wait_complete()
        # Private: arrays may lie in it and be changed.
        view = memoryview(mmap.mmap(self._fd, 0, access=mmap.ACCESS_COPY))
        for start, size in places:
            yield view[start : start + size]

    def wait_complete(self) -> None:
        """Wait until all has arrived."""
        while os.fstat(self._fd).st_size < self._size:
            self._wait()

    def _wait(self) -> None:
        start = time.perf_counter()
        if not os.read(self._arrival_fd, 4096):
            raise EOFError("the inputs have not arrived")
        self.waited_seconds += time.perf_counter() - start


class ReceivedInputs(io.BytesIO):
    """Inputs that are in memory, as a file."""

    def buffers(self, places: List[Tuple[int, int]]) -> Iterator[memoryview]:
        """Yield the buffers at these offsets, of these sizes. Arrays lie in them, and may be changed."""
        view = memoryview(bytearray(self.getbuffer()))
        for start, size in places:
            yield view[start : start + size]


def load(
    job: Dict[str, Any],
    arriving: Union[InputFile, "ReceivedInputs", None],
    namespace: Dict[str, Any],
    on_value: Callable[[str], None],
) -> AppliedState:
    """Fill a namespace; return the state of the notebook's libraries, which is applied when they are imported.

    Args:
        job: Meta of the run frame. Each of its ``steps`` is a name, or the path of an attribute (``Model.rate``),
            whose value is the next one in the pickle, or [source, filename] of definitions. ``changing`` are names
            of values that executing the definitions may have changed: the pickle has their content again. With ``beside`` the first pickle has the files of the notebook's
            local modules, which are written to ``folder``, the cells that functions come from, the modules without
            a file, and the state of libraries. ``modules`` are submodules to import after their package.
            ``module_values`` are the values of local modules, which end the pickle. ``shared`` is what notebook and
            session share: classes and functions that exist get attributes only if they are sent by their names.
        arriving: The pickle, followed by the buffers that ``buffers`` lists; None if there are only definitions.
        namespace: Namespace of the cell.
        on_value: Called with the name of each value before it is unpickled.

    Raises:
        ImportError: A module that a value needs is missing in the image.
        Exception: Any error of unpickling, or of a definition.
    """
    for warning in pickler.mismatches(job["versions"], "in the notebook", "in the pod"):
        print(f"podtask: {warning}", file=sys.stderr)
    state = AppliedState({})
    local: List[str] = []
    with contextlib.ExitStack() as stack:
        file: Any = io.BytesIO() if arriving is None else io.BufferedReader(arriving, READ_BYTES)
        if not job.get("module_values"):
            stack.enter_context(file)  # else it is read when the cell imports the modules
        if job["beside"]:
            state, local = _load_beside(file, job)
        if job["modules"]:
            sys.meta_path.insert(0, SubmoduleImporter(job["modules"]))
        state.install()
        shared = job.get("shared")
        buffers = arriving.buffers(job["buffers"]) if arriving else ()
        unpickler: Any = (_session_unpickler if shared else pickler.Unpickler)(file, buffers=buffers)
        for step in job["steps"]:
            if isinstance(step, str):
                on_value(step)
                if shared:
                    unpickler.sets_existing = step in shared["definitions"]
                _set_value(namespace, step, unpickler.load(), shared)
            else:
                on_value("")
                source, filename = step
                if filename not in linecache.cache and not filename.startswith(
                    "<podtask "
                ):  # of many statements
                    register_source(filename, source)
                with _quiet():
                    exec(compile(source, filename, "exec", dont_inherit=True), namespace)
        _set_again(namespace, job.get("changing", []), unpickler, on_value)
        ModuleValues(unpickler, job.get("module_values", []), local).install(state.importer)
    if job["mode"] == "data":
        _number_definitions(namespace)
    identity.NUMBERS.receive_all()
    return state


def _session_unpickler(file: Any, buffers: Iterable[Any]) -> Any:
    """Return an unpickler that leaves the classes and functions of a session as its cells have changed them."""
    # Start-up cost: only sessions need it.
    from ..merging_unpickler import MergingUnpickler

    return MergingUnpickler(file, buffers=buffers)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discard what a definition prints: the notebook has shown it when the definition was executed there."""
    # Not by other streams: a definition may keep the cell's, as a default argument.
    streams = [each for each in (sys.stdout, sys.stderr) if isinstance(each, Stream)]
    for each in streams:
        each.is_quiet = True
    try:
        yield
    finally:
        for each in streams:
            each.is_quiet = False


def _set_value(
    namespace: Dict[str, Any], step: str, value: Any, shared: Optional[Dict[str, Any]] = None
) -> None:
    """Set a name, or an attribute of a class, of a member of an enumeration, or of a function.

    A class that is part of a value may need a name that the session has set later: it keeps its own value.
    """
    path, _, name = step.rpartition(".")
    if not path:
        # A call of an executor has no such list: all its names are set.
        if not shared or step in shared.get("sent", (step,)) or step not in namespace:
            namespace[step] = value
        return
    owner = eval(path, namespace)
    if isinstance(owner, type):
        classes.set_class_attribute(owner, name, value)
    elif name == "_value_":
        # Start-up cost: loaded when it is first needed.
        from ..reducers import enums

        enums.set_value(owner, value)
    else:
        object.__setattr__(owner, name, value)


def _set_again(
    namespace: Dict[str, Any], names: List[str], unpickler: Any, on_value: Callable[[str], None]
) -> None:
    """Set names and attributes, and the content of their containers, after definitions have been executed."""
    for name in names:
        # Start-up cost: loaded when it is first needed.
        from ..reducers import containers

        on_value(name)
        value, contents = unpickler.load()
        _set_value(namespace, name, value)
        for container, content in contents:
            containers.fill(container, content)


def _load_beside(file: Any, job: Dict[str, Any]) -> Tuple[AppliedState, List[str]]:
    """Read the first pickle; return the state of libraries and the names of the local modules."""
    files, cells, values, sent = pickle.load(file)
    if files or values:
        # Start-up cost: loaded when it is first needed.
        from . import local_modules

        local_modules.install(job.get("folder", ""), files, values)
    for filename, source in cells.items():
        register_source(filename, source)
    return AppliedState(sent), [_module_name(path) for path in files if path.endswith(".py")]


def _module_name(path: str) -> str:
    name = path[: -len(".py")].replace("/", ".")
    return name[: -len(".__init__")] if name.endswith(".__init__") else name


def _number_definitions(namespace: Dict[str, Any]) -> None:
    """Number the classes and functions that were sent as source; the notebook knows them by their names."""
    for name, value in namespace.items():
        is_definition = isinstance(value, (type, types.FunctionType)) and value.__module__ == "__main__"
        if is_definition and identity.NUMBERS.known_number(value) is None:
            identity.NUMBERS.add(f"={name}", value)


def register_source(filename: str, source: str) -> None:
    """Let tracebacks and ``inspect`` find a source that is not in a file."""
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)


class SubmoduleImporter:
    """Import submodules right after their package, but not before the cell imports the package.

    So settings that the cell makes first, such as ``os.environ``, and its ``except ImportError`` take effect.

    Args:
        names: Names of the submodules.
    """

    def __init__(self, names: List[str]) -> None:
        self._names: Dict[str, List[str]] = {}
        for name in names:
            root = name.partition(".")[0]
            if root in sys.modules:
                _import(name)
            else:
                self._names.setdefault(root, []).append(name)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return another finder's spec of a package, None for any other module."""
        names = self._names.pop(name, None)
        for finder in sys.meta_path if names else ():
            spec: Any = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = AfterLoader(spec.loader, names or [])
                return spec
        return None


class AfterLoader:
    """A loader that imports submodules after it has loaded their package; otherwise the wrapped loader."""

    def __init__(self, loader: Any, names: List[str]) -> None:
        self._loader, self._names = loader, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: Any) -> None:
        """Load the package, then its submodules."""
        self._loader.exec_module(module)
        for name in self._names:
            _import(name)


def _import(name: str) -> None:
    try:
        __import__(name)
    except ImportError:
        pass  # the cell, or the value that needs it, says what is missing
