"""Output and result of a cell arrive unchanged, whatever happens to the pod and the rights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask import TaskError
from podtask.lifecycle.updates import Update

from tests.notebook import Shell
from tests.pods.conftest import in_namespace
from tests.pods.test_comeback import HELD, ended, open_gate, start_and_kill
from tests.pods.waiting import HOLD, asked, failure, notes, submit
from tests.stderr_queue import QueueStderr, next_text_with

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
# A word split in the middle of a character, bytes that are not text, a line of 1 MiB, empty lines.
ODD = """
import sys, time
out = sys.stdout.buffer
for piece in (b"caf\\xc3", b"\\xa9\\n", b"bad \\xff\\xfe end\\n", b"\\n\\n", b"x" * (1 << 20) + b"\\n"):
    out.write(piece)
    out.flush()
    time.sleep(0.1)
"""
SHOWN = f"caf\u00e9\nbad \ufffd\ufffd end\n\n\n{'x' * (1 << 20)}\n"


@pytest.mark.fault(36, 38)
def test_odd_output_arrives_as_it_is() -> None:
    """Split characters, bytes that are not text, a line of 1 MiB: by the channel."""
    task = submit(None, ODD)
    task.result(60)
    assert task.logs() == SHOWN


@pytest.mark.fault(36, 38)
def test_odd_output_is_read_from_a_finished_pod(kubeconfig: Path, cluster: Any, namespace: str) -> None:
    """The same from the log, where the node has split lines of more than 16 KiB."""
    name = start_and_kill(kubeconfig, HELD + ODD, linger="1s")
    open_gate(cluster, namespace, name)
    ended(cluster, namespace, name)
    task = podtask.attach(name)
    task.result(60)
    assert task.logs() == "line 0\n" + SHOWN


@pytest.mark.fault(39)
def test_progress_bar_is_there_while_it_goes() -> None:
    r"""What ends with \r, without a new line, is here while the cell goes on."""
    task = submit(None, "for n in range(3): print(f'{n} of 3', end='\\r')\ninput()")
    asked(task)
    assert task.logs() == "0 of 3\r1 of 3\r2 of 3\r"
    task.reply({"value": ""})
    task.result(60)


@pytest.mark.fault(46)
def test_timeout_of_a_cell_that_says_nothing(pods: Shell) -> None:
    """The bound has a clock of its own: no line is needed for it to be noticed."""
    shown = pods.shown_error("%%podtask --timeout 2s\nimport time\ntime.sleep(600)")
    assert "ran longer than its --timeout" in shown


@pytest.mark.fault(73)
def test_failing_cell_brings_what_it_printed_and_set() -> None:
    """Lines and values up to the error come back beside the traceback."""
    task = submit(None, "print('begun')\nx = [1, 2]\nraise ValueError('broken')", outputs="x")
    error = task.exception(60)
    assert isinstance(error, ValueError)
    assert str(error) == "broken"
    assert task.logs() == "begun\n"
    assert task.values == {"x": [1, 2]}


@pytest.mark.fault(72)
def test_result_that_cannot_be_pickled() -> None:
    """It is said in words, with its name and type; the others come back."""
    task = submit(None, "import threading\nlock, n = threading.Lock(), 7", outputs="lock,n")
    outcome = task.outcome(60)
    assert task.values == {"n": 7}
    ((name, kind, why),) = outcome.not_returned
    assert (name, kind) == ("lock", "lock")
    assert "pickle" in why


@pytest.mark.fault(59)
def test_native_sidecar_that_is_killed_at_the_end_is_no_news() -> None:
    """One that ignores SIGTERM is killed after the cell: the result stands, nothing is told."""
    deaf = {
        "name": "deaf",
        "image": "nopython:1",
        "restartPolicy": "Always",
        "command": ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"],
    }
    task = submit({"initContainers": [deaf], "containers": []}, "6 * 7")
    assert notes(task) == []
    assert task.result() == 42


@pytest.mark.fault(43)
def test_pod_never_restarts_its_containers() -> None:
    """A template that restarts them does not run a cell twice, and that is said."""
    task = submit({"restartPolicy": "OnFailure", "containers": []}, "6 * 7")
    assert task.result(60) == 42
    assert task.manifest["spec"]["restartPolicy"] == "Never"
    told = [update.text for update in iter(task.updates.get_nowait, Update("done"))]
    assert any("restartPolicy OnFailure becomes Never" in text for text in told)


@pytest.mark.fault(68, 78)
def test_result_stands_where_the_pod_may_not_be_deleted(
    restricted_kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, queue_stderr: QueueStderr
) -> None:
    """A deletion that is refused is said, and hides neither the value nor the cell's error."""
    verbs = ["create", "get", "list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": verbs},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    ]
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(rules)))
    messages = queue_stderr()
    task = submit(None, "6 * 7")
    assert task.result(60) == 42
    told = next_text_with(messages, task.name)
    assert f"{task.name} could not be deleted: You may not delete pods" in told
    assert "ValueError: the first" in failure(submit(None, "raise ValueError('the first')"))


