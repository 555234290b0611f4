"""Check the rules of this project that ruff and mypy do not check: ``python -m tests.lint``.

* A module begins with a docstring.
* A package lists its public modules in ``__all__``, and other packages import only these.
* The runner's bundle names every module of its folder.
* An import inside a function has a comment with its reason: start-up cost, or an optional library.
* Classes, functions and attributes have conventional names instead of literary ones.
* Sentences are in plain English: none has one of the forms in ``PHRASES``.
"""

from __future__ import annotations

import ast
import functools
import re
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
        yield from _trees(folder)


@functools.cache
def _trees(folder: str) -> list[tuple[Path, ast.Module]]:
    return [
        (path, ast.parse(path.read_text(), str(path)))
        for path in sorted((ROOT / folder).rglob("*.py"))
        if ".ipynb_checkpoints" not in path.parts and "_build" not in path.parts
    ]


@functools.cache
def nodes(tree: ast.Module) -> list[ast.AST]:
    """Return all nodes of a module, those outside first."""
    return list(ast.walk(tree))


def missing_docstrings() -> Iterator[str]:
    """Yield a line for each module without a docstring; an empty ``__init__`` in the tests needs none."""
    for path, tree in sources(*SOURCES):
        if tree.body and not ast.get_docstring(tree):
            yield f"{path.relative_to(ROOT)}: has no docstring"


