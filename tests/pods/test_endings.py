"""Every way in which a pod can end after its start, produced for real, has its own sentence."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from podtask import PodTemplate, Task
from podtask.presets import native_sidecar

from tests.pods.waiting import HOLD, failure, notes, submit, wait_for_input_request

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
LONG = "import time\nprint('up')\ntime.sleep(600)"


def wait_until_running(task: Task) -> Task:
    """Return the task after its cell has begun."""
    while "up" not in task.logs():
        assert task.updates.get(timeout=60).kind != "done", task.error
    return task


@pytest.mark.feature("S02")
@pytest.mark.fault(54)
def test_deletion_by_somebody_is_reported(cluster: Any, namespace: str) -> None:
    """The error states that somebody deleted the pod."""
    task = wait_until_running(submit(None, LONG))
    cluster.kubectl("delete", "pod", task.name, "-n", namespace, "--wait=false")
    said = failure(task)
    assert "the pod was deleted by a user or a clean-up job" in said
    assert said.startswith("TaskError")


@pytest.mark.feature("S02")
@pytest.mark.fault(54, 78)
def test_deletion_without_grace_is_reported(cluster: Any, namespace: str) -> None:
    """The error states the deletion of a pod that was removed without a grace period."""
    task = wait_until_running(submit(None, LONG))
    cluster.kubectl("delete", "pod", task.name, "-n", namespace, "--force", "--grace-period=0")
    assert "the pod was deleted" in failure(task)


@pytest.mark.server_versions
@pytest.mark.feature("S02")
@pytest.mark.fault(52)
def test_eviction_is_reported(cluster: Any, namespace: str) -> None:
    """The error states that the pod was evicted by the eviction API, and how to prevent it."""
    task = wait_until_running(submit(None, LONG))
    evict(cluster, namespace, task.name)
    said = failure(task)
    assert "it was evicted: its node is being drained" in said
    assert "safe-to-evict" in said


def evict(cluster: Any, namespace: str, name: str) -> None:
    """Evict a pod as `kubectl drain` does."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    cluster.kubectl("create", f"--raw={path}", "--filename=-", input=json.dumps(eviction))


@pytest.mark.feature("S09")
def test_evicted_cell_is_repeated_on_request(cluster: Any, namespace: str) -> None:
    """With --retry-on lost, the cell of an evicted pod runs again in another pod and returns its result."""
    source = "import os\n" + HOLD + "os.environ['HOSTNAME']"
    task = submit(None, source, retries=1, retry_on="lost")
    wait_for_input_request(task)
    first = task.name
    evict(cluster, namespace, first)
    wait_for_input_request(task)
    task.reply({"eof": True})
    assert task.result(60) == task.name != first


@pytest.mark.feature("S02")
@pytest.mark.fault(56)
def test_deadline_is_reported() -> None:
    """The error names activeDeadlineSeconds if the pod has exceeded it."""
    said = failure(submit({"activeDeadlineSeconds": 4, "containers": []}, LONG))
    assert "longer than its activeDeadlineSeconds of 4" in said
    assert "--timeout" in said


@pytest.mark.feature("S02")
def test_preemption_is_reported(cluster: Any, namespace: str, slot: tuple[str, str]) -> None:
    """The error states that a pod with a higher priority preempted the pod."""
    resource, priority = slot
    resources = {"limits": {resource: "1"}}
    task = wait_until_running(submit({"containers": [{"name": "primary", "resources": resources}]}, LONG))
    other = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "important"},
        "spec": {
            "priorityClassName": priority,
            "containers": [
                {"name": "main", "image": "nopython:1", "command": ["sleep", "600"], "resources": resources}
            ],
        },
    }
    cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(other))
    said = failure(task)
    assert "the scheduler preempted it for a pod with a higher priority" in said


@pytest.mark.server_versions
@pytest.mark.feature("S02")
@pytest.mark.fault(48)
def test_memory_limit_of_the_cell_is_reported() -> None:
    """If the kernel kills a cell for its memory, the error names the limit and the memory in use."""
    said = failure(submit(None, "x = bytearray(b'1') * (300 << 20)", memory="64Mi"))
    assert "more memory than its container's limit of 64" in said
    held = re.search(r"\(OOMKilled\) when its largest process used (\d+) Mi, in", said)
    assert held
    assert 16 <= int(held[1]) <= 80  # page cache of files that other processes have read counts too
    assert "--memory" in said


SIDE = {"name": "side", "image": "nopython:1"}