@pytest.mark.fault(67)
def test_exec_that_breaks_is_started_again(
    restricted_kubeconfig: Callable[..., Path],
    api_proxy: Callable[..., Any],
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stream over exec that ends without an error does not end the task."""
    verbs = ["create", "get", "list", "watch", "delete"]
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": verbs},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
    ]
    proxy = api_proxy(restricted_kubeconfig(rules))
    config = in_namespace(proxy.kubeconfig, namespace, tmp_path / "proxied.yaml")
    monkeypatch.setenv("KUBECONFIG", str(config))
    task = submit(
        None, "import os\nprint('up')\ninput()\nvalue = os.urandom(3 << 20)\nlen(value)", outputs="value"
    )
    asked(task)
    assert task.channel == "exec"
    proxy.cut()
    task.reply({"value": ""})
    proxy.cut_after(1 << 20)
    assert task.result(60) == 3 << 20
    assert proxy.cuts >= 2
    assert len(task.values["value"]) == 3 << 20
    assert task.logs() == "up\n"


@pytest.mark.fault(56)
def test_deadline_of_a_pod_that_nobody_followed(kubeconfig: Path, cluster: Any, namespace: str) -> None:
    """Who attaches afterwards is told which bound it was."""
    template = {"activeDeadlineSeconds": 6, "containers": []}
    source = "print('line 0')\nimport time; time.sleep(600)"
    name = start_and_kill(kubeconfig, source, template=template)
    over = "--for=jsonpath={.status.phase}=Failed"
    cluster.kubectl("wait", over, f"pod/{name}", "-n", namespace, "--timeout=60s")
    task = podtask.attach(name)
    error = task.exception(60)
    assert isinstance(error, TaskError)
    assert "activeDeadlineSeconds of 6" in str(error)
    assert task.logs() == "line 0\n"


@pytest.mark.fault(71)
def test_pod_that_died_without_a_result_says_how(kubeconfig: Path, cluster: Any, namespace: str) -> None:
    """Nobody followed, and the runner was killed: the result is lost, its end is told."""
    source = "print('line 0')\nimport os, time; time.sleep(1); os.kill(os.getppid(), 9)"
    template = {
        "shareProcessNamespace": True,
        "containers": [],
    }  # where the runner is not process 1
    name = start_and_kill(kubeconfig, source, template=template)
    path = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=137"
    cluster.kubectl("wait", path, f"pod/{name}", "-n", namespace, "--timeout=60s")
    error = podtask.attach(name).exception(60)
    assert isinstance(error, TaskError)
    assert "before its result was received" in str(error)
    assert "exit code 137" in str(error)


@pytest.mark.fault(69)
def test_value_that_the_log_cannot_hold_is_named(kubeconfig: Path, cluster: Any, namespace: str) -> None:
    """Nobody came for a value of 8 MiB: the rest is there, and the value is named as left."""
    source = f"{HELD}big = os.urandom(8 << 20)\nvalue = big"
    name = start_and_kill(kubeconfig, source, linger="1s")
    open_gate(cluster, namespace, name)
    ended(cluster, namespace, name)
    task = podtask.attach(name)
    outcome = task.outcome(60)
    assert task.logs() == "line 0\n"
    assert task.values == {}
    ((left, kind, why),) = outcome.not_returned
    assert (left, kind) == ("value", "bytes")
    assert "too large" in why


@pytest.mark.fault(80)
def test_no_helper_object_is_made(cluster: Any, namespace: str) -> None:
    """A cell makes its pod and nothing else, so nothing else can be left."""
    kinds = "secrets,configmaps,services,persistentvolumeclaims,jobs,roles,rolebindings"
    before = cluster.kubectl("get", kinds, "-n", namespace, "-o", "name")
    task = submit(None, HOLD + "6 * 7")
    asked(task)
    during = cluster.kubectl("get", kinds, "-n", namespace, "-o", "name")
    task.reply({"eof": True})
    assert task.result(60) == 42
    assert during == before
    assert cluster.kubectl("get", kinds, "-n", namespace, "-o", "name") == before
