"""The notebook's own modules: a folder with their files that ``import`` and child processes search first."""

import importlib
import os
import pickle
import sys
import types
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import Any, Dict, List, Optional, Tuple

from ..protocol import MODULE_OBJECT
from .inputs import register_source
from .module_snapshots import SNAPSHOTS


def install(folder: str, files: Dict[str, Tuple[str, bytes]], values: Dict[str, bytes]) -> None:
    """Let this process and its children import the modules.

    Args:
        folder: Absolute path of an empty folder, or an empty string if no directory is writable.
        files: Path in the folder -> (path in the notebook, content).
        values: Name of a module that has no file -> its pickled values.

    Raises:
        OSError: The files cannot be written.
        Exception: Any error of unpickling.
    """
    if files:
        _write(folder, files)
        importlib.invalidate_caches()
        filenames = {os.path.join(folder, *name.split("/")): here for name, (here, _) in files.items()}
        _find_in(folder, filenames)
    for name in values:
        sys.modules[name] = types.ModuleType(name)  # all of them first: functions of one may use another
    for name, pickled in values.items():
        loaded = pickle.loads(pickled)
        if MODULE_OBJECT in loaded:
            sys.modules[name] = loaded[MODULE_OBJECT]
        else:
            vars(sys.modules[name]).update(loaded)


def _write(folder: str, files: Dict[str, Tuple[str, bytes]]) -> None:
    if not folder:
        raise OSError(
            "No directory is writable, so your own modules cannot be imported. Mount an emptyDir at /tmp."
        )
    for name, (_, content) in files.items():
        path = os.path.join(folder, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def _find_in(folder: str, filenames: Dict[str, str]) -> None:
    for finder in sys.meta_path:
        if (
            isinstance(finder, LocalModuleFinder) and finder.folder == folder
        ):  # of an earlier call in this process
            finder.filenames.update(filenames)
            return
    sys.path.insert(0, folder)
    python_path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = folder + (os.pathsep + python_path if python_path else "")
    sys.meta_path.insert(0, LocalModuleFinder(folder, filenames))


def namespaces() -> List[Dict[str, Any]]:
    """Return the namespaces of the modules that were loaded from the folder."""
    folders = [finder.folder for finder in sys.meta_path if isinstance(finder, LocalModuleFinder)]
    found = [vars(module) for module in list(sys.modules.values()) if isinstance(module, types.ModuleType)]
    return [each for each in found for folder in folders if str(each.get("__file__")).startswith(folder)]


class LocalModuleFinder:
    """Finds the notebook's own modules in their folder before any copy in the image.

    The folder is on ``sys.path`` as well, but a cell may put other folders before it.

    Args:
        folder: The folder.
        filenames: Path in the folder -> path in the notebook.
    """

    def __init__(self, folder: str, filenames: Dict[str, str]) -> None:
        self.folder = folder
        self.filenames = filenames

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        """Return the spec of a module in the folder, None for any other."""
        is_root = "." not in name
        spec = PathFinder.find_spec(name, [self.folder] if is_root else path)
        if spec is None or spec.origin not in self.filenames:
            return None  # also a package without __init__.py, whose parts may be in several folders
        if isinstance(spec.loader, SourceFileLoader):
            spec.loader = LocalModuleLoader(name, spec.origin, self.filenames[spec.origin])
        if is_root:
            self._report_other_copy(spec.origin, name)
        return spec

    def _report_other_copy(self, path: str, name: str) -> None:
        """Report a module of the same name in the image if it is different."""
        other = PathFinder.find_spec(name, [each for each in sys.path if each != self.folder])
        if other is None or not other.origin or not os.path.isfile(other.origin):
            return
        with open(other.origin, "rb") as theirs, open(path, "rb") as ours:
            if theirs.read() != ours.read():
                print(
                    f"podtask: using the notebook's module {name}; the image has a different one, {other.origin}",
                    file=sys.stderr,
                )


class LocalModuleLoader(SourceFileLoader):
    """Loads a module from its file; tracebacks show the path of the file in the notebook.

    Args:
        name: Name of the module.
        path: Path of the file.
        filename: Path of the same file in the notebook.
    """

    def __init__(self, name: str, path: str, filename: str) -> None:
        super().__init__(name, path)
        self._filename = filename

    def path_stats(self, path: Any) -> Any:
        """Keep byte code out of the cache: it would have the other path."""
        raise OSError

    # Python 3.15 adds the module's name.
    def source_to_code(  # type: ignore[override]
        self, data: Any, path: Any, *name: Any, **options: Any
    ) -> types.CodeType:
        """Compile the source under its file name in the notebook."""
        return super().source_to_code(data, self._filename, *name, **options)

    def exec_module(self, module: types.ModuleType) -> None:
        """Execute the module, and register its source for tracebacks."""
        try:
            register_source(self._filename, self.get_source(self.name) or "")
        except ImportError:
            pass  # the encoding of the source is wrong, as the execution will report
        with SNAPSHOTS.importing(module):
            super().exec_module(module)
