"""The program that a new runner is given: its modules and our cloudpickle, as one text. Pure."""

from __future__ import annotations

import ast
import functools
import marshal
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
    "blobs",
    "connection",
    "clients",
    "results",
    "log",
    "batch",
    "failure",
    "inputs",
    "left",
    "changes",
    "values",
    "imports",
    "ending",
    "steps",
    "worker",
    "supervisor",
)
# Not before a cell needs them: imported from what travelled, as cloudpickle is.
LATE = (
    "lines",
    "layout",
    "record",
    "command",
    "shell",
    "rich",
    "ipython",
    "figures",
    "standin",
    "packages",
)


@functools.cache
def boot_program() -> str:
    """Returns the first program of the primary container, without its comments."""
    tree = ast.parse((FOLDER / "boot.py").read_text())
    tree.body.pop(0)  # the docstring
    return ast.unparse(tree)


# Makes the modules of a package that is on no disk; the supervisor takes over at the end.
LOADER = """
import marshal, sys, types
package = types.ModuleType('_podtask_runner')
package.__path__, package.travelled = [], TRAVELLED
def code(made, name):
    if isinstance(made, bytes):
        return marshal.loads(made)
    return compile(made, '<podtask runner>/' + name + '.py', 'exec')
package.code = code
sys.modules['_podtask_runner'] = package
for name, made in SOURCES.items():
    module = types.ModuleType('_podtask_runner.' + name)
    module.__package__ = '_podtask_runner'
    sys.modules[module.__name__] = module
    setattr(package, name, module)
    exec(code(made, name), module.__dict__)
package.supervisor.main(listener, sock, prove, wait, given)
"""


@functools.cache
def runner_program(compiled: bool) -> bytes:
    """Returns what a new runner is given: its modules, and our cloudpickle, as one program.

    Args:
        compiled: as byte code of this Python's minor version, which saves the pod some 50 ms.
    """
    import cloudpickle

    def made(path: Path, name: str) -> str | bytes:
        text = path.read_text()
        if not compiled:
            return text
        return marshal.dumps(compile(text, f"<podtask runner>/{name}.py", "exec"))

    sources = {name: made(FOLDER / f"{name}.py", name) for name in MODULES}
    theirs = Path(cloudpickle.__file__).parent
    travelled = {"cloudpickle": made(theirs / "__init__.py", "cloudpickle")}
    for path in sorted(theirs.glob("cloudpickle*.py")):
        name = f"cloudpickle.{path.stem}"
        travelled[name] = made(path, name)
    for name in LATE:
        travelled[f"_podtask_runner.{name}"] = made(FOLDER / f"{name}.py", name)
    program = f"SOURCES = {sources!r}\nTRAVELLED = {travelled!r}\n{LOADER}"
    return zlib.compress(program.encode())