@pytest.mark.feature("A24", "N09", "S02")
@pytest.mark.fault(44)
def test_failed_sidecar_is_reported_and_the_result_comes_back() -> None:
    """One line shows name, exit code and last lines of a failed sidecar; the cell returns its result."""
    side = {**SIDE, "command": ["sh", "-c", "echo starting; echo no licence; exit 7"]}
    task = submit({"containers": [side]}, HOLD + "6 * 7")
    (note,) = notes(task, 1)
    assert note.startswith("sidecar 'side' ended with exit code 7; the cell keeps running.")
    assert note.endswith("Its last lines: starting | no licence")
    assert task.result() == 42


@pytest.mark.feature("N09")
def test_each_failed_sidecar_is_reported() -> None:
    """Two sidecars that cannot start cause two notes, each with its own program."""
    sides = [{**SIDE, "name": name, "command": [f"/bin/no-{name}"]} for name in ("one", "two")]
    task = submit({"containers": sides}, HOLD + "6 * 7")
    said = notes(task, 2)
    assert len(said) == 2
    for name in ("one", "two"):
        assert any(f"image of sidecar '{name}' has no program '/bin/no-{name}'" in each for each in said)
    assert set(task.stuck_sidecars) == {"one", "two"}
    assert task.result() == 42


@pytest.mark.feature("B09", "N09")
def test_sidecar_that_succeeds_is_not_reported() -> None:
    """A sidecar that exits with 0 causes no note and does not end the task."""
    wait = "import time, os\nwhile not os.path.exists('/w/done'): time.sleep(0.05)\ntime.sleep(2)\nopen('/w/done').read()"
    mounts = [{"name": "w", "mountPath": "/w"}]
    spec = {
        "volumes": [{"name": "w", "emptyDir": {}}],
        "containers": [
            {"name": "primary", "volumeMounts": mounts},
            {**SIDE, "command": ["sh", "-c", "echo cloned > /w/done"], "volumeMounts": mounts},
            {"name": "other", "image": "redis:7", "args": ["redis-server", "--port", "7000"]},
        ],
    }
    task = submit(spec, wait)
    assert notes(task) == []
    assert task.result() == "cloned\n"


@pytest.mark.feature("S02")
def test_sidecar_out_of_memory_is_reported_with_its_limit(cluster: Any, namespace: str) -> None:
    """A note names a sidecar that is killed for its memory and its limit; the result comes back.

    The kubelet has the reason OOMKilled only if the kernel's event comes before the container's end.
    """
    side = {
        "name": "side",
        "image": "python:3.11-slim",
        "command": ["python3", "-c", "x = bytearray(b'1') * (200 << 20)"],
        "resources": {"limits": {"memory": "32Mi"}},
    }
    task = submit({"containers": [side]}, HOLD + "1")
    place = [f"pod/{task.name}", "-n", namespace]
    state = ".status.containerStatuses[?(@.name=='side')].state.terminated"
    cluster.kubectl("wait", "--for=create", *place, "--timeout=60s")
    cluster.kubectl("wait", f"--for=jsonpath={{{state}.exitCode}}=137", *place, "--timeout=60s")
    reason = cluster.kubectl("get", *place, f"--output=jsonpath={{{state}.reason}}")
    (note,) = notes(task, 1)
    details = {
        "OOMKilled": "OOMKilled at the limit of 32Mi",
        "Error": "killed, perhaps for its memory limit of 32Mi",
    }
    assert note.startswith(f"sidecar 'side' ended with exit code 137, {details[reason]};")
    assert task.result() == 1


@pytest.mark.server_versions
@pytest.mark.feature("A20", "N09")
def test_native_sidecar_is_up_before_the_cell() -> None:
    """A native sidecar stays an init container, and its startup probe delays the cell."""
    source = (
        "import socket, time\ntime.sleep(2)\ns = socket.create_server(('0.0.0.0', 5432))\n"
        "while True: s.accept()[0].sendall(b'hi')"
    )
    probe = {"tcpSocket": {"port": 5432}, "periodSeconds": 1, "failureThreshold": 30}
    command = ["python3", "-c", source]
    native = native_sidecar("db", "python:3.11-slim", command=command, startupProbe=probe)
    task = submit(
        PodTemplate().with_(native), "import socket\nsocket.create_connection(('localhost', 5432)).recv(2)"
    )
    assert task.result(60) == b"hi"


@pytest.mark.feature("N04")
def test_why_and_events_of_a_task() -> None:
    """A handle explains why it waits, lists the events of the pod, and explains how the pod ended."""
    task = submit({"nodeSelector": {"disk": "none"}, "containers": []})
    while task.updates.get(timeout=60).text.partition(":")[0] != "Unschedulable":
        pass
    assert task.why().startswith("Unschedulable: ")
    assert [event["reason"] for event in task.events()] == ["FailedScheduling"]
    task.cancel()
    assert task.why().startswith("cancelled: ")
