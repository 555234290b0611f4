"""The kinds of Kueue on an API server without Kueue: tests write what its controller would."""

from __future__ import annotations

import json
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.cluster import cache, kueue_program
from tests.cluster.handle import Cluster
from tests.cluster.kueue_process import API_VERSION, KINDS, wait_for_kinds

GATES = [{"name": "kueue.x-k8s.io/admission"}]


def kueue_lock() -> AbstractContextManager[None]:
    """Return a lock between the tests that write what Kueue's controller would, and those with a controller."""
    return cache.locked(cache.directory() / "locks" / "kueue")


def install_definitions(cluster: Cluster) -> None:
    """Install Kueue's own definitions of its kinds, unless the cluster has them. They stay until it is stopped."""
    names = [f"{kind}.kueue.x-k8s.io" for kind in KINDS]
    found = cluster.kubectl("get", "crd", "--output=name")
    if not all(f"/{name}\n" in found for name in names):
        with tempfile.TemporaryDirectory() as folder:
            *definitions, _ = kueue_program.manifests(Path(folder))
            wanted = [each for each in definitions if each.stem.partition("_")[2] in KINDS]
            # By the server: a client would write the whole definition into an annotation, which is too small.
            cluster.kubectl("apply", "--server-side", *(f"--filename={each}" for each in wanted))
        wait_for_kinds(cluster.kubectl)


def create_workload(
    cluster: Cluster, namespace: str, pod: str, queue: str, message: str, reason: str = "Pending"
) -> None:
    """Create the Workload of a pod, as Kueue does, with the reason why no quota was reserved for it."""
    uid = cluster.kubectl_json("get", "pod", pod, f"--namespace={namespace}")["metadata"]["uid"]
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}}
    workload: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "Workload",
        "metadata": {"name": f"pod-{pod}", "namespace": namespace, "labels": {"kueue.x-k8s.io/job-uid": uid}},
        "spec": {"queueName": queue, "podSets": [{"name": "main", "count": 1, "template": template}]},
    }
    cluster.kubectl("create", "--filename=-", input=json.dumps(workload))
    set_reason(cluster, namespace, pod, message, reason)


def set_reason(cluster: Cluster, namespace: str, pod: str, message: str, reason: str = "Pending") -> None:
    """Change the reason why no quota was reserved for a pod."""
    condition = {
        "type": "QuotaReserved",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    patch = json.dumps({"status": {"conditions": [condition]}})
    where = (f"workload/pod-{pod}", f"--namespace={namespace}", "--subresource=status", "--type=merge")
    cluster.kubectl("patch", *where, f"--patch={patch}")
