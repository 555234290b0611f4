"""Helpers for tests of pickles: the pod's side of the inputs, and special values."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import functools
import io
import json
import linecache
import os
import pickle
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podtask.pickling.inputs import Inputs
from podtask.pickling.outputs import unpack
from podtask.runner.bundle import FOLDER
from podtask.runner.protocol import ROLE_CHANGES, ROLE_DEFINITIONS
from podtask.runner.reducers import identity
from podtask.runner.worker.changes import InputSnapshot
from podtask.runner.worker.inputs import InputFile, load
from podtask.runner.worker.outputs import ResultWriter, pack_values

if TYPE_CHECKING:
    import pytest  # other interpreters, which lack it, import this module, too

OTHER = "3.9"  # a minor version that no notebook uses
FILE = "<cell {}>"
# The program of the other interpreter. It imports the runner's modules once. Each request is a line with the
# environment, the working directory and some cells, then the bytes of their inputs; a fork loads the inputs like the
# runner and executes the cells. The answer is a line with the status, the output and the errors of the fork.
REMOTE = """
import json, os, sys, tempfile, traceback, types
sys.modules["_podtask_runner"] = package = types.ModuleType("_podtask_runner")
package.__path__ = [sys.argv[1]]
from _podtask_runner.worker import inputs

def run(cells):
    for about, data, cell in cells:
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        with tempfile.TemporaryFile() as file, tempfile.TemporaryDirectory() as about["folder"]:
            file.write(data)
            file.flush()
            source = inputs.InputFile(file.fileno(), len(data), arrival_fd=-1) if data else None
            inputs.load(about, source, vars(main), lambda name: None)
            exec(cell, vars(main))

for line in sys.stdin.buffer:
    request = json.loads(line)
    cells = [(about, sys.stdin.buffer.read(size), cell) for about, size, cell in request["cells"]]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            status = 1
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.chdir(request["folder"])
            os.environ.clear()
            os.environ.update(request["environment"])
            try:
                run(cells)
                status = 0
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        answer = [status, out.read().decode(), err.read().decode()]
    print(json.dumps(answer), flush=True)
"""


@functools.cache
def _interpreter(python: str | Path) -> subprocess.Popen[bytes]:
    """Return the process that forks for each call of `remote_all`; it ends with the tests."""
    command = [python, "-c", REMOTE, str(FOLDER)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(process.communicate)
    return process


def remote(inputs: Inputs, cell: str, python: str | Path = sys.executable) -> str:
    """Return the output of a cell that runs in a new process of an interpreter with these inputs."""
    return remote_all([(inputs, cell)], python)


def remote_all(jobs: Sequence[tuple[Inputs, str]], python: str | Path = sys.executable) -> str:
    """Return the output of cells, each with its inputs and a namespace of its own, in a new process.

    Raises:
        AssertionError: A cell raised an error; the message is what the process printed.
    """
    data = [b"".join(inputs.parts) for inputs, _ in jobs]
    cells = [(inputs.about, len(each), cell) for (inputs, cell), each in zip(jobs, data, strict=True)]
    request = {"cells": cells, "folder": os.getcwd(), "environment": dict(os.environ)}
    process = _interpreter(python)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request).encode() + b"\n" + b"".join(data))
    process.stdin.flush()
    status, output, errors = json.loads(process.stdout.readline())
    assert status == 0, errors
    return str(output)


@contextlib.contextmanager
def notebook_cells(patch: pytest.MonkeyPatch) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Yield a function that runs a cell as IPython does, in ``__main__`` and with its source in linecache."""
    main = types.ModuleType("__main__")
    patch.setitem(sys.modules, "__main__", main)
    namespace = main.__dict__
    names: list[str] = []

    def run(source: str) -> dict[str, Any]:
        name = FILE.format(len(names) + 1)
        names.append(name)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), namespace)
        return namespace

    yield run
    for name in names:
        linecache.cache.pop(name, None)


def definitions(inputs: Inputs) -> list[Any]:
    """Return the steps that are sent as source."""
    return [step for step in inputs.about["steps"] if not isinstance(step, str)]


class Pod:
    """The worker's side of a cell in this process: its own ``__main__``, its own numbers of objects.

    Args:
        inputs: The inputs of the cell.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.module = types.ModuleType("__main__")
        self.module.__dict__["__builtins__"] = builtins
        self._numbers = identity.ObjectNumbers()
        with self.process(), tempfile.TemporaryFile() as file:
            file.write(b"".join(inputs.parts))
            file.flush()
            source = InputFile(file.fileno(), file.tell(), arrival_fd=-1) if inputs.parts else None
            load(inputs.about, source, self.names, lambda name: None)
            self._before = InputSnapshot(self.names, inputs.about["watched"])

    @property
    def names(self) -> dict[str, Any]:
        """The namespace of the cell."""
        return self.module.__dict__

    @contextlib.contextmanager
    def process(self) -> Iterator[None]:
        """Do what follows as the worker would."""
        main, numbers = sys.modules["__main__"], identity.NUMBERS
        sys.modules["__main__"], identity.NUMBERS = self.module, self._numbers
        try:
            yield
        finally:
            sys.modules["__main__"], identity.NUMBERS = main, numbers

    def run(self, cell: str) -> None:
        """Execute a cell."""
        with self.process():
            exec(compile(cell, "<cell of the pod>", "exec"), self.names)

    def pack(
        self, outputs: Any, last: Sequence[tuple[str, str, Any]] = (), mode: str = "pickle"
    ) -> tuple[list[bytearray], dict[str, Any]]:
        """Return the parts and the description of a result.

        Args:
            outputs: Names that come back, or "auto".
            last: The last value, or errors: (role, name, value).
            mode: "data" for another version of Python.
        """
        file = io.BytesIO()
        with self.process():
            end = pack_values(
                {"outputs": outputs, "mode": mode}, ResultWriter([file]), self.names, self._before, list(last)
            )
        view = memoryview(file.getvalue())
        parts = []
        for size in end["sizes"]:
            parts.append(bytearray(view[:size]))
            view = view[size:]
        return parts, end

    @staticmethod
    def unpack(parts: list[bytearray], end: dict[str, Any]) -> dict[str, Any]:
        """Return the values that come back, by name.

        The last one is ``_``, errors are ``error 0`` and so on, and the list of what the cell changed on
        classes and functions of the notebook is ``changes``.
        """
        found: dict[str, Any] = {"changes": []}
        for item, value in zip(end["packed"], unpack(parts, end["packed"]), strict=True):
            name = f"error {item['name']}" if item["role"] == "error" else item["name"] or "_"
            if item["role"] == ROLE_CHANGES:
                found["changes"].append(value)
            elif item["role"] != ROLE_DEFINITIONS:
                found[name] = value
        return found


class Array:
    """Object with a buffer that pickles like a numpy array."""

    def __init__(self, data: Any) -> None:
        self.data = data if isinstance(data, memoryview) else memoryview(bytearray(data))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Array._make, (pickle.PickleBuffer(self.data),)

    @staticmethod
    def _make(buffer: Any) -> Array:
        return Array(memoryview(buffer))


class Raising:
    """Object that raises an error when it is unpickled."""

    def __reduce__(self) -> Any:
        return int, ("no number",)
