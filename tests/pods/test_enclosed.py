"""Detached cells whose kernel is killed while their pod waits, on a real cluster."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import podtask
import pytest

from tests.notebook import Kernel, Shell
from tests.pods.waiting import IMAGE, wait_for_input_request

pytestmark = [pytest.mark.cluster, pytest.mark.fault(111), pytest.mark.feature("N21")]
GATE = {"schedulingGates": [{"name": "team/queue"}]}
PLAIN_POD = {**GATE, "containers": [{"name": "primary"}]}
HARDENED_POD = {
    **GATE,
    "securityContext": {"fsGroup": 2000},
    "terminationGracePeriodSeconds": 1,
    "initContainers": [{"name": "init", "image": IMAGE, "command": ["true"]}],
    "containers": [
        {"name": "primary", "securityContext": {"readOnlyRootFilesystem": True}},
        {"name": "sidecar", "image": IMAGE, "command": ["sleep", "600"]},
    ],
}
LINES = "line 0\nline 1\nline 2\n"
CELL = "for n in range(3):\n    print('line', n)\ntotal = len(data)\ntotal + 1"
RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]


def submit_and_kill(kernel: Kernel, spec: dict[str, Any], size: int, flags: str, cell: str = CELL) -> str:
    """Submit a detached cell named night, kill its kernel when the cell returns; return what is shown under the cell."""
    shown = submit_night(kernel, spec, size, flags, cell)
    kernel.kill()
    return shown


def submit_night(kernel: Kernel, spec: dict[str, Any], size: int, flags: str, cell: str = CELL) -> str:
    """Submit a detached cell named night; return what is shown under the cell."""
    kernel.run(f"import os, podtask\ndata = os.urandom({size})\nqueued = podtask.PodTemplate({spec!r})")
    ran = kernel.run(f"%%podtask -d --as night -t queued --image {IMAGE} {flags}\n{cell}")
    assert ran.error is None
    return "\n".join([ran.stdout, ran.stderr, *ran.lines])


def pods_of(cluster: Any, namespace: str) -> list[dict[str, Any]]:
    """Return the pods of the namespace."""
    return list(cluster.kubectl_json("get", "pods", "-n", namespace)["items"])


def admit(cluster: Any, namespace: str) -> str:
    """Remove the gate of the waiting pod, as a queue does; return the pod's name."""
    (name,) = [each["metadata"]["name"] for each in pods_of(cluster, namespace)]
    change = json.dumps([{"op": "remove", "path": "/spec/schedulingGates"}])
    cluster.kubectl("patch", "pod", name, "-n", namespace, "--type=json", "--patch", change)
    return str(name)


def secrets_of(cluster: Any, namespace: str) -> list[str]:
    """Return the ends of the names of the Secrets in the namespace."""
    found = cluster.kubectl_json("get", "secrets", "-n", namespace)["items"]
    return sorted(each["metadata"]["name"].rpartition("-")[2] for each in found)


def wait_until_gone(cluster: Any, namespace: str) -> None:
    """Wait until neither pods nor Secrets are left."""
    for kind in ("pod", "secret"):
        cluster.kubectl("wait", "--for=delete", kind, "--all", "-n", namespace, "--timeout=30s", check=False)
        assert cluster.kubectl_json("get", kind, "-n", namespace)["items"] == []


@pytest.mark.parametrize(
    ("size", "flags", "phase"),
    [(1000, "", "Running"), (5_000_000, "--linger 1s", "Failed")],
    ids=["1 kB, attached while it lingers", "5 MB, attached after its end"],
)
def test_queued_cell_runs_without_its_kernel(
    size: int,
    flags: str,
    phase: str,
    start_kernel: Callable[..., Kernel],
    pods: Shell,
    cluster: Any,
    namespace: str,
) -> None:
    """No kernel removes its waiting pod, while its own lives and after that is killed; once admitted, another gets everything."""
    kernel = start_kernel()
    submit_night(kernel, PLAIN_POD, size, f"-o total {flags}")
    pods.run("%podtask gc")
    assert pods.output("%podtask list")[0].count("night") == 1
    kernel.kill()
    pods.run("%podtask gc")
    assert pods.output("%podtask list")[0].count("night") == 1
    name = admit(cluster, namespace)
    pod = ("pod", name, "-n", namespace)
    cluster.kubectl("wait", f"--for=jsonpath={{.status.phase}}={phase}", *pod, "--timeout=60s")
    task = podtask.attach("night")
    assert task.result(60) == size + 1
    assert task.values == {"total": size}
    assert task.logs() == LINES
    task.delete()
    wait_until_gone(cluster, namespace)


