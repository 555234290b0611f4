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

from tests.pods.waiting import failure, submit, until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]


@contextmanager
def created(cluster: Any, kind: str, name: str, **fields: Any) -> Iterator[None]:
    """An object of the whole cluster, for a while."""
    made = {"kind": kind, "metadata": {"name": name, "labels": {"podtask.test": name}}, **fields}
    cluster.kubectl("create", "--filename=-", input=json.dumps({"apiVersion": "v1", **made}))
    try:
        yield
    finally:
        cluster.kubectl("delete", kind, name, "--wait=false")


@pytest.fixture
def tainted(cluster: Any) -> Iterator[str]:
    """The name of a tainted node without a kubelet."""
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
    """A node that only its taint keeps away is said to have one, with the field to change."""
    task = submit({"nodeSelector": {"podtask.test": tainted}, "containers": []})
    try:
        line = until(task, "untolerated taint")
        assert "spec.tolerations" in line
        assert "spec.nodeSelector" in line
    finally:
        task.cancel()


@pytest.mark.feature("S03", "N04")
def test_cordoned_node_is_said_to_be(cluster: Any) -> None:
    """A node that takes no new pods is named so, and what to do."""
    name = f"podtask-test-{uuid.uuid4().hex[:8]}"
    with created(cluster, "Node", name, spec={"unschedulable": True}):
        task = submit({"nodeSelector": {"podtask.test": name}, "containers": []})
        try:
            assert "Nodes are cordoned" in until(task, "were unschedulable")
        finally:
            task.cancel()


@pytest.mark.feature("B17")
def test_cell_runs_on_the_tainted_node_that_it_tolerates(cluster: Any) -> None:
    """The same cell waits without the toleration, and runs with it."""
    assert cluster.node
    (node,) = [
        each["metadata"]["name"]
        for each in cluster.kubectl_json("get", "nodes")["items"]
        if "taints" not in each["spec"]
    ]
    key = f"podtask.test/{uuid.uuid4().hex[:8]}"
    cluster.kubectl("taint", "node", node, f"{key}=gpu:NoSchedule")
    try:
        waits = submit({"containers": []})
        assert "spec.tolerations" in until(waits, "untolerated taint")
        waits.cancel()
        toleration = {"key": key, "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}
        assert submit({"tolerations": [toleration], "containers": []}, "6 * 7").result(60) == 42
    finally:
        cluster.kubectl("taint", "node", node, f"{key}-")


@pytest.mark.feature("S03", "N04", "B17")
def test_silent_kubelet_is_told(tainted: str, cluster: Any, namespace: str) -> None:
    """A pod that has a node, of which nobody reports, says so with the node's name."""
    spec = {
        "nodeSelector": {"podtask.test": tainted},
        "tolerations": [{"operator": "Exists"}],
        "containers": [],
    }
    task = submit(spec)
    try:
        assert f"the kubelet of node {tainted} has not reported" in until(task, "has not reported")
    finally:
        task.cancel()
        # No kubelet confirms the deletion.
        cluster.kubectl("delete", "pod", task.name, "-n", namespace, "--force", "--grace-period=0")


@pytest.mark.feature("S02")
@pytest.mark.fault(53)
def test_lost_node_is_told(tainted: str, cluster: Any, namespace: str) -> None:
    """A node that falls silent under a running cell is named; given up, it ends the task.

    The kubelet of that node is this test: it says that the container runs, and nothing any more.
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
        until(task, tainted)
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
        line = until(task, "has stopped reporting")
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
def test_pod_of_unknown_phase_is_followed_on(tainted: str, cluster: Any, namespace: str) -> None:
    """Phase Unknown ends nothing; a log that its node does not give is an error of its own."""
    spec = {
        "nodeSelector": {"podtask.test": tainted},
        "tolerations": [{"operator": "Exists"}],
        "containers": [],
    }
    task = submit(spec)
    patch = ("patch", "pod", "--subresource=status", "--type=merge", "-n", namespace, "--patch")
    try:
        until(task, tainted)
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
        until(task, "Running")
        with pytest.raises(InputError, match="No log of container 'primary'"):
            task.logs("primary")
        assert not task.done()
    finally:
        task.cancel()
        cluster.kubectl(
            "delete", "pod", task.name, "-n", namespace, "--force", "--grace-period=0", "--ignore-not-found"
        )


@pytest.mark.fault(51)
def test_eviction_without_container_states_is_told(tainted: str, cluster: Any, namespace: str) -> None:
    """A kubelet that evicts may report no container: reason and message of the pod are enough."""
    spec = {
        "nodeSelector": {"podtask.test": tainted},
        "tolerations": [{"operator": "Exists"}],
        "containers": [],
    }
    task = submit(spec)
    try:
        until(task, tainted)
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
def test_pod_that_its_kubelet_refuses_is_told(
    cluster: Any, template: dict[str, Any], say: str, do: str
) -> None:
    """A pod sent to a node past the scheduler, which the node does not take, says why."""
    assert cluster.node
    nodes = cluster.kubectl_json("get", "nodes")["items"]
    name = next(each["metadata"]["name"] for each in nodes if "taints" not in each["spec"])
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
def test_sandbox_that_fails_is_told(cluster: Any) -> None:
    """A runtime that the node does not have is named, with the field."""
    name = f"podtask-test-{uuid.uuid4().hex[:8]}"
    api = {"apiVersion": "node.k8s.io/v1", "handler": "absent"}
    with created(cluster, "RuntimeClass", name, **api):
        task = submit({"runtimeClassName": name, "containers": []})
        try:
            line = until(task, "Sandbox")
            assert "spec.runtimeClassName" in line
            assert "absent" in line
        finally:
            task.cancel()


@pytest.mark.feature("S03", "N04")
@pytest.mark.fault(21)
def test_volume_that_is_not_mounted_is_told(cluster: Any, namespace: str) -> None:
    """A claim whose volume cannot be mounted shows the kubelet's words."""
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
        task = submit(spec)
        try:
            line = until(task, "FailedMount")
            assert "/nowhere-at-all" in line
            assert "spec.volumes" in line
        finally:
            task.cancel()


@pytest.mark.feature("N04")
@pytest.mark.fault(5)
def test_events_that_may_not_be_read_cost_nothing(
    restricted_kubeconfig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to list events the status alone explains the pod."""
    verbs = ["create", "get", "list", "watch", "delete"]
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": verbs},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    ]
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(rules)))
    said = failure(submit({"nodeSelector": {"disk": "none"}, "containers": []}, start_timeout=4))
    assert "node affinity/selector" in said
