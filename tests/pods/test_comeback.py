"""Another process attaches to a task, before and after its pod has ended, without any loss."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask import TaskError
from podtask.manifest import owner_secrets

from tests.notebook import Shell
from tests.pods.waiting import submit

pytestmark = pytest.mark.cluster
SUBMITS = """
import sys, podtask
task = podtask.submit(sys.argv[1], options=podtask.RunOptions.of(
    image="python:3.11-slim", outputs="value", **eval(sys.argv[2])))
while "line 0\\n" not in task.logs():
    task.updates.get(timeout=60)
print(task.name, flush=True)
sys.stdin.read()
"""
COUNTS = """
import sys, time
for n in range(400):
    print("line", n)
    time.sleep(0.005)
print("apart", file=sys.stderr)
value = {"rows": list(range(1000))}
value["rows"][-1]
"""
LINES = "".join(f"line {n}\n" for n in range(400)) + "apart\n"


def start_and_kill(kubeconfig: Path, source: str, **options: Any) -> str:
    """Submit a cell in another process and kill that process once the cell prints; return the pod's name."""
    env = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    command = [sys.executable, "-c", SUBMITS, source, repr(options)]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        name = process.stdout.readline().decode().strip()
        process.send_signal(signal.SIGKILL)
    assert name
    return name


# The cell prints a line, then waits until its notebook is killed. Otherwise, the notebook might fetch the result.
# Opening a named pipe blocks until the other side opens it.
HELD = """
import os
os.mkfifo("/tmp/go")
print("line 0")
open("/tmp/go").close()
"""


def open_gate(cluster: Any, namespace: str, name: str) -> None:
    """Release a cell that begins with HELD."""
    cluster.kubectl("exec", name, "-n", namespace, "--", "sh", "-c", ": > /tmp/go")


def wait_until_ended(cluster: Any, namespace: str, name: str) -> None:
    """Wait until the primary container has ended because the linger time has passed."""
    path = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=96"
    cluster.kubectl("wait", path, f"pod/{name}", "-n", namespace, "--timeout=30s")


@pytest.mark.feature("N02", "N03")
def test_interrupt_right_after_coming_back_reaches_the_cell(pods: Shell, kubeconfig: Path) -> None:
    """An interrupt right after attaching is delivered once connected, and does not delete the pod."""
    source = (
        "import time\nprint('line 0')\ntry:\n    time.sleep(600)\n"
        "except KeyboardInterrupt:\n    value = 'told'\nvalue"
    )
    task = podtask.attach(start_and_kill(kubeconfig, source))
    task.interrupt()
    assert task.result(60) == "told"
    assert task.values == {"value": "told"}


@pytest.mark.server_versions
@pytest.mark.feature("N02")
def test_another_process_gets_every_line_and_the_value(pods: Shell, kubeconfig: Path) -> None:
    """After the submitting process was killed, an attached one receives every line once, and the value."""
    name = start_and_kill(kubeconfig, COUNTS, name="train")
    task = podtask.attach("train")
    assert task.result(60) == 999
    assert task.logs() == LINES
    assert task.values == {"value": {"rows": list(range(1000))}}
    assert task.name == name


@pytest.mark.feature("N02")
@pytest.mark.fault(77)
def test_finished_pod_is_read_from_its_log(
    pods: Shell, kubeconfig: Path, cluster: Any, namespace: str
) -> None:
    """After the linger time, output and value are read from the log of the finished pod."""
    name = start_and_kill(kubeconfig, COUNTS, linger="1s")
    wait_until_ended(cluster, namespace, name)
    task = podtask.attach(name)
    assert task.result(60) == 999
    assert task.logs() == LINES
    assert task.values == {"value": {"rows": list(range(1000))}}
    gone = cluster.kubectl("wait", "--for=delete", f"pod/{name}", "-n", namespace, "--timeout=20s")
    assert name in gone
    with pytest.raises(podtask.InputError, match=r"Task \S+ not found in[^\n]*\nIts result was fetched"):
        podtask.attach(name).result(30)


