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
from tests.pods.test_comeback import HELD, ended, open_gate, start_and_kill
from tests.pods.waiting import HOLD, IMAGE, asked, submit, until

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


def test_runner_to_which_nobody_comes_ends(pods: Shell, cluster: Any, namespace: str) -> None:
    """--wait: a pod whose notebook died before its first word is no longer than that."""
    identity = Identity("podtask-nobody", uuid.uuid4().hex, 40123, kernel="gone")
    manifest = render(None, RunOptions.of(image=IMAGE, wait="1s")).stamped(identity)
    cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(manifest.pod))
    ended(cluster, namespace, identity.name)
    assert cluster.kubectl("logs", identity.name, "-n", namespace) == "podtask: no client came\n"
    error = podtask.attach(identity.name).exception(60)
    assert isinstance(error, TaskError)
    assert "no notebook was connected" in str(error)


@pytest.mark.feature("N02", "S09")
def test_cell_without_its_notebook_ends_by_its_timeout(
    pods: Shell, kubeconfig: Path, cluster: Any, namespace: str
) -> None:
    """--timeout: it is interrupted, and who comes back has its lines and what it had by then."""
    name = start_and_kill(kubeconfig, COUNTS, timeout="3s", grace="1s", linger="1s")
    ended(cluster, namespace, name)
    task = podtask.attach(name)
    error = task.exception(60)
    assert isinstance(error, TaskTimeout)
    assert "longer than its --timeout" in str(error)
    lines = task.logs().splitlines()
    assert lines == [f"line {number}" for number in range(len(lines))]
    assert task.values["value"] in (len(lines) - 1, len(lines))


def test_pod_whose_result_is_taken_goes_at_once(pods: Shell, cluster: Any, namespace: str) -> None:
    """With its notebook there no linger holds it: the runner leaves with 0, and the pod is deleted."""
    task = submit(None, HOLD + "6 * 7", linger="1h")
    asked(task)
    pod = ("pod", task.name, "-n", namespace)
    hold = {"metadata": {"finalizers": ["podtask.test/look"]}}  # else there is nothing to look at
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
def test_pod_that_waits_in_vain_gives_its_gpu_back(
    pods: Shell, kubeconfig: Path, cluster: Any, namespace: str, slot: tuple[str, str]
) -> None:
    """--linger: then another cell has what it held, and its result is in its log."""
    resources = {"limits": {slot[0]: "1"}}
    template = {"containers": [{"name": "primary", "resources": resources}]}
    name = start_and_kill(kubeconfig, GATED, template=template, linger="1s")
    next_one = submit(template, "'mine now'")
    until(next_one, "Insufficient")
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
    """Up to 6 MiB they are in it; else, and with --no-log-result, one is told which are lost."""
    name = start_and_kill(kubeconfig, HELD + RANDOM.format(size), linger="1s", **options)
    open_gate(cluster, namespace, name)
    ended(cluster, namespace, name)
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
def test_pods_of_others_are_let_alone(
    pods: Shell, kubeconfig: Path, cluster: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--keep: neither another user's first cell nor their gc removes what is past its time."""
    name = start_and_kill(kubeconfig, HELD + "value = 1", linger="1s")
    open_gate(cluster, namespace, name)
    ended(cluster, namespace, name)
    with monkeypatch.context() as other:
        other.setenv("JUPYTERHUB_USER", "somebody-else")
        pods.run(f"%%podtask --image {IMAGE} --keep 0.01s\n1")
        assert pods.output("%podtask gc --keep 0.01s")[0] == "Deleted: nothing\n"

        async def looked() -> None:
            await asyncio.gather(*loop()._background)

        loop().start(looked()).result(60)
    pod = cluster.kubectl_json("get", "pod", name, "-n", namespace)
    assert "deletionTimestamp" not in pod["metadata"]
    assert pods.output("%podtask gc --keep 0.01s")[0] == f"Deleted: {name}\n"


@pytest.mark.feature("N02")
def test_kernels_take_a_task_from_each_other(start_kernel: Callable[..., Kernel]) -> None:
    """The newer has it, the older's cell says who; it may take it back."""
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
def test_result_that_was_taken_is_not_there_twice(
    pods: Shell,
    restricted_kubeconfig: Any,
    monkeypatch: pytest.MonkeyPatch,
    cluster: Any,
    namespace: str,
) -> None:
    """A finished pod that could not be deleted says so to who attaches; the cell is not run again."""
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(RULES)))
    task = submit(None, "print('end')\n6 * 7")
    assert task.result(60) == 42
    left = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=0"
    cluster.kubectl("wait", left, f"pod/{task.name}", "-n", namespace, "--timeout=30s")
    error = podtask.attach(task.name).exception(60)
    assert isinstance(error, TaskError)
    assert f"The result of {task.name} was already fetched (ok)" in str(error)
    assert f"%podtask logs {task.name}" in str(error)
