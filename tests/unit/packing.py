"""Both sides of a pickle for the tests: what the runner does with inputs, a value with memory."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import Any

from podtask.pickling.inputs import Inputs

OTHER = "3.9"  # another minor version than any of a notebook
FILE = "<cell {}>"
# What the other side does, in a process of its own: the runner's loading, then the cell.
REMOTE = """
import json, sys, tempfile
from podtask.runner.worker import inputs
about, size, cell = json.loads(sys.stdin.buffer.readline())
with tempfile.TemporaryFile() as file:
    file.write(sys.stdin.buffer.read(size))
    file.flush()
    inputs.load(about, file.fileno() if size else None, globals(), lambda name: None)
exec(cell)
"""


def remote(inputs: Inputs, cell: str) -> str:
    """Return what a cell prints in a fresh interpreter that is given these inputs."""
    data = b"".join(inputs.parts)
    head = json.dumps([inputs.about, len(data), cell]).encode() + b"\n"
    command = [sys.executable, "-c", REMOTE]
    done = subprocess.run(command, input=head + data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def definitions(inputs: Inputs) -> list[Any]:
    """Return the steps that are source."""
    return [step for step in inputs.about["steps"] if not isinstance(step, str)]


class Array:
    """Memory that pickles as numpy's arrays do."""

    def __init__(self, data: Any) -> None:
        self.data = data if isinstance(data, memoryview) else memoryview(bytearray(data))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Array._of, (pickle.PickleBuffer(self.data),)

    @staticmethod
    def _of(buffer: Any) -> Array:
        return Array(memoryview(buffer))


class Raising:
    """Raise when it is unpickled."""

    def __reduce__(self) -> Any:
        return int, ("no number",)