def test_cell_that_waits_for_a_device_runs_without_its_kernel(
    start_kernel: Callable[..., Kernel], pods: Shell, cluster: Any, namespace: str
) -> None:
    """A pod is Pending for want of a device, its kernel is killed, and the node gets the device later."""
    resource = f"podtask.test/{uuid.uuid4().hex[:8]}"
    spec = {"containers": [{"name": "primary", "resources": {"limits": {resource: "1"}}}]}
    submit_and_kill(start_kernel(), spec, 1000, "-o total")
    task = podtask.attach("night")
    while "Unschedulable" not in task.phase:
        assert task.updates.get(timeout=60).kind != "done", task.error
    cluster.set_capacity(resource, 1)
    try:
        assert task.result(60) == 1001
        assert task.logs() == LINES
        task.delete()
        wait_until_gone(cluster, namespace)
    finally:
        cluster.set_capacity(resource, None)


def test_hardened_pod_runs_its_cell_without_its_kernel(
    start_kernel: Callable[..., Kernel], pods: Shell, cluster: Any, namespace: str
) -> None:
    """Pod Security "restricted", a read-only root, an init container and a sidecar: only the cell's container has the cell."""
    cell = "import os\nlen(data), os.environ['TOKEN'], os.getuid() > 0"
    submit_and_kill(start_kernel(), HARDENED_POD, 1000, "--restricted --env TOKEN=hunter2", cell)
    assert secrets_of(cluster, namespace) == ["0", "owner"]
    name = admit(cluster, namespace)
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", namespace, "--timeout=60s")
    seen = cluster.kubectl("exec", name, "-n", namespace, "-c", "sidecar", "--", "ls", "/var")
    assert "podtask" not in seen
    assert "hunter2" not in json.dumps(pods_of(cluster, namespace))
    task = podtask.attach("night")
    assert task.result(60) == (1000, "hunter2", True)
    task.delete()
    wait_until_gone(cluster, namespace)


def test_waiting_cells_share_equal_inputs(
    start_kernel: Callable[..., Kernel], pods: Shell, cluster: Any, namespace: str
) -> None:
    """Two waiting cells share the Secrets of a large input; one is deleted, the other reads them and deletes them."""
    kernel = start_kernel()
    kernel.run(
        "import random, podtask\ndata = random.Random(1).randbytes(2_000_000)\n"
        f"queued = podtask.PodTemplate({PLAIN_POD!r})"
    )
    cell = "len(data)\ninput()"
    for name in ("first", "second"):
        ran = kernel.run(f"%%podtask -d --as {name} -t queued --image {IMAGE}\n{cell}")
        assert ran.error is None
    kernel.kill()
    shared = ("-n", namespace, "-l", "app.kubernetes.io/managed-by=podtask,!podtask/task")
    found = cluster.kubectl_json("get", "secrets", *shared)["items"]
    assert [len(each["metadata"]["ownerReferences"]) for each in found] == [2, 2, 2]
    pods.run("%podtask cancel first")
    (remaining,) = [
        each for each in pods_of(cluster, namespace) if "deletionTimestamp" not in each["metadata"]
    ]
    assert remaining["metadata"]["labels"]["podtask/name"] == "second"
    uid = remaining["metadata"]["uid"]
    for each in found:  # the garbage collector has seen that the first pod is gone
        secret = f"secret/{each['metadata']['name']}"
        only = f"jsonpath={{.metadata.ownerReferences[*].uid}}={uid}"
        cluster.kubectl("wait", f"--for={only}", secret, "-n", namespace, "--timeout=60s")
    admit(cluster, namespace)
    task = podtask.attach("second")
    wait_for_input_request(task)
    cluster.kubectl("wait", "--for=delete", "secret", *shared, "--timeout=30s")
    task.interrupt()
    with pytest.raises(KeyboardInterrupt):
        task.result(60)
    wait_until_gone(cluster, namespace)


