"""Why a pod has no node: the scheduler's words in all their forms, and what is advised."""

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
    """One reason is one advice: nothing that would not help beside it."""
    found = advised(reason)
    assert (found.category, found.hint) == (category, do)


@pytest.mark.feature("S03")
def test_nodes_that_differ_are_all_advised_on() -> None:
    """A node that is not ready beside one with a taint of somebody's: to wait, or to tolerate."""
    found = advised(
        "1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }",
        "8 node(s) had untolerated taint {gpu: yes}",
    )
    assert found.hint == f"{WAIT[:-1]}; or: {TAINT}"
