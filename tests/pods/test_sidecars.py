"""Sidecars: late ones, native ones, and those that end before the cell."""

from __future__ import annotations

import pytest

from tests.notebook import Shell

pytestmark = pytest.mark.cluster
IMAGES = ["python:3.9-slim", "python:3.11-slim", "python:3.13-slim"]
LISTEN = (
    "import socket, time\ntime.sleep(3)\nserver = socket.create_server(('127.0.0.1', 5432))\n"
    "while True:\n    server.accept()[0].sendall(b'ready')\n"
)


def side(source: str, **more: object) -> dict[str, object]:
    """Return a container that executes Python source."""
    program = {"image": "python:3.11-slim", "command": ["python3", "-c", source]}
    return {"name": "side", **program, **more}


@pytest.mark.feature("A20")
@pytest.mark.parametrize("image", IMAGES)
def test_cell_waits_for_a_late_sidecar(pods: Shell, image: str) -> None:
    """``podtask.wait_for`` waits for a sidecar that needs 3 s, in an image without podtask."""
    pods["t"] = {"containers": [side(LISTEN)]}
    pods.run(
        f"%%podtask -t t --image {image} -o said,where\n"
        "import podtask, socket\n"
        "podtask.wait_for('localhost:5432', timeout=30)\n"
        "said = socket.create_connection(('localhost', 5432)).recv(5)\nwhere = podtask.__name__"
    )
    assert pods["said"] == b"ready"


@pytest.mark.feature("A20")
def test_names_of_the_notebook_are_available(pods: Shell) -> None:
    """A cell can use the notebook's ``podtask`` and ``wait_for``, and define tasks."""
    pods.run("import podtask\nfrom podtask import wait_for, task")
    pods.run(
        "%%podtask --image python:3.11-slim -o found\n"
        "@task(memory='1Gi')\ndef double(x):\n    return 2 * x\n"
        "@podtask.task\ndef triple(x):\n    return 3 * x\n"
        "try:\n    podtask.submit(double)\nexcept AttributeError as error:\n    why = str(error)\n"
        "found = double(2), triple.local(2), why, wait_for is podtask.wait_for"
    )
    assert pods["found"][:2] == (4, 6)
    assert "works only in the notebook" in pods["found"][2]
    assert pods["found"][3]