@pytest.fixture
def no_secrets(restricted_kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a kubeconfig without the right to create Secrets."""
    config = restricted_kubeconfig(RULES)
    monkeypatch.setenv("KUBECONFIG", str(config))
    return config


def test_annotation_brings_the_cell_without_secrets(
    start_kernel: Callable[..., Kernel], pods: Shell, no_secrets: Path, cluster: Any, namespace: str
) -> None:
    """Without the right to create Secrets, a small cell runs without its kernel, too; a line says who can read it."""
    shown = submit_and_kill(start_kernel(no_secrets), PLAIN_POD, 1000, "-o total")
    assert "(verb create, resource secrets). The cell and its inputs are in an annotation of the pod" in shown
    admit(cluster, namespace)
    task = podtask.attach("night")
    assert task.result(60) == 1001
    assert task.logs() == LINES
    task.delete()
    wait_until_gone(cluster, namespace)


@pytest.mark.parametrize(("size", "flags"), [(5_000_000, ""), (1000, "--env TOKEN=hunter2")])
def test_pod_goes_with_its_notebook_where_nothing_can_bring_the_cell(
    size: int,
    flags: str,
    start_kernel: Callable[..., Kernel],
    pods: Shell,
    no_secrets: Path,
    cluster: Any,
    namespace: str,
) -> None:
    """Without Secrets, a large cell or ``--env`` needs the notebook until the pod has started; a line says so."""
    shown = submit_and_kill(start_kernel(no_secrets), PLAIN_POD, size, f"--wait 1s {flags}")
    assert "This notebook must stay until the pod has started" in shown
    name = admit(cluster, namespace)
    pod = ("pod", name, "-n", namespace)
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", *pod, "--timeout=60s")
    pods.run("%podtask gc")
    wait_until_gone(cluster, namespace)


@pytest.mark.parametrize("size", [10_000_000, pytest.param(200_000_000, marks=pytest.mark.matrix)])
def test_values_in_a_file_come_back_after_the_pod_has_ended(
    size: int, start_kernel: Callable[..., Kernel], pods: Shell, cluster: Any, namespace: str
) -> None:
    """10 or 200 MB of a detached cell are on a volume when its pod has ended; attach reads them, and so does another cell."""
    mount = {"name": "data", "mountPath": "/data"}
    spec = {
        **GATE,
        "containers": [{"name": "primary", "volumeMounts": [mount]}],
        "volumes": [
            {"name": "data", "hostPath": {"path": f"/tmp/{namespace}", "type": "DirectoryOrCreate"}},
        ],
    }
    flags = "-o big --linger 1s --results-in /data/deep/night"
    cell = f"import random\nbig = random.Random(1).randbytes({size})\nlen(data)"
    shown = submit_and_kill(start_kernel(), spec, 1000, flags, cell)
    assert "and stay in /data/deep/night." in shown
    name = admit(cluster, namespace)
    pod = ("pod", name, "-n", namespace)
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", *pod, "--timeout=60s")
    task = podtask.attach("night")
    assert task.result(120) == 1000
    assert task.values["big"] == random.Random(1).randbytes(size)
    wait_until_gone(cluster, namespace)
    pods["on_volume"] = podtask.PodTemplate({key: spec[key] for key in ("containers", "volumes")})
    source = "import podtask, shutil\nbig = podtask.load('/data/deep/night')['big']\nshutil.rmtree('/data/deep')\nlen(big)"
    assert pods.run(f"%%podtask -t on_volume --image {IMAGE}\n{source}") == size
