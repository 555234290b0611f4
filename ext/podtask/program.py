"""The program that a new runner is given: its modules and our cloudpickle, as one text. Pure."""

from __future__ import annotations

import ast
import functools
import zlib
from pathlib import Path

FOLDER = Path(__file__).parent / "runner"
# In the order of their imports.
MODULES = (
    "wire",
    "spool",
    "output",
    "pack",
    "shims",
    "child",
    "ending",
    "log",
    "worker",
    "connection",
    "supervisor",
)


@functools.cache
def boot_program() -> str:
    """Returns the first program of the primary container, without its comments."""
    tree = ast.parse((FOLDER / "boot.py").read_text())
    tree.body.pop(0)  # the docstring
    return ast.unparse(tree)


@functools.cache
def runner_program() -> bytes:
    """Returns what a new runner is given: its modules, and our cloudpickle, as one program."""
    import cloudpickle

    sources = {name: (FOLDER / f"{name}.py").read_text() for name in MODULES}
    theirs = Path(cloudpickle.__file__).parent
    travelled = {"cloudpickle": (theirs / "__init__.py").read_text()}
    for path in sorted(theirs.glob("cloudpickle*.py")):
        travelled[f"cloudpickle.{path.stem}"] = path.read_text()
    text = (
        f"SOURCES = {sources!r}\nTRAVELLED = {travelled!r}\n"
        "import sys, types\n"
        "package = types.ModuleType('_podtask_runner')\n"
        "package.__path__, package.travelled = [], TRAVELLED\n"
        "sys.modules['_podtask_runner'] = package\n"
        "for name, source in SOURCES.items():\n"
        "    module = types.ModuleType('_podtask_runner.' + name)\n"
        "    module.__package__ = '_podtask_runner'\n"
        "    sys.modules[module.__name__] = module\n"
        "    setattr(package, name, module)\n"
        "    exec(compile(source, '<podtask runner>/' + name + '.py', 'exec'), module.__dict__)\n"
        "package.supervisor.main(listener, sock, prove)\n"
    )
    return zlib.compress(text.encode(), 9)
