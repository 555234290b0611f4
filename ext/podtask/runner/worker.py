"""Executes a cell in the real ``__main__`` of its own process and packs what comes of it.

Module code, not the body of a function: ``x = x + 1`` works, and functions see the cell's
variables. The last expression is shown, as a notebook does.
"""

import ast
import linecache
import mmap
import os
import pickle
import signal
import sys
import time
import traceback
import types
from typing import IO, TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from . import pack, wire
from .output import Emitter, Shield, streams
from .shims import Front, bundle

if TYPE_CHECKING:
    from .child import Child

OWN = "<podtask runner>"  # file names of the runner's modules in a pod begin so
RESULT_LIMIT = 64 << 20  # bytes of the last expression's value, unless it is asked for by name
LONGEST_TEXT = 64 << 10
MOST_FRAMES = 100
MOST_LEFT = 50
PLAIN = {bool, int, float, complex, str, bytes, type(None)}  # need no cloudpickle
CO_COROUTINE = 0x80  # inspect.CO_COROUTINE


class TooLarge(Exception):
    """A value is over its limit; it stays in the pod."""


class Limited:
    """A file that counts, and refuses to grow past a limit."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = 0
        self.limit = float("inf")

    def write(self, data: Any) -> int:
        with memoryview(data) as view:
            size = view.nbytes
            if self.size + size > self.limit:
                raise TooLarge
            rest = view.cast("B") if size else view
            while rest:
                rest = rest[self._file.write(rest) :]
        self.size += size
        return size

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.size = 0


def main(job: Dict[str, Any], inputs: Optional[int], child: "Child") -> int:
    """Runs the job in this (forked) process; returns its exit code.

    Args:
        job: the meta of the run frame.
        inputs: descriptor of the pickled inputs.
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
    sys.meta_path.insert(0, Travelled())
    os.environ.update(job["env"])
    cell = Cell(job, inputs)
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
        inputs: descriptor of the pickled inputs, None where there are none.
    """

    def __init__(self, job: Dict[str, Any], inputs: Optional[int]) -> None:
        self._job = job
        self._inputs = inputs
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
        if self._inputs is not None and self._job["inputs_size"]:
            with mmap.mmap(self._inputs, 0, access=mmap.ACCESS_READ) as view:
                self.namespace.update(pickle.loads(view))
        for source, filename in self._job.get("definitions", ()):
            _remember(filename, source)
            exec(compile(source, filename, "exec", dont_inherit=True), self.namespace)
        self._given = {name: id(value) for name, value in self.namespace.items()}

    def _execute(self) -> Any:
        source, filename = self._job["source"], self._job["filename"]
        _remember(filename, source)
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
        """Pickles what goes back, in one pickle stream; returns the meta of the end frame."""
        end: Dict[str, Any] = {"status": "ok" if error is None else "error"}
        new = [name for name, was in self.namespace.items() if self._given.get(name) != id(was)]
        new = [name for name in new if not name.startswith("_")]
        wanted = self._job.get("outputs") or []
        if wanted == "auto":
            wanted = [
                name for name in new if not isinstance(self.namespace[name], types.ModuleType)
            ]
        items: List[Tuple[str, str, Any]] = []
        missing = []
        for name in wanted:
            if name in self.namespace:
                items.append(("value", name, self.namespace[name]))
            else:
                missing.append(name)
        if error is not None:
            end["error"] = _describe(error, self._stage)
            items.append(("error", "", error.with_traceback(None)))
        elif value is not None:
            items.append(("result", "", value))
        end["packed"], end["kept"] = self._dump(Limited(file), items)
        end["missing"] = missing
        back = {item["name"] for item in end["packed"]}
        left = [name for name in new if name not in back]
        left = [name for name in left if not isinstance(self.namespace[name], types.ModuleType)]
        end["left"] = [[name, type(self.namespace[name]).__name__] for name in left[:MOST_LEFT]]
        return end

    def _dump(
        self, file: Limited, items: List[Tuple[str, str, Any]]
    ) -> Tuple[List[Dict[str, Any]], List[Dict[str, Any]]]:
        """Pickles items one after another with one memo; those that fail are named and left out."""
        kept: List[Dict[str, Any]] = []
        while True:
            file.restart()
            pickler: Any = (
                pickle.Pickler(file, protocol=pack.PROTOCOL)
                if self._job["mode"] == "data" or all(type(item[2]) in PLAIN for item in items)
                else pack.pickler(file, self.namespace, carry=False)
            )
            packed: List[Dict[str, Any]] = []
            for item in items:
                role, name, value = item
                about = {"role": role, "name": name, "type": type(value).__name__}
                start = file.size
                auto = role != "value" or self._job.get("outputs") == "auto"
                file.limit = start + RESULT_LIMIT if auto else float("inf")
                try:
                    pickler.dump(value)
                except TooLarge:
                    kept.append({**about, "why": f"over {RESULT_LIMIT >> 20} MiB"})
                except Exception as error:  # whatever a __reduce__ of the user's raises
                    kept.append({**about, "why": f"{type(error).__name__}: {error}"[:500]})
                else:
                    packed.append({**about, "size": file.size - start})
                    continue
                items.remove(item)  # its half in the memo is of no use: begin again
                break
            else:
                return packed, kept


class Travelled:
    """Finds cloudpickle in what came with the runner, before any copy of the image's.

    Pickles are not compatible between its major versions, so both ends use the notebook's.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in sys.modules[__package__ or ""].travelled:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self, is_package=name == "cloudpickle")  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> None:
        """Leaves the making to the import system."""

    def exec_module(self, module: Any) -> None:
        made = sys.modules[__package__ or ""].travelled[module.__name__]
        exec(sys.modules[__package__ or ""].code(made, module.__name__), module.__dict__)


async def _awaited(thing: Any) -> Any:
    return await thing


def _remember(filename: str, source: str) -> None:
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)


def _describe(error: BaseException, stage: str) -> Dict[str, Any]:
    """What the client shows of an error that it may not be able to unpickle."""
    frames = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        filename = frame.f_code.co_filename
        if not filename.startswith(OWN):
            frames.append([filename, line, frame.f_code.co_name])
    try:
        message = str(error)
    except Exception as broken:
        message = f"<{type(broken).__name__} in __str__>"
    kind = type(error)
    return {
        "type": kind.__name__,
        "module": kind.__module__,
        "message": message[:LONGEST_TEXT],
        "notes": [str(note)[:1000] for note in getattr(error, "__notes__", ())][:20],
        "frames": frames[:MOST_FRAMES],
        "stage": stage,
        "text": "".join(traceback.format_exception(kind, error, error.__traceback__))[
            :LONGEST_TEXT
        ],
    }
