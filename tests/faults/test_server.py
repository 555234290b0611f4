"""The command line of the scripted server."""

from __future__ import annotations

import os
import subprocess
import sys

from .names import SCRIPTS

COMMAND = [sys.executable, "-m", "tests.faults.server"]


def test_scripts_are_listed_with_a_line_each() -> None:
    """The list has one line for each script, with a description."""
    listed = subprocess.run([*COMMAND, "--list"], capture_output=True, text=True, check=True)
    lines = listed.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(SCRIPTS)
    assert all(line.endswith(".") for line in lines)


def test_another_process_can_use_its_kubeconfig() -> None:
    """A notebook in another process runs a cell through the kubeconfig of the server."""
    cell = "import podtask; print(podtask.submit('6 * 7', options=podtask.RunOptions()).result(60))"
    with subprocess.Popen([*COMMAND, "busy"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            name, _, path = server.stdout.readline().strip().removeprefix("export ").partition("=")
            env = {**os.environ, name: path}
            env.pop("PODTASK_BACKEND", None)
            ran = subprocess.run([sys.executable, "-c", cell], env=env, capture_output=True, text=True)
        finally:
            server.terminate()
    assert server.returncode == 0
    assert not os.path.exists(path)
    assert ran.stdout == "42\n", ran.stderr
