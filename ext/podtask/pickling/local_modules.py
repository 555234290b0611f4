"""The user's own modules that a cell needs and that are not installed, with their files.

They are sent with the cell, so that the pod runs the same code as the notebook.
"""

from __future__ import annotations

import ast
import functools
import json
import logging
import os
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import InputError
from .runtime_modules import runtime_modules

log = logging.getLogger(__name__)
MAX_SOURCE_BYTES = 8 << 20  # of all files; data files get what the sources leave
MAX_DATA_FILES = 1000
MAX_NAMED_FILES = 5
MAX_NAME_BYTES = 255  # of a string in a source that may be the name of a file, as in Linux
CACHED_SOURCES = 2048  # the next cell of a project with as many modules parses only those that have changed
INSTALLED = {"site-packages", "dist-packages"}
NEVER_SENT = {"podtask", "podtask_widgets", "__main__"}
SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages"}
COMPILED_SUFFIXES = (".so", ".pyd", ".dylib", ".dll")
METADATA_FILES = ("METADATA", "PKG-INFO", "entry_points.txt", "top_level.txt")
IMPORT_FUNCTIONS = {"import_module", "__import__"}
Files = dict[str, tuple[str, bytes]]


@dataclass
class LocalModules:
    """The user's own modules that a cell needs.

    Args:
        files: Path relative to a folder on ``sys.path`` -> (path here, content).
        roots: Names of the top-level modules.
        notes: A line for each module whose file has changed since the notebook imported it, and one for the data
            files that are too large.
        runtime: Names of modules without a file.
        warnings: A line for each compiled extension, to be shown before a pod is created.
    """

    files: Files = field(default_factory=dict)
    roots: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    runtime: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def sources(self) -> dict[str, bytes]:
        """The source of each module, by its name."""
        return {
            _module_name(path): content for path, (_, content) in self.files.items() if path.endswith(".py")
        }


def find_local_modules(names: Iterable[str]) -> LocalModules:
    """Return the local modules among the given ones, with the local modules that they import.

    A package is returned with all its modules and its data files, a module with the files that it names.

    Args:
        names: Names of modules.

    Raises:
        InputError: The sources are larger than 8 MiB together, or a source cannot be read.
    """
    found = LocalModules()
    data: dict[str, Path] = {}
    todo = [name.partition(".")[0] for name in names]
    done: set[str] = set()
    while todo:
        root = todo.pop()
        if root in done:
            continue
        done.add(root)
        for path, file in _files(root).items():
            found.roots.add(root)
            if file.suffix != ".py":
                data.setdefault(path, file)
                continue
            content = _read(file)
            found.files[path] = str(file), content
            todo += imported_modules(content)
            data.update(_data_files_named_in(content, path, file))
            if _stale(_module_name(path), content):
                found.notes.append(
                    f"{file.name} has changed since the notebook imported it. The pod gets the current file; "
                    "reload the module here to use the same code."
                )
    found.runtime = runtime_modules(done)
    size = sum(len(content) for _, content in found.files.values())
    if size > MAX_SOURCE_BYTES:
        raise InputError(
            f"The local modules that the cell needs have {size >> 20} MiB of source, over "
            f"the limit of {MAX_SOURCE_BYTES >> 20} MiB: {', '.join(sorted(found.roots))}.",
            "Install them in the image, or import fewer modules.",
        )
    if found.roots:
        data.update(_metadata(found.files))
        _add_data(found, data, MAX_SOURCE_BYTES - size)
    return found


def is_local_module(root: str) -> bool:
    """Return whether a top-level module is the user's own."""
    return bool(_files(root))


@functools.lru_cache(CACHED_SOURCES)
def imported_modules(source: str | bytes) -> frozenset[str]:
    """Return the top-level modules imported anywhere in a source text."""
    word: Any = b"import" if isinstance(source, bytes) else "import"
    if word not in source:
        return frozenset()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()  # importing the module raises the error
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and node.args:
            function = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if function in IMPORT_FUNCTIONS:
                found |= {name.partition(".")[0] for name in _strings(node.args[0]) if name[0] != "."}
    return frozenset(found)


def _strings(tree: ast.AST) -> set[str]:
    """Return the string literals of a syntax tree that may be names."""
    values = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {each for each in values if isinstance(each, str) and 0 < len(each) <= MAX_NAME_BYTES}


