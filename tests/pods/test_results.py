"""Output and result of a cell arrive unchanged, regardless of the pod's fate and the rights."""

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
from tests.pods.test_comeback import HELD, open_gate, start_and_kill, wait_until_ended
from tests.pods.waiting import HOLD, failure, notes, submit, wait_for_input_request
from tests.stderr_queue import QueueStderr, next_text_with

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
# Text split in the middle of a character, bytes that are not text, a line of 1 MiB, empty lines.
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
    """The channel transfers split characters, bytes that are not text, and a line of 1 MiB."""
    task = submit(None, ODD)
    task.result(60)
    assert task.logs() == SHOWN


@pytest.mark.fault(36, 38)
def test_odd_output_is_read_from_a_finished_pod(kubeconfig: Path, cluster: Any, namespace: str) -> None:
    """The log returns the same output, although the node splits lines of more than 16 KiB."""
    name = start_and_kill(kubeconfig, HELD + ODD, linger="1s")
    open_gate(cluster, namespace, name)
    wait_until_ended(cluster, namespace, name)
    task = podtask.attach(name)
    task.result(60)
    assert task.logs() == "line 0\n" + SHOWN


@pytest.mark.fault(39)
def test_progress_bar_appears_while_the_cell_runs() -> None:
    r"""Output that ends with \r instead of a newline appears while the cell runs."""
    task = submit(None, "for n in range(3): print(f'{n} of 3', end='\\r')\ninput()")
    wait_for_input_request(task)
    assert task.logs() == "0 of 3\r1 of 3\r2 of 3\r"
    task.reply({"value": ""})
    task.result(60)


@pytest.mark.fault(46)
def test_timeout_of_a_cell_without_output(pods: Shell) -> None:
    """The timeout of a cell does not depend on its output."""
    shown = pods.shown_error("%%podtask --timeout 2s\nimport time\ntime.sleep(600)")
    assert "ran longer than its --timeout" in shown


@pytest.mark.fault(73)
def test_failing_cell_returns_its_output_and_values() -> None:
    """Lines and values from before an error come back with the traceback."""
    task = submit(None, "print('begun')\nx = [1, 2]\nraise ValueError('broken')", outputs="x")
    error = task.exception(60)
    assert isinstance(error, ValueError)
    assert str(error) == "broken"
    assert task.logs() == "begun\n"
    assert task.values == {"x": [1, 2]}


@pytest.mark.fault(72)
def test_result_that_cannot_be_pickled() -> None:
    """A message names a value that cannot be pickled and its type; the other values come back."""
    task = submit(None, "import threading\nlock, n = threading.Lock(), 7", outputs="lock,n")
    outcome = task.outcome(60)
    assert task.values == {"n": 7}
    ((name, kind, why),) = outcome.not_returned
    assert (name, kind) == ("lock", "lock")
    assert "pickle" in why


@pytest.mark.fault(59)
def test_native_sidecar_killed_at_the_end_is_not_reported() -> None:
    """A native sidecar that ignores SIGTERM is killed after the cell, without a message."""
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
@pytest.mark.pod("P9", "P16")
def test_pod_never_restarts_its_containers() -> None:
    """Restart policies and rules in the template do not run a cell twice; notices explain it."""
    rule = {"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [7]}}
    primary = {"name": "primary", "restartPolicy": "Always", "restartPolicyRules": [rule]}
    primary["terminationMessagePath"] = "/dev/foo"
    task = submit({"restartPolicy": "OnFailure", "containers": [primary]}, "6 * 7")
    assert task.result(60) == 42
    assert task.manifest["spec"]["restartPolicy"] == "Never"
    assert not {"restartPolicy", "restartPolicyRules"} & task.manifest["spec"]["containers"][0].keys()
    told = [update.text for update in iter(task.updates.get_nowait, Update("done"))]
    assert any("restartPolicy OnFailure becomes Never" in text for text in told)
    assert any("dropped: restartPolicy, restartPolicyRules of container 'primary'" in text for text in told)
    assert any("terminationMessagePath /dev/foo" in text for text in told)


@pytest.mark.fault(68, 78)
def test_refused_deletion_does_not_hide_the_result(
    restricted_kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, queue_stderr: QueueStderr
) -> None:
    """A refused deletion is reported and hides neither the value nor the error of the cell."""
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
    """If a stream over exec ends without an error, it is replaced and the task continues."""
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
    wait_for_input_request(task)
    assert task.channel == "exec"
    proxy.cut()
    task.reply({"value": ""})
    proxy.cut_after(1 << 20)
    assert task.result(60) == 3 << 20
    assert proxy.cuts >= 2
    assert len(task.values["value"]) == 3 << 20
    assert task.logs() == "up\n"


@pytest.mark.fault(56)
def test_deadline_of_an_unobserved_pod(kubeconfig: Path, cluster: Any, namespace: str) -> None:
    """Attaching to a task that exceeded a limit unobserved shows which limit it was."""
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
def test_death_of_an_unobserved_pod_is_explained(kubeconfig: Path, cluster: Any, namespace: str) -> None:
    """If the runner was killed unobserved, the error reports the lost result and the end."""
    source = "print('line 0')\nimport os, time; time.sleep(1); os.kill(os.getppid(), 9)"
    template = {
        "shareProcessNamespace": True,
        "containers": [],
    }  # the runner is not process 1 here
    name = start_and_kill(kubeconfig, source, template=template)
    path = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=137"
    cluster.kubectl("wait", path, f"pod/{name}", "-n", namespace, "--timeout=60s")
    error = podtask.attach(name).exception(60)
    assert isinstance(error, TaskError)
    assert "before its result was fetched" in str(error)
    assert "exit code 137" in str(error)


@pytest.mark.fault(69)
def test_value_too_large_for_the_log_is_named(kubeconfig: Path, cluster: Any, namespace: str) -> None:
    """An unfetched value of 8 MiB is named as lost; the other values come back."""
    source = f"{HELD}big = os.urandom(8 << 20)\nvalue = big"
    name = start_and_kill(kubeconfig, source, linger="1s")
    open_gate(cluster, namespace, name)
    wait_until_ended(cluster, namespace, name)
    task = podtask.attach(name)
    outcome = task.outcome(60)
    assert task.logs() == "line 0\n"
    assert task.values == {}
    ((left, kind, why),) = outcome.not_returned
    assert (left, kind) == ("value", "bytes")
    assert "too large" in why


@pytest.mark.fault(80)
def test_no_helper_object_is_created(cluster: Any, namespace: str) -> None:
    """A cell creates only its pod, so no other object can remain."""
    kinds = "secrets,configmaps,services,persistentvolumeclaims,jobs,roles,rolebindings"
    before = cluster.kubectl("get", kinds, "-n", namespace, "-o", "name")
    task = submit(None, HOLD + "6 * 7")
    wait_for_input_request(task)
    during = cluster.kubectl("get", kinds, "-n", namespace, "-o", "name")
    task.reply({"eof": True})
    assert task.result(60) == 42
    assert during == before
    assert cluster.kubectl("get", kinds, "-n", namespace, "-o", "name") == before
