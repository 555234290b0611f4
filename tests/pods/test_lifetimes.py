"""Each row of the table of lifetimes, with short times, and what remains of a task."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask import RunOptions, TaskError, TaskTimeout
from podtask.event_loop import loop
from podtask.manifest.identity import Identity
from podtask.manifest.render import render

from tests.notebook import Kernel, Shell
from tests.pods.test_comeback import HELD, open_gate, start_and_kill, wait_until_ended
from tests.pods.waiting import HOLD, IMAGE, submit, wait_for_input_request, wait_for_phase

pytestmark = pytest.mark.cluster
COUNTS = """
import time
value = 0
while True:
    print("line", value)
    value += 1
    time.sleep(0.01)
"""
GATED = """
import os, time
print("line 0")
while not os.path.exists("/tmp/go"):
    time.sleep(0.01)
value = 42
"""
RANDOM = """
import hashlib
value = os.urandom({} << 20)
print(hashlib.sha256(value).hexdigest())
"""


def test_runner_without_a_client_exits(pods: Shell, cluster: Any, namespace: str) -> None:
    """--wait limits the time of a runner whose notebook died before it connected."""
    identity = Identity("podtask-nobody", uuid.uuid4().hex, uuid.uuid4().hex, 40123, kernel="gone")
    manifest = render(None, RunOptions.of(image=IMAGE, wait="1s")).stamped(identity)
    cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(manifest.pod))
    wait_until_ended(cluster, namespace, identity.name)
    assert cluster.kubectl("logs", identity.name, "-n", namespace) == "podtask: no client came\n"
    error = podtask.attach(identity.name).exception(60)
    assert isinstance(error, TaskError)
    assert "no notebook was connected" in str(error)


@pytest.mark.feature("N02", "S09")
def test_cell_without_its_notebook_ends_by_its_timeout(
    pods: Shell, kubeconfig: Path, cluster: Any, namespace: str
) -> None:
    """--timeout interrupts a cell without a notebook; its lines and values so far can be fetched."""
    name = start_and_kill(kubeconfig, COUNTS, timeout="3s", grace="1s", linger="1s")
    wait_until_ended(cluster, namespace, name)
    task = podtask.attach(name)
    error = task.exception(60)
    assert isinstance(error, TaskTimeout)
    assert "longer than its --timeout" in str(error)
    lines = task.logs().splitlines()
    assert lines == [f"line {number}" for number in range(len(lines))]
    assert task.values["value"] in (len(lines) - 1, len(lines))


def test_pod_is_deleted_once_its_result_is_fetched(pods: Shell, cluster: Any, namespace: str) -> None:
    """After the result is fetched, the runner exits with 0 without lingering, and the pod is deleted."""
    task = submit(None, HOLD + "6 * 7", linger="1h")
    wait_for_input_request(task)
    pod = ("pod", task.name, "-n", namespace)
    hold = {"metadata": {"finalizers": ["podtask.test/look"]}}  # otherwise, no pod would be left to inspect
    cluster.kubectl("patch", *pod, "--patch", json.dumps(hold))
    try:
        task.reply({"eof": True})
        assert task.result(60) == 42
        left = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=0"
        for awaited in (left, "--for=jsonpath={.metadata.deletionTimestamp}"):
            cluster.kubectl("wait", awaited, *pod, "--timeout=30s")
    finally:
        cluster.kubectl("patch", *pod, "--patch", '{"metadata": {"finalizers": null}}')


@pytest.mark.feature("N02")
def test_unattended_pod_releases_its_gpu(
    pods: Shell, kubeconfig: Path, cluster: Any, namespace: str, slot: tuple[str, str]
) -> None:
    """After --linger, another cell gets the GPU, and the result is in the log."""
    resources = {"limits": {slot[0]: "1"}}
    template = {"containers": [{"name": "primary", "resources": resources}]}
    name = start_and_kill(kubeconfig, GATED, template=template, linger="1s")
    next_one = submit(template, "'mine now'")
    wait_for_phase(next_one, "too little free")
    cluster.kubectl("exec", name, "-n", namespace, "--", "touch", "/tmp/go")
    assert next_one.result(60) == "mine now"
    assert podtask.attach(name).outcome(60).values == {"value": 42}


@pytest.mark.feature("N02")
@pytest.mark.parametrize(
    ("size", "options", "there"),
    [(5, {}, True), (8, {}, False), (1, {"no_log_result": True}, False)],
    ids=["small", "large", "not to be logged"],
)
def test_values_in_the_log(
    pods: Shell,
    kubeconfig: Path,
    cluster: Any,
    namespace: str,
    size: int,
    options: dict[str, Any],
    there: bool,
) -> None:
    """Values up to 6 MiB are in the log; otherwise, or with --no-log-result, a message names them."""
    name = start_and_kill(kubeconfig, HELD + RANDOM.format(size), linger="1s", **options)
    open_gate(cluster, namespace, name)
    wait_until_ended(cluster, namespace, name)
    task = podtask.attach(name)
    outcome = task.outcome(60)
    assert outcome.error is None
    first, digest = task.logs().splitlines()
    assert first == "line 0"
    if there:
        assert hashlib.sha256(outcome.values["value"]).hexdigest() == digest
    else:
        assert outcome.values == {}
        [(lost, kind, why)] = outcome.not_returned
        assert (lost, kind) == ("value", "bytes")
        assert why.startswith(f"{size} MiB, ")
        assert "too large for the pod log, or not allowed there" in why


@pytest.mark.feature("N02", "N03")
def test_pods_of_other_users_are_kept(
    pods: Shell, kubeconfig: Path, cluster: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--keep: neither the first cell nor gc of another user deletes expired pods."""
    name = start_and_kill(kubeconfig, HELD + "value = 1", linger="1s")
    open_gate(cluster, namespace, name)
    wait_until_ended(cluster, namespace, name)
    earlier = set(loop()._background)  # deletions of other tests, whose API server may be gone
    with monkeypatch.context() as other:
        other.setenv("JUPYTERHUB_USER", "somebody-else")
        pods.run(f"%%podtask --image {IMAGE} --keep 0.01s\n1")
        assert pods.output("%podtask gc --keep 0.01s")[0] == "Deleted: nothing\n"

        async def looked() -> None:
            await asyncio.gather(*loop()._background - earlier)

        loop().start(looked()).result(60)
    pod = cluster.kubectl_json("get", "pod", name, "-n", namespace)
    assert "deletionTimestamp" not in pod["metadata"]
    assert pods.output("%podtask gc --keep 0.01s")[0] == f"Deleted: {name}\n"


