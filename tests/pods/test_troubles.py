"""Problems of a pod or its client while the cell runs: memory, disk, clocks, webhooks."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask import InputError

from tests.notebook import Shell
from tests.pods.test_comeback import COUNTS, LINES, start_and_kill
from tests.pods.waiting import HOLD, submit, wait_for_input_request
from tests.stderr_queue import QueueStderr, next_text_with

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]


@pytest.mark.fault(35)
@pytest.mark.parametrize("hours", [-3, 3])
def test_clock_of_the_client_is_wrong(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """A client with a wrong clock attaches and receives every line once."""
    name = start_and_kill(kubeconfig, COUNTS)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours)

    class Wrong(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Wrong:
            return cls.fromtimestamp(real() + 3600 * hours, tz)

    monkeypatch.setattr(dt, "datetime", Wrong)
    task = podtask.attach(name)
    assert task.result(60) == 999
    assert task.logs() == LINES
    assert submit(None, "6 * 7").result(60) == 42


@pytest.mark.fault(41)
def test_pod_gone_before_its_log_was_read(cluster: Any, namespace: str) -> None:
    """If the pod is gone before its log is read, the result and output remain; its log is an error."""
    task = submit(None, HOLD + "6 * 7")
    wait_for_input_request(task)
    task.reply({"eof": True})
    assert task.result(60) == 42
    cluster.kubectl(
        "delete", "pod", task.name, "-n", namespace, "--force", "--grace-period=0", "--ignore-not-found"
    )
    assert task.logs() == "up\n"
    with pytest.raises(InputError, match="No log of container 'primary'"):
        task.logs("primary")
    assert task.result() == 42


@pytest.mark.fault(79)
def test_pod_that_stays_in_terminating(
    pods: Shell, cluster: Any, namespace: str, queue_stderr: QueueStderr
) -> None:
    """If a finalizer keeps the pod, the cell returns its result, and the list and a message report it."""
    messages = queue_stderr()
    task = submit(None, HOLD + "6 * 7", name="stuck")
    wait_for_input_request(task)
    patch = ("patch", "pod", task.name, "-n", namespace, "--type=merge", "--patch")
    keep = {"metadata": {"finalizers": ["podtask.test/keep"]}}
    cluster.kubectl(*patch, json.dumps(keep))
    try:
        task.reply({"eof": True})
        assert task.result(60) == 42
        gone = ("wait", "--for=jsonpath={.metadata.deletionTimestamp}", f"pod/{task.name}")
        cluster.kubectl(*gone, "-n", namespace, "--timeout=60s")
        (row,) = [line for line in pods.output("%podtask list")[0].splitlines() if task.name in line]
        assert "Terminating" in row
        assert f"{task.name} was deleted" in (told := next_text_with(messages, task.name))
        assert "held by finalizer podtask.test/keep" in told
    finally:
        cluster.kubectl(*patch, json.dumps({"metadata": {"finalizers": None}}))


@pytest.mark.fault(49)
def test_child_that_is_killed_for_its_memory(pods: Shell) -> None:
    """If a child process is killed for its memory, the cell's result counts; a message names the limit."""
    shown = "".join(
        pods.output(
            "%%podtask --memory 96Mi --image python:3.11-slim -o code\n"
            "import subprocess, sys\n"
            "code = subprocess.run([sys.executable, '-c', \"x = bytearray(b'1') * (300 << 20)\"]).returncode"
        )
    )
    assert pods["code"] == -9
    assert "a child process was OOMKilled at the limit of 96 Mi: raise --memory" in shown
