"""Reasons why a pod has no node: all forms of the scheduler's messages, and the hints."""

from __future__ import annotations

import pytest
from podtask.diagnosis.diagnose import diagnose
from podtask.diagnosis.model import Diagnosis

from tests.unit.diagnosis.test_diagnose import unplaced

GPU = "Request less nvidia.com/gpu (--gpu), or wait until some is free: spec.containers[].resources.limits."
CPU = "Request less cpu (--cpu, --memory), or wait until some is free: spec.containers[].resources.requests."
CLAIM = "See `kubectl describe pvc`, or choose another claim: spec.volumes[].persistentVolumeClaim."
TAINT = "Tolerate the taint of a node you may use: spec.tolerations."
LABELS = (
    "Choose labels that a node has (kubectl get nodes --show-labels): "
    "spec.nodeSelector, affinity.nodeAffinity."
)
WAIT = "Wait for the node, or ask the cluster's administrator."


def advised(*reasons: str) -> Diagnosis:
    message = f"0/9 nodes are available: {', '.join(reasons)}. preemption: 0/9 nodes are available."
    return diagnose(unplaced("Unschedulable", message), "primary", None)


@pytest.mark.feature("S03")
@pytest.mark.parametrize(
    ("reason", "category", "do"),
    [
        ("9 Insufficient nvidia.com/gpu", "resources", GPU),
        ("9 Insufficient cpu", "resources", CPU),
        ("9 node(s) had volume node affinity conflict", "volume", CLAIM),
        ("9 node(s) didn't match PersistentVolume's node affinity", "volume", CLAIM),
        ("9 node(s) didn't match Pod's node affinity/selector", "selector or affinity", LABELS),
        ("9 node(s) had untolerated taint {gpu: yes}", "taint", TAINT),
        ("9 node(s) had untolerated taint(s)", "taint", TAINT),
        ("9 node(s) had untolerated taint {node.kubernetes.io/not-ready: }", "node not ready", WAIT),
        ("9 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }", "node not ready", WAIT),
    ],
)
def test_reason_has_its_advice(reason: str, category: str, do: str) -> None:
    """Each reason has its own hint, without advice that would not help."""
    found = advised(reason)
    assert (found.category, found.hint) == (category, do)


@pytest.mark.feature("S03")
def test_hint_covers_nodes_with_different_problems() -> None:
    """If nodes have different problems, the hint covers all of them."""
    found = advised(
        "1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }",
        "8 node(s) had untolerated taint {gpu: yes}",
    )
    assert found.hint == f"{WAIT[:-1]}; or: {TAINT}"
