"""Nodes that accept no pod or do not report it: taints, a silent kubelet, sandboxes, volumes."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from podtask import InputError
from podtask.lifecycle.updates import Update

from tests.pods.waiting import failure, submit, submitted, wait_for_phase

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]


@contextmanager
def created(cluster: Any, kind: str, name: str, **fields: Any) -> Iterator[None]:
    """Create a cluster-scoped object for the duration of the block."""
    made = {"kind": kind, "metadata": {"name": name, "labels": {"podtask.test": name}}, **fields}
    cluster.kubectl("create", "--filename=-", input=json.dumps({"apiVersion": "v1", **made}))
    try:
        yield
    finally:
        cluster.kubectl("delete", kind, name, "--wait=false")


@pytest.fixture
def tainted(cluster: Any) -> Iterator[str]:
    """Yield the name of a tainted node without a kubelet."""
    name = f"podtask-test-{uuid.uuid4().hex[:8]}"
    taints = [{"key": "podtask.test", "value": name, "effect": "NoSchedule"}]
    with created(cluster, "Node", name, spec={"taints": taints}):
        size = {"cpu": "4", "memory": "8Gi", "pods": "10"}
        status = {"status": {"capacity": size, "allocatable": size}}
        cluster.kubectl(
            "patch", "node", name, "--subresource=status", "--type=merge", "--patch", json.dumps(status)
        )
        yield name


@pytest.mark.feature("B17", "S03", "N04")
def test_taint_is_named(tainted: str) -> None:
    """The reason names the taint of the only suitable node, and the field to change."""
    with submitted({"nodeSelector": {"podtask.test": tainted}, "containers": []}) as task:
        line = wait_for_phase(task, "untolerated taint")
        assert "spec.tolerations" in line
        assert "spec.nodeSelector" in line


@pytest.mark.feature("S03", "N04")
def test_cordoned_node_is_named(cluster: Any) -> None:
    """The reason states that the node is cordoned, and what to do."""
    name = f"podtask-test-{uuid.uuid4().hex[:8]}"
    with (
        created(cluster, "Node", name, spec={"unschedulable": True}),
        submitted({"nodeSelector": {"podtask.test": name}, "containers": []}) as task,
    ):
        assert "Nodes are cordoned" in wait_for_phase(task, "cordoned (1 of")


@pytest.mark.feature("B17")
@pytest.mark.exclusive
def test_cell_runs_on_the_tainted_node_that_it_tolerates(cluster: Any) -> None:
    """A cell waits without the toleration for a taint, and runs with it."""
    assert cluster.node
    node = cluster.schedulable_node()["metadata"]["name"]
    key = f"podtask.test/{uuid.uuid4().hex[:8]}"
    cluster.kubectl("taint", "node", node, f"{key}=gpu:NoSchedule")
    try:
        waits = submit({"containers": []})
        assert "spec.tolerations" in wait_for_phase(waits, "untolerated taint")
        waits.cancel()
        toleration = {"key": key, "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}
        assert submit({"tolerations": [toleration], "containers": []}, "6 * 7").result(60) == 42
    finally:
        cluster.kubectl("taint", "node", node, f"{key}-")


@pytest.mark.feature("S03", "N04", "B17")
def test_silent_kubelet_is_reported(tainted: str, cluster: Any, namespace: str) -> None:
    """The reason names the silent node of a pod whose status is not reported."""
    spec = {
        "nodeSelector": {"podtask.test": tainted},
        "tolerations": [{"operator": "Exists"}],
        "containers": [],
    }
    task = submit(spec)
    try:
        assert f"the kubelet of node {tainted} has not reported" in wait_for_phase(task, "has not reported")
    finally:
        task.cancel()
        # There is no kubelet that would confirm the deletion.
        cluster.kubectl("delete", "pod", task.name, "-n", namespace, "--force", "--grace-period=0")


@pytest.mark.feature("S02")
@pytest.mark.fault(53)
def test_lost_node_is_reported(tainted: str, cluster: Any, namespace: str) -> None:
    """A message names a node that becomes silent while a cell runs; the loss of the node ends the task.

    This test acts as the kubelet of the node: it reports a running container, and then nothing.
    """
    silence = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    tolerations = [
        {"operator": "Exists", "effect": "NoSchedule"},
        {**silence, "tolerationSeconds": 1},
    ]
    selector = {"podtask.test": tainted}
    task = submit({"nodeSelector": selector, "tolerations": tolerations, "containers": []})
    patch = ("patch", "--subresource=status", "--type=merge", "--patch")
    try:
        wait_for_phase(task, tainted)
        ready = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
        cluster.kubectl(*patch, json.dumps({"status": {"conditions": ready}}), "node", tainted)
        now = "2026-01-01T00:00:00Z"
        state = {
            "name": "primary",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "image": "x",
            "imageID": "x",
            "state": {"running": {"startedAt": now}},
        }
        up = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")]
        status = {
            "phase": "Running",
            "startTime": now,
            "conditions": up,
            "containerStatuses": [state],
        }
        cluster.kubectl(*patch, json.dumps({"status": status}), "pod", task.name, "-n", namespace)
        line = wait_for_phase(task, "has stopped reporting")
        assert tainted in line
        said = failure(task)
        assert said.startswith("TaskError")
        assert "its node was lost" in said
    finally:
        task.cancel()
        cluster.kubectl(
            "delete", "pod", task.name, "-n", namespace, "--force", "--grace-period=0", "--ignore-not-found"
        )


@pytest.mark.fault(26, 45)
def test_pod_of_unknown_phase_is_still_followed(tainted: str, cluster: Any, namespace: str) -> None:
    """Phase Unknown does not end the task; a log that the node cannot return is a separate error."""
    spec = {
        "nodeSelector": {"podtask.test": tainted},
        "tolerations": [{"operator": "Exists"}],
        "containers": [],
    }
    task = submit(spec)
    patch = ("patch", "pod", "--subresource=status", "--type=merge", "-n", namespace, "--patch")
    try:
        wait_for_phase(task, tainted)
        cluster.kubectl(*patch, json.dumps({"status": {"phase": "Unknown"}}), task.name)
        now = "2026-01-01T00:00:00Z"
        state = {
            "name": "primary",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "image": "x",
            "imageID": "x",
            "state": {"running": {"startedAt": now}},
        }
        status = {"phase": "Running", "startTime": now, "containerStatuses": [state]}
        cluster.kubectl(*patch, json.dumps({"status": status}), task.name)
        wait_for_phase(task, "Running")
        with pytest.raises(InputError, match="No log of container 'primary'"):
            task.logs("primary")
        assert not task.done()
    finally:
        task.cancel()
        cluster.kubectl(
            "delete", "pod", task.name, "-n", namespace, "--force", "--grace-period=0", "--ignore-not-found"
        )


@pytest.mark.fault(51)
def test_eviction_without_container_states_is_reported(tainted: str, cluster: Any, namespace: str) -> None:
    """Without container states, the error uses the reason and message of the evicted pod."""
    spec = {
        "nodeSelector": {"podtask.test": tainted},
        "tolerations": [{"operator": "Exists"}],
        "containers": [],
    }
    task = submit(spec)
    try:
        wait_for_phase(task, tainted)
        status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}
        cluster.kubectl(
            "patch",
            "pod",
            task.name,
            "--subresource=status",
            "--type=merge",
            "-n",
            namespace,
            "--patch",
            json.dumps({"status": status}),
        )
        assert "its node evicted it: The node was low on memory" in failure(task)
    finally:
        cluster.kubectl(
            "delete", "pod", task.name, "-n", namespace, "--force", "--grace-period=0", "--ignore-not-found"
        )


REJECTED: dict[str, tuple[dict[str, Any], str, str]] = {
    "affinity": ({"nodeSelector": {"disk": "none"}}, "does not have the labels", "spec.nodeSelector"),
    "resources": (
        {"containers": [{"name": "primary", "resources": {"requests": {"cpu": "900"}}}]},
        "OutOfcpu|no room for it",
        "--cpu",
    ),
}


@pytest.mark.feature("S03", "N04")
@pytest.mark.parametrize(("template", "say", "do"), REJECTED.values(), ids=REJECTED)
@pytest.mark.fault(24)
def test_pod_rejected_by_its_kubelet_is_reported(
    cluster: Any, template: dict[str, Any], say: str, do: str
) -> None:
    """If the kubelet rejects a pod that was assigned to its node, the error contains the reason."""
    assert cluster.node
    name = cluster.schedulable_node()["metadata"]["name"]
    task = submit({"containers": [], **template, "nodeName": name}, retries=2)
    said = failure(task)
    told = [update.text for update in iter(task.updates.get_nowait, Update("done"))]
    assert [text[-2:] for text in told if "Retrying in another pod" in text] == ["1.", "0."]
    assert said.startswith("StartError")
    assert re.search(say, said)
    assert do in said
    assert "cannot start" in said


@pytest.mark.feature("S03", "N04")
@pytest.mark.fault(21)
def test_failed_sandbox_is_reported(cluster: Any) -> None:
    """The reason names a runtime that the node does not have, and the field."""
    name = f"podtask-test-{uuid.uuid4().hex[:8]}"
    api = {"apiVersion": "node.k8s.io/v1", "handler": "absent"}
    with (
        created(cluster, "RuntimeClass", name, **api),
        submitted({"runtimeClassName": name, "containers": []}) as task,
    ):
        line = wait_for_phase(task, "Sandbox")
        assert "spec.runtimeClassName" in line
        assert "absent" in line


@pytest.mark.feature("S03", "N04")
@pytest.mark.fault(21)
def test_volume_that_cannot_be_mounted_is_reported(cluster: Any, namespace: str) -> None:
    """The reason quotes the kubelet about a volume that cannot be mounted."""
    name = f"podtask-test-{uuid.uuid4().hex[:8]}"
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": name}
    hosts = [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]
    volume = {
        **common,
        "capacity": {"storage": "1Gi"},
        "local": {"path": "/nowhere-at-all"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": hosts}]}},
    }
    with created(cluster, "PersistentVolume", name, spec=volume):
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": {**common, "resources": {"requests": {"storage": "1Gi"}}},
        }
        cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(claim))
        spec = {
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            "containers": [{"name": "primary", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        }
        with submitted(spec) as task:
            line = wait_for_phase(task, "FailedMount")
            assert "/nowhere-at-all" in line
            assert "spec.volumes" in line


@pytest.mark.feature("N04")
@pytest.mark.fault(5)
def test_right_to_list_events_is_optional(
    restricted_kubeconfig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to list events, the status alone explains why the pod waits."""
    verbs = ["create", "get", "list", "watch", "delete"]
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": verbs},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    ]
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(rules)))
    said = failure(submit({"nodeSelector": {"disk": "none"}, "containers": []}, start_timeout=4))
    assert "the node selector or node affinity does not match" in said
