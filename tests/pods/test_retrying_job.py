"""Detached cells with retries on a real cluster, whose Job controller runs them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import podtask
import pytest
from podtask.runner import protocol

from tests.notebook import Kernel, Shell
from tests.pods.test_enclosed import LINES, pods_of, secrets_of, submit_and_kill, wait_until_gone
from tests.pods.test_endings import evict
from tests.pods.waiting import submit, wait_for_input_request, wait_for_phase

pytestmark = [pytest.mark.cluster, pytest.mark.feature("S09", "P12")]
POD = {"containers": [{"name": "primary"}]}
FLAGS = "-o total --retries 1"
CELL = """
for n in range(3):
    print('line', n)
try:
    input()
except EOFError:
    pass
total = len(data)
total + 1
"""


def job_of(cluster: Any, namespace: str) -> dict[str, Any]:
    """Return the Job of the namespace."""
    (job,) = cluster.kubectl_json("get", "jobs", "-n", namespace)["items"]
    return dict(job)


def wait_until_ready(cluster: Any, namespace: str) -> str:
    """Wait until the pod of the Job is ready; return the pod's name."""
    name = job_of(cluster, namespace)["metadata"]["name"]
    cluster.kubectl(
        "wait", "--for=jsonpath={.status.ready}=1", f"job/{name}", "-n", namespace, "--timeout=60s"
    )
    (pod,) = pods_of(cluster, namespace)
    return str(pod["metadata"]["name"])


def fetch(task: podtask.Task, size: int) -> None:
    """Let the cell end whenever it asks, and check that its lines and values arrive."""
    while (update := task.updates.get(timeout=60)).kind != "done":
        # An evicted pod asks, too, if the task was attached while the pod was ending.
        if update.frame is not None and update.frame.kind == protocol.INPUT_REQUEST:
            task.reply({"eof": True})
    assert task.result() == size + 1
    assert task.values == {"total": size}
    assert task.logs().endswith(LINES)
    task.delete()


def assert_nothing_left(cluster: Any, namespace: str) -> None:
    """Check that Jobs, pods and Secrets go away."""
    wait_until_gone(cluster, namespace)
    assert cluster.kubectl_json("get", "jobs", "-n", namespace)["items"] == []


@pytest.mark.fault(111)
def test_job_runs_the_cell_again_without_its_kernel(
    start_kernel: Callable[..., Kernel], pods: Shell, cluster: Any, namespace: str
) -> None:
    """Kernel and pod are gone; another kernel attaches to the Job, and gets every line and the value of the next pod."""
    shown = submit_and_kill(start_kernel(), POD, 5_000_000, FLAGS, CELL)
    assert "A Job runs the cell (--retries 1)" in shown
    assert job_of(cluster, namespace)["spec"]["ttlSecondsAfterFinished"] == 604_800
    evict(cluster, namespace, wait_until_ready(cluster, namespace))
    pods.run("%podtask gc")
    out, _ = pods.output("%podtask list")
    assert out.count("night") == 1
    fetch(podtask.attach("night"), 5_000_000)
    assert_nothing_left(cluster, namespace)


@pytest.mark.matrix
def test_error_of_the_cell_ends_the_job(
    start_kernel: Callable[..., Kernel], pods: Shell, cluster: Any, namespace: str
) -> None:
    """A cell that raises an error is not run again, also without its kernel; another one gets the error."""
    submit_and_kill(start_kernel(), POD, 1000, "--retries 1 --linger 0.1s", "print('once')\n1/0")
    name = job_of(cluster, namespace)["metadata"]["name"]
    cluster.kubectl("wait", "--for=condition=Failed", f"job/{name}", "-n", namespace, "--timeout=60s")
    assert len(pods_of(cluster, namespace)) == 1
    assert secrets_of(cluster, namespace) == ["0", "owner"]
    task = podtask.attach("night")
    assert isinstance(task.exception(60), ZeroDivisionError)
    assert task.logs() == "once\n"
    task.delete()
    assert_nothing_left(cluster, namespace)


def test_cancelled_job_starts_no_other_pod(pods: Shell, cluster: Any, namespace: str) -> None:
    """Cancel deletes the Job, its pod and its Secrets."""
    task = submit(POD, "print('up')\ninput()", detach=True, retries=3)
    wait_for_input_request(task)
    out, _ = pods.output(f"%podtask cancel {task.name}")
    assert task.name in out
    assert_nothing_left(cluster, namespace)


@contextmanager
def drained(cluster: Any, pod: str, namespace: str) -> Iterator[None]:
    """Cordon the node of a pod and evict the pod, as a drain does; let the node take pods again after the block."""
    node = cluster.kubectl_json("get", "pod", pod, "-n", namespace)["spec"]["nodeName"]
    cluster.kubectl("cordon", node)
    try:
        evict(cluster, namespace, pod)
        yield
    finally:
        cluster.kubectl("uncordon", node)


@pytest.mark.matrix
@pytest.mark.fault(111)
def test_drained_node_lets_the_cell_run_again(
    start_kernel: Callable[..., Kernel], pods: Shell, cluster: Any, namespace: str
) -> None:
    """The node of the first pod is drained, which changes the node for all; the cell runs again when it takes pods."""
    submit_and_kill(start_kernel(), POD, 1000, FLAGS, CELL)
    with drained(cluster, wait_until_ready(cluster, namespace), namespace):
        task = podtask.attach("night")
        wait_for_phase(task, "cordoned")
    fetch(task, 1000)
    assert_nothing_left(cluster, namespace)
