"""The user's own modules: which of those that a cell needs are in no package, and their source.

They travel with the cell, so that what runs in the pod is what the notebook has.
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

LIMIT = 8 << 20  # bytes of source
INSTALLED = {"site-packages", "dist-packages"}
OURS = {"podtask", "podtask_widgets", "__main__"}
Sources = dict[str, tuple[bool, str, str]]


def local_sources(names: Iterable[str]) -> tuple[Sources, tuple[str, ...]]:
    """Return the local modules among names, with those that they import, and notes.

    Args:
        names: of modules.

    Returns:
        module -> (is a package, filename, source), whole packages; and a line for each module
        whose file has changed since it was imported here.

    Raises:
        InputError: they are over 8 MiB.
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
            todo += imported(source)
    size = sum(len(source) for _, _, source in found.values())
    if size > LIMIT:
        raise InputError(
            f"The local modules that the cell needs have {size >> 20} MiB of source, over "
            f"the limit of {LIMIT >> 20}: {', '.join(sorted({name.partition('.')[0] for name in found}))}.",
            "Install them in the image, or import less.",
        )
    notes = [
        f"{Path(filename).name} has changed since the notebook imported it: the pod gets the "
        "file as it is now. Reload it here to have the same."
        for name, (_, filename, source) in found.items()
        if _stale(name, source)
    ]
    return _with_parents(found), tuple(notes)


def imported(source: str) -> set[str]:
    """Return the top-level modules that a source imports, wherever it does."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return set()  # importing it says so
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def submodules(dotted: Iterable[str], namespace: Mapping[str, Any], source: str = "") -> tuple[str, ...]:
    """Return the modules below others that code uses and that something has imported here.

    In a kernel a package has as attributes whatever any cell, or module, has imported of it.

    Args:
        dotted: names with attributes, ``xml.dom.minidom``.
        namespace: what the names are.
        source: of the code; the modules that it imports itself are known by their names in it.
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
            module = vars(module).get(attribute)  # what is made when it is asked for, is there too
            if isinstance(module, types.ModuleType) and sys.modules.get(below) is module:
                found.add(below)
    return tuple(sorted(found))


def _modules_in(source: str) -> dict[str, Any]:
    """Return name -> module, of those that a source imports and that are loaded here."""
    found = {}
    for node in ast.walk(ast.parse(source)) if "import" in source else ():
        for each in node.names if isinstance(node, ast.Import) else ():
            root = each.name.partition(".")[0]
            found[each.asname or root] = sys.modules.get(each.name if each.asname else root)
    return found


def _files(root: str) -> list[tuple[str, Path, bool]]:
    """Return (module, file, is a package) of a local module, or of all in a local package."""
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
    """Add the packages that are folders without an ``__init__.py``."""
    for name in list(found):
        parts = name.split(".")
        for count in range(1, len(parts)):
            found.setdefault(".".join(parts[:count]), (True, "", ""))
    return found


def _spec(root: str) -> ModuleSpec | None:
    if root in OURS or root in sys.builtin_module_names or root in sys.stdlib_module_names:
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
    """Return whether functions of a loaded module are not those that its file has now."""
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