@pytest.mark.feature("N02")
def test_kernels_take_over_a_task_from_each_other(start_kernel: Callable[..., Kernel]) -> None:
    """The newer kernel takes over the task; the older one names it and may take it back."""
    first, second = start_kernel(), start_kernel()
    first.start(
        f"%%podtask --as shared -o answer --image {IMAGE}\nimport time\nprint('begun')\ntime.sleep(600)"
    )
    first.until("begun\n")
    second.start("%podtask attach shared")
    second.until("begun\n")
    ran = first.finish()
    assert ran.error is not None
    assert "was taken over by" in ran.error[2]
    assert "It keeps running" in ran.error[2]
    first.start("%podtask attach shared")
    first.until("begun\n")
    ran = second.finish()
    assert ran.error is not None
    assert "was taken over by" in ran.error[2]
    first.interrupt()
    ran = first.finish()
    assert ran.error is not None
    assert ran.error[0] == "KeyboardInterrupt"


RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
]


@pytest.mark.feature("N02")
def test_result_can_be_fetched_only_once(
    pods: Shell,
    restricted_kubeconfig: Any,
    monkeypatch: pytest.MonkeyPatch,
    cluster: Any,
    namespace: str,
) -> None:
    """Attaching to a finished pod whose result was fetched is an error, and the cell is not run again."""
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(RULES)))
    task = submit(None, "print('end')\n6 * 7")
    assert task.result(60) == 42
    left = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=0"
    cluster.kubectl("wait", left, f"pod/{task.name}", "-n", namespace, "--timeout=30s")
    error = podtask.attach(task.name).exception(60)
    assert isinstance(error, TaskError)
    assert f"The result of {task.name} was already fetched (ok)" in str(error)
    assert f"%podtask logs {task.name}" in str(error)