def public_modules() -> dict[str, set[str]]:
    """Return the public modules of each package: those in its ``__all__``."""
    found = {}
    for init in PACKAGE.rglob("__init__.py"):
        package = ".".join(("podtask", *init.parent.relative_to(PACKAGE).parts))
        for node in ast.parse(init.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                found[package] = set(ast.literal_eval(node.value))
    return found


def podtask_imports(path: Path, tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield (line, package, module) for each import of a module of podtask in a file."""
    top = next(each for each in (PACKAGE.parent, ROOT / "widgets") if path.is_relative_to(each))
    here = list(path.relative_to(top).with_suffix("").parts[:-1])
    for node in nodes(tree):
        if isinstance(node, ast.ImportFrom):
            parents = here[: len(here) - node.level + 1] if node.level else []
            origin = [*parents, *(node.module or "").split(".")] if node.module else parents
            for alias in node.names:
                full = [*origin, alias.name]
                for depth in range(2, len(full)):
                    yield node.lineno, ".".join(full[:depth]), full[depth]


def private_imports() -> Iterator[str]:
    """Yield a line for each import of a module that is private to another package."""
    public = public_modules()
    for path, tree in sources("ext", "widgets"):
        own = ".".join(path.relative_to(PACKAGE.parent).parts[:-1]) if path.is_relative_to(PACKAGE) else ""
        for line, package, module in podtask_imports(path, tree):
            inside = f"{own}.".startswith(f"{package}.")
            is_module = (PACKAGE.parent.joinpath(*package.split("."), f"{module}.py")).exists()
            if package in public and is_module and not inside and module not in public[package]:
                yield f"{path.relative_to(ROOT)}:{line}: {package}.{module} is not in __all__ of {package}"


def missing_all() -> Iterator[str]:
    """Yield a line for each package without ``__all__``, and for each entry that is not a module."""
    public = public_modules()
    for init in sorted(PACKAGE.rglob("*/__init__.py")):
        package = ".".join(("podtask", *init.parent.relative_to(PACKAGE).parts))
        if package not in public:
            yield f"{init.relative_to(ROOT)}: has no __all__"
        for name in sorted(public.get(package, ())):
            if not (init.parent / f"{name}.py").exists() and not (init.parent / name).is_dir():
                yield f"{init.relative_to(ROOT)}: there is no module {name}"


def missing_in_the_bundle() -> Iterator[str]:
    """Yield a line for each module of the runner that the bundle does not list, and the reverse."""
    there = {
        ".".join(path.relative_to(FOLDER).with_suffix("").parts)
        for path in FOLDER.rglob("*.py")
        if path.stem != "__init__"
    }
    for name in sorted(there - {"boot", "bundle", "log_lines"} ^ {*MODULES, *LATE_MODULES}):
        yield f"ext/podtask/runner/bundle.py: names {name}, or lacks it"


# Former names in this code that were replaced with conventional ones (TaskFollower, Backend, ...).
FORMER_NAMES = frozenset(
    """
    Pursuit Ears Placement Readout Reach Removal see_off Verdict Greeting Heard Refused Feed Rows Roster Row
    Invocation Swept sweep settled possible Raw Given Travelled Below Then Local Opinion Place Kept Looks Half
    left called patience packing abandon farewell mourn Course Fresh Reattached Begun Talk Ending Glimpse
    Unheard unheard Tally Work Front Shield Emitter Finding Mark MARK MARKS culprit lacks of_name few worded
    laid_out yes of changed say do what place ASK REPLY CLEAR END FAIL BYE MOST LONGEST
    """.split()  # noqa: SIM905 -- a list of a hundred quoted words reads worse
)
# Documented for users, so they are allowed.
PUBLIC_NAMES = frozenset({"PodTemplate.of", "RunOptions.of", "Cell.of", "Task.called"})


def defined_names(tree: ast.AST, owner: str = "") -> Iterator[tuple[int, str, str]]:
    """Yield (line, name, qualified name) of each class, function, attribute and constant of a module.

    The name of a class or a function has no underscores at its start, because readers search for private ones, too.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.expr):
            continue
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.name.lstrip("_"), f"{owner}{node.name}"
            inside = f"{owner}{node.name}." if isinstance(node, ast.ClassDef) else owner
            yield from defined_names(node, inside)
            continue
        if isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                is_field = isinstance(tree, (ast.ClassDef, ast.Module)) and isinstance(target, ast.Name)
                if is_field and isinstance(target, ast.Name):
                    yield node.lineno, target.id, f"{owner}{target.id}"
                elif isinstance(target, ast.Attribute):
                    yield node.lineno, target.attr, f"{owner}{target.attr}"
        yield from defined_names(node, owner)


def unconventional_names() -> Iterator[str]:
    """Yield a line for each definition with a name that a reader would not search for."""
    for path, tree in sources("ext", "widgets", "tests"):
        for line, name, qualified in defined_names(tree):
            if (name in FORMER_NAMES or re.match("(MOST|LONGEST)_", name)) and qualified not in PUBLIC_NAMES:
                yield f"{path.relative_to(ROOT)}:{line}: {qualified} is not a name of the field"


# Sentence forms that a native engineer would not write, and the form to write instead.
PHRASES = {
    r"(?<!here )\b(?:is|are|was|were) no (?!longer\b|more\b|such\b|need\b|\w+ (?:yet|way|reason)\b)[a-zA-Z]": "is not a",
    r"\b[Mm]end(?:s|ed|ing)?\b": "fix",
    r"\b(?:is|are|was|were) not reached\b": "cannot reach",
    r"\b(?:has|have|had) not (?:the|a)\b": "does not have",
    r'"""Returns ': "Return ...",
    r'"""(?:Gives|Says|Makes|Shows|Tells|Yields|Raises|Runs|Does|Sends) ': "the imperative",
}
PROSE = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/**/*.md", "notebooks/*.ipynb")
CODE = ("ext/**/*.py", "widgets/**/*.py", "tests/**/*.py", "docs/*.py", "notebooks/*.py")


def unclear_sentences() -> Iterator[str]:
    """Yield a line for each sentence in code and documentation that has a banned form."""
    for pattern in (*PROSE, *CODE):
        for path in sorted(ROOT.glob(pattern)):
            if path == Path(__file__) or {"executed", "_build"} & set(path.parts) or not path.is_file():
                continue
            text = path.read_text()
            forms = [form for form in PHRASES if re.search(form, text)]
            for number, line in enumerate(text.splitlines() if forms else (), 1):
                for form in forms:
                    found = re.search(form, line)
                    if found:
                        plain = PHRASES[form]
                        yield f"{path.relative_to(ROOT)}:{number}: {found[0]!r}: write {plain!r}"


REASONS = re.compile(r"#.*\b(?:start-up cost|optional)", re.IGNORECASE)


def late_imports() -> Iterator[str]:
    """Yield a line for each import inside a function without a comment that gives the reason."""
    for path, tree in sources("ext", "widgets"):
        lines = path.read_text().splitlines()
        imports = [each for each in nodes(tree) if isinstance(each, (ast.Import, ast.ImportFrom))]
        for function in nodes(tree):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            reason = False
            last = 0
            for node in sorted(
                (each for each in imports if function.lineno <= each.lineno <= (function.end_lineno or 0)),
                key=lambda each: each.lineno,
            ):
                end = node.end_lineno or node.lineno
                near = lines[node.lineno - 2 : end]
                between = lines[last : node.lineno - 1]
                # One comment is enough for consecutive imports.
                reason = any(map(REASONS.search, near)) or (reason and not any(map(str.strip, between)))
                last = end
                if not reason:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}: an import inside a function gives its reason"


def dead_references() -> Iterator[str]:
    """Yield a line for each file name in a docstring or comment that does not exist."""
    there = [path.as_posix() for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    for folder in ("ext", "widgets"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                for name in re.findall(r"``([\w/]+\.py)``", line):
                    if not any(f"/{each}".endswith(f"/{name}") for each in there):
                        yield f"{path.relative_to(ROOT)}:{number}: there is no {name}"


CHECKS = (
    missing_docstrings,
    missing_all,
    private_imports,
    missing_in_the_bundle,
    late_imports,
    unconventional_names,
    unclear_sentences,
    dead_references,
)


def main() -> int:
    """Print the violations, one per line, and return the exit code."""
    lines = [line for check in CHECKS for line in check()]
    print("\n".join(lines) or "Own rules: nothing found.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
