"""The runner is killed at each step, its disk is full, or its node is silent: reports and results."""

from __future__ import annotations

import json
import queue
import uuid
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask import RunOptions, TaskError
from podtask.manifest.identity import Identity
from podtask.manifest.render import render

from tests.notebook import Shell
from tests.pods.test_comeback import HELD, open_gate, start_and_kill
from tests.pods.waiting import IMAGE, submit, wait_for_phase

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
SHARED = {"shareProcessNamespace": True, "containers": []}  # the runner is not process 1 here
KILL = "os.kill(os.getppid(), 9)"
# Runs in the container of the runner. Every other process with the task's key belongs to the runner.
KILLER = """
import os
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) != os.getpid():
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ:
                ours = b"PODTASK_KEY=" in environ.read()
        except OSError:
            continue
        if ours:
            os.kill(int(pid), 9)
"""
RUNNING = f"import os, time\nprint('line 0', flush=True)\ntime.sleep(0.5)\n{KILL}\ntime.sleep(600)"
SAVING = f"""
class Last:
    def __reduce__(self):
        import os, time
        {KILL}
        time.sleep(600)
print("line 0", flush=True)
Last()
"""


def kill(cluster: Any, namespace: str, name: str) -> None:
    """Kill the runner, and wait until the status of the pod shows it."""
    inside = ("exec", name, "-n", namespace, "-c", "primary", "--", "python", "-c", KILLER)
    cluster.kubectl(*inside, check=False)  # the command may be killed with the container
    path = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=137"
    cluster.kubectl("wait", path, f"pod/{name}", "-n", namespace, "--timeout=60s")


def check_result_is_lost(task: podtask.Task) -> None:
    """Check that the task has no result, and that the error explains how its container ended."""
    error = task.exception(60)
    assert isinstance(error, TaskError), error
    assert "before its result was fetched" in str(error)
    assert "exit code 137" in str(error)


def wait_for_silence(task: podtask.Task) -> bool:
    """Wait until a task has been silent for 5 s; return False if it has ended instead."""
    try:
        while task.updates.get(timeout=5).kind != "done":
            pass
    except queue.Empty:
        return True
    return False


@pytest.mark.fault(71)
def test_runner_killed_before_a_client_connected(cluster: Any, namespace: str) -> None:
    """If the runner is killed before a client connects, the error contains its exit code."""
    identity = Identity("podtask-killed", uuid.uuid4().hex, uuid.uuid4().hex, 40124, kernel="gone")
    manifest = render(podtask.PodTemplate.of(SHARED), RunOptions.of(image=IMAGE)).stamped(identity)
    cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(manifest.pod))
    ready = ("wait", "--for=condition=Ready", f"pod/{identity.name}", "-n", namespace)
    cluster.kubectl(*ready, "--timeout=60s")
    kill(cluster, namespace, identity.name)
    error = podtask.attach(identity.name).exception(60)
    assert isinstance(error, TaskError)
    assert "exit code 137" in str(error)


@pytest.mark.fault(71)
def test_runner_killed_while_inputs_are_loaded(pods: Shell) -> None:
    """If unpickling an input kills the runner, there is no result, and the error explains the end."""
    pods.run(
        f"import podtask\nshared = podtask.PodTemplate.of({SHARED})\n"
        "class Bomb:\n    def __reduce__(self):\n"
        '        return exec, ("import os, time\\nos.kill(os.getppid(), 9)\\ntime.sleep(600)",)\n'
        "bomb = Bomb()"
    )
    shown = pods.shown_error("%%podtask -t shared -i bomb\nprint('begun')\nbomb")
    assert "before its result was fetched" in shown
    assert "exit code 137" in shown
    assert "begun" not in shown


@pytest.mark.fault(71, 73)
@pytest.mark.parametrize("source", [RUNNING, SAVING], ids=["running", "saving"])
def test_runner_killed_in_its_cell(source: str) -> None:
    """If the runner is killed during the cell or while it pickles, the output so far is kept."""
    task = submit(SHARED, source)
    check_result_is_lost(task)
    assert task.logs() == "line 0\n"


@pytest.mark.fault(71)
def test_runner_killed_while_it_keeps_its_result(kubeconfig: Path, cluster: Any, namespace: str) -> None:
    """If the runner is killed before its result was fetched, the error reports the loss; no rerun."""
    name = start_and_kill(kubeconfig, HELD + "value = 42", template=SHARED)
    open_gate(cluster, namespace, name)
    kill(cluster, namespace, name)
    check_result_is_lost(podtask.attach(name))


def test_full_disk_loses_no_line() -> None:
    """If the disk is full, lines are kept in memory, and a note names the value that does not fit."""
    template = {
        "containers": [{"name": "primary", "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}],
        "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}}],
    }
    source = """
import os
fd = os.open("/tmp/full", os.O_CREAT | os.O_WRONLY)
try:
    while True:
        os.write(fd, b"x" * 65536)
except OSError as error:
    print(error.strerror)
for n in range(20_000):
    print("line", n)
value = os.urandom(300_000)
"""
    task = submit(template, source, outputs="value")
    outcome = task.outcome(120)
    assert outcome.error is None
    assert task.logs() == "No space left on device\n" + "".join(f"line {n}\n" for n in range(20_000))
    ((name, kind, why),) = outcome.not_returned
    assert (name, kind) == ("value", "bytes")
    assert "No space left on device" in why


@pytest.mark.fault(45)
@pytest.mark.exclusive
def test_node_that_returns_does_not_end_the_task(cluster: Any) -> None:
    """If the kubelet stops and returns while a cell runs, all lines and the value arrive."""
    source = "import time\nfor n in range(150):\n    print('line', n, flush=True)\n    time.sleep(0.1)\nn"
    task = submit(None, source)
    wait_for_phase(task, "Running")
    with cluster.kubelet_paused():
        assert wait_for_silence(task)
    assert task.result(150) == 149
    assert task.logs() == "".join(f"line {n}\n" for n in range(150))
