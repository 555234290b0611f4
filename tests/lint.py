"""Check the rules of this project that no other tool knows: ``python -m tests.lint``.

* A module begins with a docstring.
* A package says in ``__all__`` which of its modules others may import; nobody imports another one.
* The runner's bundle names every module of its folder.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from podtask.runner.bundle import FOLDER, LATE_MODULES, MODULES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ext" / "podtask"
SOURCES = ("ext", "widgets", "tests", "notebooks", "docs")


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Yield each Python file below the folders, with its syntax tree."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ".ipynb_checkpoints" not in path.parts and "_build" not in path.parts:
                yield path, ast.parse(path.read_text(), str(path))


def missing_docstrings() -> Iterator[str]:
    """Yield a line for each module without a docstring; an empty ``__init__`` of the tests may have none."""
    for path, tree in sources(*SOURCES):
        if tree.body and not ast.get_docstring(tree):
            yield f"{path.relative_to(ROOT)}: has no docstring"


def faces() -> dict[str, set[str]]:
    """Return package -> the modules that other packages may import."""
    found = {}
    for init in PACKAGE.rglob("__init__.py"):
        package = ".".join(("podtask", *init.parent.relative_to(PACKAGE).parts))
        for node in ast.parse(init.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                found[package] = set(ast.literal_eval(node.value))
    return found


def imported(path: Path, tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield (line, package, module) for each module of a package of podtask that a file imports."""
    top = next(each for each in (PACKAGE.parent, ROOT / "widgets") if path.is_relative_to(each))
    here = list(path.relative_to(top).with_suffix("").parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            parents = here[: len(here) - node.level + 1] if node.level else []
            origin = [*parents, *(node.module or "").split(".")] if node.module else parents
            for alias in node.names:
                full = [*origin, alias.name]
                for depth in range(2, len(full)):
                    yield node.lineno, ".".join(full[:depth]), full[depth]


def private_imports() -> Iterator[str]:
    """Yield a line for each import of a module that another package keeps to itself."""
    public = faces()
    for path, tree in sources("ext", "widgets"):
        own = ".".join(path.relative_to(PACKAGE.parent).parts[:-1]) if path.is_relative_to(PACKAGE) else ""
        for line, package, module in imported(path, tree):
            inside = f"{own}.".startswith(f"{package}.")
            is_module = (PACKAGE.parent.joinpath(*package.split("."), f"{module}.py")).exists()
            if package in public and is_module and not inside and module not in public[package]:
                yield f"{path.relative_to(ROOT)}:{line}: {package}.{module} is not in __all__ of {package}"


def missing_faces() -> Iterator[str]:
    """Yield a line for each package without ``__all__``, and for each name in one that is no module."""
    public = faces()
    for init in sorted(PACKAGE.rglob("*/__init__.py")):
        package = ".".join(("podtask", *init.parent.relative_to(PACKAGE).parts))
        if package not in public:
            yield f"{init.relative_to(ROOT)}: has no __all__"
        for name in sorted(public.get(package, ())):
            if not (init.parent / f"{name}.py").exists() and not (init.parent / name).is_dir():
                yield f"{init.relative_to(ROOT)}: there is no module {name}"


def missing_in_the_bundle() -> Iterator[str]:
    """Yield a line for each module of the runner that would be left behind."""
    there = {
        ".".join(path.relative_to(FOLDER).with_suffix("").parts)
        for path in FOLDER.rglob("*.py")
        if path.stem != "__init__"
    }
    for name in sorted(there - {"boot", "bundle"} ^ {*MODULES, *LATE_MODULES}):
        yield f"ext/podtask/runner/bundle.py: names {name}, or lacks it"


CHECKS = (missing_docstrings, missing_faces, private_imports, missing_in_the_bundle)


def main() -> int:
    """Print what is wrong, a line each; return the exit code."""
    lines = [line for check in CHECKS for line in check()]
    print("\n".join(lines) or "Own rules: nothing found.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
