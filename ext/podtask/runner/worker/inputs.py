"""Puts a cell's inputs into its namespace: local modules, then values and definitions in order."""

import linecache
import mmap
import os
import pickle
import sys
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

from .. import pickler


def load(
    job: Dict[str, Any], fd: Optional[int], namespace: Dict[str, Any], on_value: Callable[[str], None]
) -> None:
    """Fills a namespace.

    Args:
        job: the meta of the run frame; its ``steps`` are names, whose values come one after
            another in the pickle, and [source, filename] of definitions. With ``beside`` the
            first pickle is the notebook's local modules, and the cells that functions come from;
            ``modules`` are imported for the packages that hold them.
        fd: of the file with the pickle, and behind it the buffers that ``buffers`` lists; None
            where there are definitions only.
        namespace: of the cell.
        on_value: is told the name of each value before it is unpickled.

    Raises:
        ImportError: a module that a value needs is not in the image.
        Exception: whatever unpickling, or a definition, raises.
    """
    for warning in pickler.mismatches(job["versions"], "in the notebook", "in the pod"):
        print(f"podtask: {warning}", file=sys.stderr)
    buffers: List[Any] = []
    if fd is not None and job["buffers"]:
        # Private: arrays may lie in it and be changed.
        view = memoryview(mmap.mmap(fd, 0, access=mmap.ACCESS_COPY))
        buffers = [view[start : start + size] for start, size in job["buffers"]]
    with open(os.devnull, "rb") if fd is None else os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        if job["beside"]:
            local, cells = pickle.load(file)
            sys.meta_path.insert(0, LocalModuleFinder(local))
            for filename, source in cells.items():
                register_source(filename, source)
        if job["modules"]:
            sys.meta_path.insert(0, SubmoduleImporter(job["modules"]))
        unpickler = pickle.Unpickler(file, buffers=buffers)
        for step in job["steps"]:
            if isinstance(step, str):
                on_value(step)
                namespace[step] = unpickler.load()
            else:
                on_value("")
                source, filename = step
                if filename not in linecache.cache:
                    register_source(filename, source)
                exec(compile(source, filename, "exec", dont_inherit=True), namespace)


def register_source(filename: str, source: str) -> None:
    """Makes tracebacks and ``inspect`` find a source that is in no file."""
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)


class SubmoduleImporter:
    """Has modules imported right after the package that holds them: not before the cell does that.

    What the cell sets first, in ``os.environ`` say, and its own ``except ImportError`` hold then.

    Args:
        names: of the modules.
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
        """Returns another finder's spec of a package, None for any other module."""
        names = self._names.pop(name, None)
        for finder in sys.meta_path if names else ():
            spec: Any = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = AfterLoader(spec.loader, names or [])
                return spec
        return None


class AfterLoader:
    """A loader that imports modules when it has loaded a package; else it is the other one."""

    def __init__(self, loader: Any, names: List[str]) -> None:
        self._loader, self._names = loader, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: Any) -> None:
        """Loads the package."""
        self._loader.exec_module(module)
        for name in self._names:
            _import(name)


def _import(name: str) -> None:
    try:
        __import__(name)
    except ImportError:
        pass  # the cell, or the value that needs it, says what is missing


class LocalModuleFinder:
    """Finds the notebook's own modules, which came as source, before any copy in the image.

    Args:
        sources: module -> (is a package, filename, source).
    """

    def __init__(self, sources: Dict[str, Tuple[bool, str, str]]) -> None:
        self._sources = sources

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Returns the spec of a module that came along, None for any other."""
        if name not in self._sources:
            return None
        from importlib.machinery import ModuleSpec, PathFinder

        package, filename, source = self._sources[name]
        other = PathFinder.find_spec(name, path)
        if other is not None and other.origin and os.path.isfile(other.origin):
            with open(other.origin, encoding="utf-8", errors="replace") as file:
                if file.read() != source:
                    print(
                        f"podtask: module {name} is the notebook's; the image has another one, "
                        f"{other.origin}",
                        file=sys.stderr,
                    )
        spec = ModuleSpec(name, self, origin=filename, is_package=package)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def create_module(self, spec: Any) -> None:
        """Leaves the making to the import system."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Runs the module's source."""
        _, filename, source = self._sources[module.__name__]
        register_source(filename, source)
        exec(compile(source, filename, "exec", dont_inherit=True), module.__dict__)
