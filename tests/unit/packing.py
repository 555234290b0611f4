"""Helpers for tests of pickles: the pod's side of the inputs, and special values."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import Any

from podtask.pickling.inputs import Inputs

OTHER = "3.9"  # a minor version that no notebook uses
FILE = "<cell {}>"
# The program of the other process: it loads the inputs like the runner, then executes the cell.
REMOTE = """
import json, sys, tempfile
from podtask.runner.worker import inputs
about, size, cell = json.loads(sys.stdin.buffer.readline())
with tempfile.TemporaryFile() as file, tempfile.TemporaryDirectory() as about["folder"]:
    file.write(sys.stdin.buffer.read(size))
    file.flush()
    inputs.load(about, file.fileno() if size else None, globals(), lambda name: None)
    exec(cell)
"""


def remote(inputs: Inputs, cell: str) -> str:
    """Return the output of a cell that runs in a new interpreter with these inputs."""
    data = b"".join(inputs.parts)
    head = json.dumps([inputs.about, len(data), cell]).encode() + b"\n"
    command = [sys.executable, "-c", REMOTE]
    done = subprocess.run(command, input=head + data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def definitions(inputs: Inputs) -> list[Any]:
    """Return the steps that are sent as source."""
    return [step for step in inputs.about["steps"] if not isinstance(step, str)]


class Array:
    """Object with a buffer that pickles like a numpy array."""

    def __init__(self, data: Any) -> None:
        self.data = data if isinstance(data, memoryview) else memoryview(bytearray(data))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Array._of, (pickle.PickleBuffer(self.data),)

    @staticmethod
    def _of(buffer: Any) -> Array:
        return Array(memoryview(buffer))


class Raising:
    """Object that raises an error when it is unpickled."""

    def __reduce__(self) -> Any:
        return int, ("no number",)
