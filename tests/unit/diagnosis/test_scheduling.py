"""Reasons why a pod has no node: all forms of the scheduler's messages, and the hints."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.diagnosis.causes import scheduler_cause
from podtask.diagnosis.diagnose import diagnose
from podtask.diagnosis.model import Diagnosis

from tests.unit.diagnosis.test_diagnose import container, placed, unplaced

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


@pytest.mark.pod("P17")
def test_long_message_keeps_its_first_causes_and_all_hints() -> None:
    """On a cluster with many kinds of nodes, the line ends after a whole word, and no hint is lost."""
    taints = [f"1 node(s) had untolerated taint {{team: t{number}}}" for number in range(40)]
    reasons = ["2 Insufficient nvidia.com/gpu", *taints, "3 Insufficient memory"]
    found = advised(*reasons)
    assert found.message.startswith(
        "too little free nvidia.com/gpu (2 of 9 nodes), untolerated taint team=t0 "
    )
    assert found.message.endswith(" ...")
    assert len(found.message) <= 300
    whole = scheduler_cause(f"0/9 nodes are available: {', '.join(reasons)}.")
    assert whole.startswith(found.message.removesuffix("..."))
    assert GPU[:-1] in found.hint
    assert TAINT[:-1] in found.hint


CLAIM_HINT = "Create the claim in the pod's namespace, or name another one: spec.resourceClaims."


@pytest.mark.pod("P8", "P15")
@pytest.mark.parametrize(
    ("reason", "words", "field"),
    [
        ("1 Insufficient hugepages-2Mi", "fewer hugepages-2Mi", "containers[].resources.limits"),
        ("1 Insufficient hugepages-1Gi", "nodes that have huge pages", "containers[].resources.limits"),
        ("1 Insufficient ephemeral-storage", "less ephemeral-storage", "containers[].resources.requests"),
        ('waiting: resourceclaim "gpu" not found', CLAIM_HINT, "resourceClaims"),
        ("2 cannot allocate all claims", "until a device is free", "resourceClaims"),
        ("request gpu: device class absent.test does not exist", "deviceclasses", "resourceClaims"),
    ],
)
def test_advice_names_the_resource_that_is_missing(reason: str, words: str, field: str) -> None:
    """Huge pages, storage and claims have their own advice: --cpu and --memory would not help."""
    found = advised(reason)
    assert words in found.hint
    assert found.field == field
    assert "--memory" not in found.hint


STARTED = {**placed(container("primary", waiting={"reason": "ContainerCreating"}))}
CSI = (
    'MountVolume.SetUp failed for volume "data" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: '
    "driver name {} not found in the list of registered CSI drivers"
)
ATTACH = 'AttachVolume.Attach failed for volume "pvc-1" : CSINode node-1 does not contain driver {}'


@pytest.mark.pod("P15")
@pytest.mark.parametrize("message", [CSI, ATTACH])
@pytest.mark.parametrize(("earlier", "seconds"), [([], 6), ([{"reason": "TriggeredScaleUp"}], 300)])
def test_missing_csi_driver_is_named(message: str, earlier: list[Any], seconds: float) -> None:
    """A node without the driver of a volume ends the task in seconds, a new node gets minutes."""
    event = {"reason": "FailedMount", "message": message.format("s3.csi.aws.com")}
    found = diagnose(STARTED, "primary", [*earlier, event])
    assert "CSI driver s3.csi.aws.com:" in found.hint
    assert (found.field, found.give_up_seconds) == ("volumes[].csi", seconds)


@pytest.mark.pod("P15")
@pytest.mark.parametrize(
    ("message", "words", "field"),
    [
        (
            'MountVolume.SetUp failed for volume "h" : medium HugePages-2Mi: hugePages storage requested: no '
            "resource request for huge pages",
            "--limits hugepages-2Mi=",
            "volumes[].emptyDir.medium",
        ),
        (
            'failed to get Plugin from volumeSpec for volume "data" err=no volume plugin matched',
            "cannot mount this type of volume",
            "volumes",
        ),
        (
            "Output: mount: /x/volumes/kubernetes.io~nfs/data: unknown filesystem type 'nfs'",
            "spec.nodeSelector",
            "volumes",
        ),
    ],
)
def test_volume_that_no_attempt_mounts_ends_the_task(message: str, words: str, field: str) -> None:
    """A volume that the node cannot mount ends the task within seconds, with the field to change."""
    found = diagnose(STARTED, "primary", [{"reason": "FailedMount", "message": message}])
    assert words in found.hint
    assert (found.field, found.give_up_seconds) == (field, 6)


@pytest.mark.pod("P15")
@pytest.mark.parametrize(
    ("message", "field", "seconds"),
    [
        ('rpc error: no runtime for "kata" is configured', "runtimeClassName", 6),
        ("failed to set up ID-mapped mounts: user namespaces are not supported", "hostUsers", 6),
        (
            "runc create failed: open /proc/sys/net/ipv4/tcp_x: no such file",
            "securityContext.sysctls",
            6,
        ),
        ("plugin type calico failed: no addresses", "runtimeClassName", None),
    ],
)
def test_sandbox_that_no_attempt_creates_ends_the_task(
    message: str, field: str, seconds: float | None
) -> None:
    """A feature that the node lacks ends the task within seconds; a network that is late does not."""
    event = {"reason": "FailedCreatePodSandBox", "message": f"Failed to create pod sandbox: {message}"}
    found = diagnose(STARTED, "primary", [event])
    assert (found.phase, found.field, found.give_up_seconds) == ("Sandbox", field, seconds)
    assert field in found.hint


@pytest.mark.feature("S03")
def test_hint_covers_nodes_with_different_problems() -> None:
    """If nodes have different problems, the hint covers all of them."""
    found = advised(
        "1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }",
        "8 node(s) had untolerated taint {gpu: yes}",
    )
    assert found.hint == f"{WAIT[:-1]}; or: {TAINT}"
