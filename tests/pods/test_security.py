"""What shares the pod is not trusted: it gets no code, and nothing of it is unpickled."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.notebook import Shell

pytestmark = pytest.mark.cluster
# Takes the port before the runner can, answers every line, and logs all it is told.
SQUATTER = """
import socket, sys
s = socket.create_server(("127.0.0.1", {port}))
print("listening", flush=True)
while True:
    c = s.accept()[0]
    c.settimeout(3)
    try:
        while True:
            d = c.recv(65536)
            if not d: break
            print("got", d.hex(), flush=True)
            c.sendall(b"a" * 32 + b" 3.11.2 1 " + b"b" * 64 + b"\\n")
    except OSError:
        pass
    c.close()
"""


def test_squatter_gets_no_code_and_is_not_believed(
    pods: Shell, cluster: Any, namespace: str
) -> None:
    """A sidecar that takes the port first sees nonces only; the cell runs in another pod."""
    import podtask
    from podtask.cell import Cell
    from podtask.course import Fresh
    from podtask.handle import Task
    from podtask.work import prepare

    port = 23456
    program = base64.b64encode(SQUATTER.format(port=port).encode()).decode()
    squatter = ["python3", "-c", f"import base64; exec(base64.b64decode('{program}'))"]
    ready = {
        "exec": {
            "command": [
                "python3",
                "-c",
                f"import socket; socket.create_connection(('127.0.0.1', {port}))",
            ]
        }
    }
    template = {
        "initContainers": [
            {
                "name": "squatter", "image": "python:3.11-slim", "command": squatter,
                "restartPolicy": "Always", "startupProbe": {**ready, "periodSeconds": 1},
            }
        ],
        "containers": [],
    }  # fmt: skip
    options = podtask.RunOptions.of(template=template)
    task = Task(Fresh(prepare(Cell.of("secret = 'the code'\n6 * 7"), options, {}), port=port))
    told = ""
    notes = []
    while True:
        update = task.updates.get(timeout=90)
        if update.kind == "note":
            notes.append(update.text)
        if update.kind == "phase" and task.name and not told:
            first = task.name
            told = cluster.kubectl("logs", first, "-c", "squatter", "-n", namespace, check=False)
        if update.kind == "done":
            break
    assert task.result() == 42
    assert any("port was taken by another container" in note for note in notes)
    assert b"the code".hex() not in told
