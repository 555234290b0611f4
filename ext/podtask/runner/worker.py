"""Executes a cell in the real ``__main__`` of its own process and packs what comes of it.

Module code, not the body of a function: ``x = x + 1`` works, and functions see the cell's
variables. The last expression is shown, as a notebook does.
"""

import ast
import os
import signal
import sys
import time
import types
from typing import IO, TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from . import failure, inputs, values, wire
from .output import Emitter, Shield, streams
from .shims import Front, bundle

if TYPE_CHECKING:
    from .child import Child

CO_COROUTINE = 0x80  # inspect.CO_COROUTINE


def main(job: Dict[str, Any], given: Optional[int], child: "Child") -> int:
    """Runs the job in this (forked) process; returns its exit code.

    Args:
        job: the meta of the run frame.
        given: descriptor of the pickled inputs.
        child: the pipes and the file for results.
    """
    shield = Shield()
    emitter = Emitter(shield, child.events_end, child.lock.fileno(), child.taps)
    sys.stdout, sys.stderr = streams(emitter)
    front = Front(emitter, child.replies_end)
    front.install()
    # In threads too: what a thread prints belongs to the cell.
    signal.signal(signal.SIGINT, shield.on_interrupt)
    signal.signal(signal.SIGTERM, shield.on_interrupt)
    package: Any = sys.modules[__package__ or ""]
    sys.meta_path.insert(0, Travelled(package.travelled))
    sys.meta_path.append(Travelled(package.standins))
    os.environ.update(job["env"])
    cell = Cell(job, given)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    start = time.perf_counter()
    value, error = cell.run(shield)
    if error is None and value is not None:
        error = cell.show(front, value)
    sys.stdout.flush()
    sys.stderr.flush()
    end = cell.pack(child.results, value, error)
    end["seconds"] = round(time.perf_counter() - start, 6)
    emitter.emit(wire.END, end)
    return 0 if error is None else 1


class Cell:
    """The code of one cell with its namespace.

    Args:
        job: the meta of the run frame.
        given: descriptor of the pickled inputs, None where there are none.
    """

    def __init__(self, job: Dict[str, Any], given: Optional[int]) -> None:
        self._job = job
        self._inputs = given
        self._module = types.ModuleType("__main__")
        self._stage = "load"
        self._given: Dict[str, int] = {}  # name -> id of what came in
        self.namespace = self._module.__dict__
        self.namespace["__builtins__"] = sys.modules["builtins"]

    def run(self, shield: Shield) -> Tuple[Any, Optional[BaseException]]:
        """Returns the value of the last expression and the error, if there was one."""
        sys.modules["__main__"] = self._module
        try:
            with shield.lifted():
                self._load()
                self._stage = "run"
                return self._execute(), None
        except BaseException as error:  # SystemExit and KeyboardInterrupt are results too
            return None, error

    def show(self, front: Front, value: Any) -> Optional[BaseException]:
        """Displays the last expression; returns the error of a broken ``__repr__``."""
        try:
            with front.shield.lifted():
                front.show(*bundle(value), result=True)
        except BaseException as error:
            return error
        return None

    def _load(self) -> None:
        inputs.load(self._job, self._inputs, self.namespace)
        self._given = {name: id(value) for name, value in self.namespace.items()}

    def _execute(self) -> Any:
        source, filename = self._job["source"], self._job["filename"]
        inputs.remember(filename, source)
        tree = ast.parse(source, filename)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        if last is not None and self._job.get("quiet"):
            tree.body.append(last)
            last = None
        self._step(tree, filename, "exec")
        if isinstance(last, ast.Expr):
            return self._step(ast.Expression(last.value), filename, "eval")
        return None

    def _step(self, tree: Any, filename: str, mode: str) -> Any:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(tree, filename, mode, flags, dont_inherit=True)
        if code.co_flags & CO_COROUTINE:
            import asyncio  # not before it is needed: it takes longer than most cells

            return asyncio.run(_awaited(eval(code, self.namespace)))
        if mode == "eval":
            return eval(code, self.namespace)
        exec(code, self.namespace)
        return None

    def pack(self, file: IO[bytes], value: Any, error: Optional[BaseException]) -> Dict[str, Any]:
        """Pickles what goes back; returns the meta of the end frame."""
        end: Dict[str, Any] = {"status": "ok" if error is None else "error"}
        last: List[values.Item] = []
        if error is not None:
            errors = failure.chain(error)
            end["error"] = failure.describe(errors, self._stage)
            last = [
                ("error", str(place), failure.portable(each)) for place, each in enumerate(errors)
            ]
        elif value is not None:
            last = [("result", "", value)]
        return {**end, **values.pack_values(self._job, file, self.namespace, self._given, last)}


class Travelled:
    """Finds modules in what came with the runner.

    First of all cloudpickle, before any copy of the image's: pickles are not compatible between
    its major versions, so both ends use the notebook's. Last of all stand-ins.

    Args:
        made: module -> its source or byte code.
    """

    def __init__(self, made: Dict[str, Any]) -> None:
        self._made = made

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self._made:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self, is_package=name == "cloudpickle")  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> None:
        """Leaves the making to the import system."""

    def exec_module(self, module: Any) -> None:
        made = self._made[module.__name__]
        exec(sys.modules[__package__ or ""].code(made, module.__name__), module.__dict__)


async def _awaited(thing: Any) -> Any:
    return await thing
