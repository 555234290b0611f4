"""The user's own modules that a cell needs and that are not installed, with their source.

They are sent with the cell, so that the pod runs the same code as the notebook.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
import types
from collections.abc import Iterable, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from ..errors import InputError

MAX_SOURCE_BYTES = 8 << 20
INSTALLED = {"site-packages", "dist-packages"}
NEVER_SENT = {"podtask", "podtask_widgets", "__main__"}
Sources = dict[str, tuple[bool, str, str]]


def local_sources(names: Iterable[str]) -> tuple[Sources, tuple[str, ...]]:
    """Return the local modules among the given ones, with the local modules that they import.

    Args:
        names: Names of modules.

    Returns:
        For each module, including all modules of its package: whether it is a package, its
        filename and its source. And a note for each module whose file has changed since the
        notebook imported it.

    Raises:
        InputError: The modules are larger than 8 MiB together.
    """
    found: Sources = {}
    todo = [name.partition(".")[0] for name in names]
    done: set[str] = set()
    while todo:
        root = todo.pop()
        if root in done:
            continue
        done.add(root)
        for name, filename, package in _files(root):
            source = filename.read_text(encoding="utf-8", errors="replace")
            found[name] = package, str(filename), source
            todo += imported_modules(source)
    size = sum(len(source) for _, _, source in found.values())
    if size > MAX_SOURCE_BYTES:
        raise InputError(
            f"The local modules that the cell needs have {size >> 20} MiB of source, over "
            f"the limit of {MAX_SOURCE_BYTES >> 20} MiB: {', '.join(sorted({name.partition('.')[0] for name in found}))}.",
            "Install them in the image, or import fewer modules.",
        )
    notes = [
        f"{Path(filename).name} has changed since the notebook imported it. The pod gets the "
        "current file; reload the module here to use the same code."
        for name, (_, filename, source) in found.items()
        if _stale(name, source)
    ]
    return _with_parents(found), tuple(notes)


def imported_modules(source: str) -> set[str]:
    """Return the top-level modules imported anywhere in a source text."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return set()  # importing the module raises the error
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


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


def _files(root: str) -> list[tuple[str, Path, bool]]:
    """Return the name, file and package flag of a local module, or of all modules in a local package."""
    spec = _spec(root)
    if spec is None:
        return []
    if not spec.submodule_search_locations:
        origin = Path(spec.origin or "")
        return [(root, origin, False)] if origin.suffix == ".py" and _is_local(origin) else []
    found = []
    for folder in map(Path, spec.submodule_search_locations):
        for path in sorted(folder.rglob("*.py")) if _is_local(folder) else ():
            parts = path.relative_to(folder).with_suffix("").parts
            package = parts[-1] == "__init__"
            name = ".".join((root, *(parts[:-1] if package else parts)))
            found.append((name, path, package))
    return found


def _with_parents(found: Sources) -> Sources:
    """Add the namespace packages: folders without an ``__init__.py``."""
    for name in list(found):
        parts = name.split(".")
        for count in range(1, len(parts)):
            found.setdefault(".".join(parts[:count]), (True, "", ""))
    return found


def _spec(root: str) -> ModuleSpec | None:
    if root in NEVER_SENT or root in sys.builtin_module_names or root in sys.stdlib_module_names:
        return None
    loaded = sys.modules.get(root)
    return getattr(loaded, "__spec__", None) if loaded else PathFinder.find_spec(root)


def _is_local(path: Path) -> bool:
    here = path.resolve()
    if INSTALLED & set(here.parts):
        return False
    standard = (Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
    return not any(here.is_relative_to(each) for each in standard)


def _stale(name: str, source: str) -> bool:
    """Return whether functions of a loaded module differ from those in its current file."""
    module = sys.modules.get(name)
    if module is None:
        return False
    try:
        code = compile(source, name, "exec", dont_inherit=True)
    except SyntaxError:
        return True
    now = {each.co_name: each for each in code.co_consts if isinstance(each, types.CodeType)}
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
