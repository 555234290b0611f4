"""Causes in a user's words: what the scheduler and the registries say, and what the line says."""

from __future__ import annotations

import pytest
from podtask.diagnosis.causes import missing_devices, registry_cause, scheduler_cause
from podtask.diagnosis.diagnose import diagnose

from tests.unit.diagnosis.test_diagnose import SPEC, unplaced, waiting


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        ("3 Insufficient nvidia.com/gpu", "too little free nvidia.com/gpu (3 of 3 nodes)"),
        (
            "1 node(s) had untolerated taint {gpu: yes}, 2 Insufficient cpu, 2 Insufficient memory",
            "untolerated taint gpu=yes (1 of 3 nodes), too little free cpu (2 of 3 nodes), "
            "too little free memory (2 of 3 nodes)",
        ),
        ("3 node(s) had untolerated taint {spot: }", "untolerated taint spot (3 of 3 nodes)"),
        ("3 node(s) had untolerated taint(s)", "untolerated taints (3 of 3 nodes)"),
        (
            "3 node(s) didn't match Pod's node affinity/selector",
            "the node selector or node affinity does not match (3 of 3 nodes)",
        ),
        ("3 node(s) didn't match pod anti-affinity rules", "the anti-affinity to other pods (3 of 3 nodes)"),
        ("3 node(s) were unschedulable", "cordoned (3 of 3 nodes)"),
        ("1 Too many pods", "too many pods (1 of 3 nodes)"),
        ("3 node(s) had volume node affinity conflict", "the volume belongs to another node (3 of 3 nodes)"),
        ("pod has unbound immediate PersistentVolumeClaims", "a claim is not bound to a volume"),
        ('persistentvolumeclaim "a" is being deleted', "claim 'a' is being deleted"),
        ("3 node(s) dislike you", "dislike you (3 of 3 nodes)"),
    ],
)
def test_scheduler(reasons: str, cause: str) -> None:
    """U13: the cause comes before the number of nodes; an unknown reason stays as it is."""
    assert scheduler_cause(f"0/3 nodes are available: {reasons}.") == cause


def test_device_that_no_node_has() -> None:
    """U14: a resource that no node has is told from one that is in use, and has another hint."""
    message = (
        "0/9 nodes are available: 1 Insufficient cpu, 3 Insufficient nvidia.com/gpu, 5 Insufficient amd.com/gpu. "
        "preemption: 0/9 nodes are available: 9 No preemption victims found for incoming pod."
    )
    assert missing_devices(unplaced("Unschedulable", message)) == {"nvidia.com/gpu", "amd.com/gpu"}
    cause = (
        "too little free cpu (1 of 9 nodes), no node of this cluster has nvidia.com/gpu, "
        "too little free amd.com/gpu (5 of 9 nodes)"
    )
    assert scheduler_cause(message.partition(" preemption")[0], {"nvidia.com/gpu"}) == cause
    pod = unplaced("Unschedulable", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
    found = diagnose(pod, "primary", [], absent={"nvidia.com/gpu"})
    assert found.message == "no node of this cluster has nvidia.com/gpu"
    assert found.hint.startswith("Request a device that a node has (--gpu-key)")
    assert found.waiting


@pytest.mark.parametrize(
    "message",
    [
        "",
        "the queue is full",
        "0/3 nodes are available: 3 Insufficient memory, 1 Insufficient hugepages-2Mi.",
    ],
)
def test_message_without_devices_needs_no_look_at_the_nodes(message: str) -> None:
    """U14: nodes are read only for devices, and not once the pod has a node."""
    assert missing_devices(unplaced("Unschedulable", message)) == set()
    late = {**unplaced("Unschedulable", "1 Insufficient nvidia.com/gpu"), "spec": SPEC}
    assert missing_devices(late) == set()


@pytest.mark.parametrize("message", ["the queue is full", "", "0/3 nodes"])
def test_message_of_another_scheduler_stays(message: str) -> None:
    """What is not a message of the default scheduler is shown as it is."""
    assert scheduler_cause(message) == message


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("dial tcp: lookup registry.exmaple on 10.0.0.10:53: no such host", "no such host"),
        ("dial tcp 10.0.0.1:443: connect: connection refused", "connection refused"),
        ("dial tcp 10.0.0.1:443: i/o timeout", "timeout"),
        ("net/http: request canceled (Client.Timeout exceeded while awaiting headers)", "timeout"),
        ("tls: failed to verify certificate: x509: unknown authority", "its certificate is not accepted"),
        ("http: server gave HTTP response to HTTPS client", "it speaks HTTP, not HTTPS"),
        ("unexpected status from HEAD request: 503 Service Unavailable", "503 Service Unavailable"),
    ],
)
def test_registry(message: str, cause: str) -> None:
    """U13: why a registry cannot be reached is said in a few words."""
    assert registry_cause(message) == f"the registry cannot be reached ({cause})"


def test_image_that_cannot_be_pulled_is_named_first() -> None:
    """U13: the line names the image and the cause, and not the container runtime's chain of errors."""
    raw = 'failed to pull and unpack image "registry.example/team/app:7": failed to do request: no such host'
    found = diagnose(waiting("ErrImagePull", raw), "primary", [])
    assert found.message == "image registry.example/team/app:7: the registry cannot be reached (no such host)"
    sidecar = diagnose(waiting("ErrImagePull", "manifest unknown", "side"), "primary", [])
    assert sidecar.message == "image registry.example/team/app:7 of sidecar 'side': not found in its registry"


def test_missing_claim_is_treated_as_a_missing_secret() -> None:
    """U14: a claim that does not exist ends the task after the same seconds, with the same words."""
    claim = diagnose(
        unplaced(
            "Unschedulable", '0/1 nodes are available: persistentvolumeclaim "data" not found. not found'
        ),
        "primary",
        [],
    )
    secret = diagnose(waiting("CreateContainerConfigError", 'secret "data" not found'), "primary", [])
    assert claim.give_up_seconds == secret.give_up_seconds == 6
    assert claim.message == "claim 'data' does not exist"
    assert secret.message == "secret 'data' does not exist (container 'primary' needs it)"
    for found, kind in ((claim, "claim"), (secret, "secret")):
        assert found.hint.startswith(f"Create {kind} 'data' in the pod's namespace, or change spec.")


def test_missing_key_names_its_secret() -> None:
    """U13: a key that a secret or config map lacks is named with its object, if the kubelet names it."""
    for raw, message in (
        (
            "couldn't find key k in Secret team/app",
            "secret 'app' has no key 'k' (container 'primary' needs it)",
        ),
        (
            "couldn't find key k in ConfigMap",
            "configmap key 'k' does not exist (container 'primary' needs it)",
        ),
    ):
        found = diagnose(waiting("CreateContainerConfigError", raw), "primary", [])
        assert found.message == message
        assert found.hint.startswith(f"Create {message.split()[0]} key 'k' in the pod's namespace")