def submodules(dotted: Iterable[str], namespace: Mapping[str, Any], source: str = "") -> tuple[str, ...]:
    """Return the submodules that code uses as attributes without importing them itself.

    In a kernel, a package has as attributes all submodules that any cell or module has imported.

    Args:
        dotted: Names with attributes, such as ``xml.dom.minidom``.
        namespace: Values of the names.
        source: Source of the code, whose own imports define names too.
    """
    known = {**_modules_in(source), **namespace}
    found = set()
    for each in dotted:
        root, *attributes = each.split(".")
        module = known.get(root)
        for attribute in attributes:
            if not isinstance(module, types.ModuleType):
                break
            below = f"{module.__name__}.{attribute}"
            module = vars(module).get(attribute)  # lazily imported submodules are there, too
            if isinstance(module, types.ModuleType) and sys.modules.get(below) is module:
                found.add(below)
    return tuple(sorted(found))


def _modules_in(source: str) -> dict[str, Any]:
    """Return the loaded modules that a source text imports, by the name that it gives them."""
    found = {}
    for node in ast.walk(ast.parse(source)) if "import" in source else ():
        for each in node.names if isinstance(node, ast.Import) else ():
            root = each.name.partition(".")[0]
            found[each.asname or root] = sys.modules.get(each.name if each.asname else root)
    return found


