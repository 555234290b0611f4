"""A process that ends while its pod waits in a queue leaves no pod that nobody can use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .scripts import Script
from .scripts_queue import Queued
from .server import Server

Play = Callable[[Script], Server]
SCRIPT = """
import signal, sys, threading
import podtask
from podtask.lifecycle.task import all_handles

def announce():
    while not all_handles():
        pass
    [task] = all_handles()
    while "Gated" not in task.updates.get(timeout=60).text:
        pass
    while {"waits", "runs"} & set(sys.argv) and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        pass
    print("queued", flush=True)

if "handles" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
options = podtask.RunOptions.of(queue="team", detach="detach" in sys.argv, cpu="100m", memory="64Mi")
announcing = threading.Thread(target=announce)
announcing.start()
if "runs" in sys.argv:
    podtask.run("1", options=options)
task = podtask.submit("1", options=options)
if "waits" in sys.argv:
    task.result()
announcing.join()
"""


def exit_code(kubeconfig: Path, *modes: str) -> int:
    """Run a script whose pod waits in a queue, end it with SIGTERM if it waits; return its exit code."""
    env = {name: value for name, value in os.environ.items() if name != "PODTASK_BACKEND"}
    env |= {"KUBECONFIG": str(kubeconfig)}
    command = [sys.executable, "-c", SCRIPT, *modes]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "queued\n"
        if {"waits", "runs"} & set(modes):
            process.send_signal(signal.SIGTERM)
        return process.wait(60)


def deletions(server: Server) -> int:
    return sum(method == "DELETE" for method, _, _ in server.asked)


@pytest.mark.fault(112)
@pytest.mark.parametrize(
    ("modes", "code", "deleted"),
    [
        (["waits"], -signal.SIGTERM, 1),
        (["runs"], -signal.SIGTERM, 1),
        (["waits", "handles"], 3, 1),
        ([], 0, 1),
        (["waits", "detach"], -signal.SIGTERM, 0),
    ],
    ids=["SIGTERM", "SIGTERM while its output is shown", "its own handler", "end of the script", "detached"],
)
def test_process_that_ends_takes_its_queued_pod_along(
    play: Play, modes: list[str], code: int, deleted: int
) -> None:
    """Nobody would send the cell to this pod; the pod of a detached cell stays."""
    server = play(Queued())
    assert exit_code(server.kubeconfig, *modes) == code
    assert deletions(server) == deleted