def test_task_is_deleted_as_soon_as_it_is_attached(
    pods: Shell, kubeconfig: Path, cluster: Any, namespace: str
) -> None:
    """A running task whose pod is still searched for is deleted; a task that does not exist is an error."""
    name = start_and_kill(kubeconfig, HELD)
    task = podtask.attach(name)
    task.delete()
    assert task.cancelled()
    gone = cluster.kubectl("wait", "--for=delete", f"pod/{name}", "-n", namespace, "--timeout=20s")
    assert name in gone
    with pytest.raises(podtask.InputError, match=r"Task \S+ not found"):
        podtask.attach(name).delete()


@pytest.mark.fault(90)
def test_values_of_another_user_are_unpickled_only_with_trust(
    pods: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kubeconfig: Path
) -> None:
    """Without the owner's secret a pickle is refused and named; with ``trust`` it is loaded, and the pod stays."""
    name = start_and_kill(kubeconfig, COUNTS)
    with monkeypatch.context() as other_user:
        other_user.setenv("XDG_DATA_HOME", str(tmp_path))
        other_user.setattr(owner_secrets, "_secrets", {})
        refused = podtask.attach(name)
        with pytest.raises(TaskError, match="it was sent as a pickle, which is not loaded") as caught:
            refused.result(60)
        assert "--trust" in caught.value.hint
        assert refused.logs() == LINES
        trusted = podtask.attach(name, trust=True)
        assert trusted.result(60) == 999
    ours = podtask.attach(name)
    assert ours.result(60) == 999
    assert ours.values == {"value": {"rows": list(range(1000))}}


@pytest.mark.fault(90)
def test_plain_task_stays_plain_for_the_next_kernel(pods: Shell, kubeconfig: Path) -> None:
    """The pod says that nothing of its results may be unpickled, so a kernel that attaches does not."""
    name = start_and_kill(kubeconfig, COUNTS, results="plain")
    task = podtask.attach(name)
    assert task.result(60) == 999
    assert task.values == {"value": {"rows": list(range(1000))}}
    assert podtask.RunOptions().results == "all"


@pytest.mark.fault(84)
def test_another_user_follows_and_leaves_the_task_alone(
    pods: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Any, namespace: str
) -> None:
    """Without the owner's secret, a user with the same rights sees the output, and an interrupt ends only that."""
    ours = submit(None, "print('up')\nanswer = input()\nanswer", outputs="answer")
    while "up" not in ours.logs():
        ours.updates.get(timeout=60)
    with monkeypatch.context() as other_user:
        other_user.setenv("XDG_DATA_HOME", str(tmp_path))
        other_user.setattr(owner_secrets, "_secrets", {})
        theirs = podtask.attach(ours.name)
        while "up" not in theirs.logs():
            theirs.updates.get(timeout=60)
    theirs.interrupt()
    with pytest.raises(KeyboardInterrupt, match=r"has stopped following \S+\. It keeps running"):
        theirs.result(60)
    ours.reply({"value": "yes"})
    assert ours.result(60) == "yes"


def test_unknown_task_is_named(pods: Shell) -> None:
    """The error about an unknown task names the context and namespace that were searched."""
    error = podtask.attach("nothing-like-it").exception(30)
    assert isinstance(error, podtask.InputError)
    assert "Task 'nothing-like-it' not found in " in str(error)


def test_newer_kernel_takes_over_and_the_older_is_notified(pods: Shell) -> None:
    """If two kernels follow a task, the newer one gets the result and the older one a message."""
    first = submit(None, "print('up')\nanswer = input()\nanswer", outputs="answer")
    while "up" not in first.logs():
        first.updates.get(timeout=60)
    second = podtask.attach(first.name)
    error = first.exception(60)
    assert isinstance(error, TaskError)
    assert f"{first.name} was taken over by" in str(error)
    while "up" not in second.logs():
        second.updates.get(timeout=60)
    second.reply({"value": "yes"})
    assert second.result(60) == "yes"
    assert second.values == {"answer": "yes"}