def _files(root: str) -> dict[str, Path]:
    """Return the files of a local module or package by their paths relative to a folder on ``sys.path``."""
    spec = _spec(root)
    if spec is None:
        spec = _spec_of_script(root)
    if spec is None:
        return {}
    if not spec.submodule_search_locations:
        origin = Path(spec.origin or "")
        if not origin.is_file() or not _is_local(origin):
            return {}
        if origin.suffix == ".py":
            return {f"{root}.py": origin}
        return {origin.name: origin} if origin.suffix in COMPILED_SUFFIXES else {}
    found: dict[str, Path] = {}
    for folder in map(Path, spec.submodule_search_locations):
        for file in _walk(folder) if _is_local(folder) else ():
            found.setdefault(f"{root}/{file.relative_to(folder).as_posix()}", file)
    # Any folder may have the name of a module that is not installed.
    return found if any(file.suffix in (".py", *COMPILED_SUFFIXES) for file in found.values()) else {}


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder, without byte code, hidden files and virtual environments."""
    for here, folders, files in os.walk(folder):
        if "pyvenv.cfg" in files:
            folders.clear()
            continue
        folders[:] = sorted(each for each in folders if each[0] != "." and each not in SKIPPED_FOLDERS)
        for name in sorted(files):
            if name[0] != "." and not name.endswith((".pyc", ".pyo")):
                yield Path(here, name)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"Cannot read {file}, which the cell needs: {error.strerror}.", "Check its permissions."
        ) from None


def _module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _data_files_named_in(source: bytes, path: str, file: Path) -> dict[str, Path]:
    """Return the files that a module may open relative to its ``__file__``.

    These are the files and folders that its string literals name, in its own folder or in one between that and the
    folder on ``sys.path``.

    Args:
        source: Source of the module.
        path: Path relative to a folder on ``sys.path``.
        file: Path of the module.
    """
    names = _possible_file_names(source)
    if not names:
        return {}
    found = {}
    places = [path.rpartition("/")[0]]
    while places[-1]:
        places.append(places[-1].rpartition("/")[0])
    for place, folder in zip(places, file.parents, strict=False):
        for each in sorted(names):
            named = folder / each
            files = [named] if named.is_file() else []
            if named.is_dir():
                files = [named / other for other in names if (named / other).is_file()] or [*_walk(named)]
            for one in files:
                if one.suffix != ".py":
                    relative = one.relative_to(folder).as_posix()
                    found[f"{place}/{relative}" if place else relative] = one
    return found


@functools.lru_cache(CACHED_SOURCES)
def _possible_file_names(source: bytes) -> frozenset[str]:
    """Return the string literals that may name files next to a module; none if it does not use ``__file__``."""
    if b"__file__" not in source:
        return frozenset()
    try:
        literals = _strings(ast.parse(source))
    except (SyntaxError, ValueError):
        return frozenset()
    return frozenset(
        literal
        for literal in literals
        if not literal.startswith(("/", "."))
        and ".." not in literal
        and literal.isprintable()  # a lone surrogate is not
        and len(literal.encode()) <= MAX_NAME_BYTES
    )


def _metadata(files: Files) -> dict[str, Path]:
    """Return the metadata of the modules' editable installs: version, entry points and top-level names.

    Args:
        files: The sources.
    """
    sources = {path.partition("/")[0].removesuffix(".py"): Path(file) for path, (file, _) in files.items()}
    found = {}
    for folder in map(Path, dict.fromkeys(sys.path)):
        for info in _metadata_folders(folder):
            if _describes(info, sources):
                files_of_info = [info / name for name in METADATA_FILES if (info / name).is_file()]
                found.update({f"{info.name}/{file.name}": file for file in files_of_info})
    return found


def _metadata_folders(folder: Path) -> list[Path]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []  # not a folder
    return [folder / name for name in sorted(names) if name.endswith((".dist-info", ".egg-info"))]


def _describes(info: Path, sources: Mapping[str, Path]) -> bool:
    """Return whether metadata belong to the editable install of a local module.

    Args:
        info: Folder of the metadata.
        sources: One source of each top-level module.
    """
    try:
        if not INSTALLED & set(info.parts):
            return any(root in sources for root in (info / "top_level.txt").read_text().split())
        about = json.loads((info / "direct_url.json").read_text())
        project = Path(unquote(urlsplit(about["url"]).path)).resolve()
        editable = bool(about.get("dir_info", {}).get("editable"))
        return editable and any(each.resolve().is_relative_to(project) for each in sources.values())
    except (OSError, ValueError, KeyError, AttributeError):
        return False  # installed in another way, or broken


def _add_data(found: LocalModules, data: Mapping[str, Path], room: int) -> None:
    """Add data files, small ones first, and name those that do not fit."""
    sizes = {path: file.stat().st_size for path, file in data.items() if file.is_file()}
    left_out = []
    for path in sorted(sizes, key=lambda each: (sizes[each], each)):
        size = sizes[path]
        if size > room or len(found.files) >= MAX_DATA_FILES:
            left_out.append(f"{path} ({size / 2**20:.1f} MiB)")
            continue
        try:
            found.files[path] = str(data[path]), data[path].read_bytes()
        except OSError as error:
            left_out.append(f"{path} ({error.strerror})")
            continue
        room -= size
    if left_out:
        more = f" and {len(left_out) - MAX_NAMED_FILES} more" if len(left_out) > MAX_NAMED_FILES else ""
        named = ", ".join(left_out[-MAX_NAMED_FILES:][::-1])  # the largest ones
        found.notes.append(
            f"Data files of your modules that were not sent: {named}{more}. At most {MAX_SOURCE_BYTES >> 20} MiB of "
            f"modules are sent. Mount a volume that has the files, or read them in the notebook."
        )
    compiled = sorted(path for path in sizes if path.endswith(COMPILED_SUFFIXES))
    if compiled:
        found.warnings.append(
            f"{', '.join(compiled)}: compiled for this machine. The import fails in an image with another version of "
            "Python, processor or C library; install the package in the image then."
        )


def _spec(root: str) -> ModuleSpec | None:
    if (
        not root.isidentifier()
        or root in NEVER_SENT
        or root in sys.builtin_module_names
        or root in sys.stdlib_module_names
    ):
        return None
    if root in sys.modules:
        spec: ModuleSpec | None = getattr(sys.modules[root], "__spec__", None)
        return spec
    try:
        return find_spec(root)  # with the finders of editable installs
    except Exception as error:  # noqa: BLE001 -- raised by anybody's finder
        log.debug("A finder fails for the module %s: %s", root, error)
        return None


def _spec_of_script(root: str) -> ModuleSpec | None:
    """Return a spec for a module that was executed from a file without the import system."""
    file = getattr(sys.modules.get(root), "__file__", None)
    if root in NEVER_SENT or root in sys.stdlib_module_names or not isinstance(file, str):
        return None
    return ModuleSpec(root, None, origin=file)


def _is_local(path: Path) -> bool:
    here = path.resolve()
    if INSTALLED & set(here.parts):
        return False
    standard = (Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
    return not any(here.is_relative_to(each) for each in standard)


def _stale(name: str, source: bytes) -> bool:
    """Return whether functions of a loaded module differ from those in its current file."""
    module = sys.modules.get(name)
    if module is None:
        return False
    now = _functions(name, source)
    if now is None:
        return True
    loaded = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, types.FunctionType) and value.__module__ == name
    }
    return any(
        value.__code__ != now.get(value.__code__.co_name)
        for value in loaded.values()
        if value.__qualname__ == value.__code__.co_name
    )


@functools.lru_cache(CACHED_SOURCES)
def _functions(name: str, source: bytes) -> dict[str, types.CodeType] | None:
    """Return the code of a module's functions by their names, None if the source does not compile."""
    try:
        code = compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    return {each.co_name: each for each in code.co_consts if isinstance(each, types.CodeType)}
