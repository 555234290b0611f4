"""Progress of a slow start in words: what is pulled, which node is added, which init container runs."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from podtask.diagnosis.diagnose import diagnose

from tests.unit.diagnosis.test_diagnose import SPEC, UNPLACED, container, placed, unplaced
from tests.unit.diagnosis.test_kubelet_kills import event

STARTED = "2026-01-01T10:00:03Z"
CLOCK = dt.datetime(2026, 1, 1, 10, 0, 3, tzinfo=dt.timezone.utc).astimezone().strftime("%H:%M:%S")
CREATING = {**placed(container("primary", waiting={"reason": "ContainerCreating"}))}
CREATING["status"]["startTime"] = STARTED
FULL = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


def pulling(image: str, name: str = "primary", kind: str = "containers") -> dict[str, Any]:
    return {**event("Pulling", f'Pulling image "{image}"', name, kind), "lastTimestamp": STARTED}


def pulled(image: str, about: str, name: str = "side") -> dict[str, Any]:
    return event("Pulled", f'Successfully pulled image "{image}" {about}', name)


PULLS = {
    "one image": ([pulling("a:1")], f"pulling image \"a:1\" for container 'primary' since {CLOCK}"),
    "second image": (
        [
            pulling("s:1", "side"),
            pulled("s:1", "in 40.2s (41s including waiting). Image size: 3204123456 bytes."),
            event("Created", "Created container: side", "side"),
            pulling("a:1"),
        ],
        f"pulling image \"a:1\" for container 'primary' since {CLOCK}; pulled s:1 (3.2 GB in 40.2s)",
    ),
    "a warning in between": (
        [pulling("a:1"), {"reason": "FailedToRetrieveImagePullSecret", "message": "Unable (x)"}],
        f"pulling image \"a:1\" for container 'primary' since {CLOCK}",
    ),
    "init container": (
        [pulling("i:1", "fetch", "initContainers")],
        f"pulling image \"i:1\" for container 'fetch' since {CLOCK}",
    ),
}


@pytest.mark.pod("P24")
@pytest.mark.parametrize(("events", "message"), PULLS.values(), ids=PULLS)
def test_pull_is_shown_with_its_container_and_its_start(events: list[dict[str, Any]], message: str) -> None:
    """The line names image, container and the time since when it is pulled, and the images before it."""
    found = diagnose(CREATING, "primary", events)
    assert (found.phase, found.message, found.hint) == ("Pulling", message, "")


@pytest.mark.pod("P24")
@pytest.mark.parametrize(
    ("about", "shown"),
    [
        ("in 1m2.5s (1m3s including waiting). Image size: 48123456 bytes.", "a:1 (48 MB in 1m2.5s)"),
        ("in 2.5s (2.5s including waiting)", "a:1 (in 2.5s)"),  # before Kubernetes 1.31
    ],
)
def test_pulled_image_is_shown_with_its_size(about: str, shown: str) -> None:
    """Once an image is pulled, its size and time are shown while the container is created."""
    found = diagnose(CREATING, "primary", [pulling("a:1"), pulled("a:1", about, "primary")])
    assert (found.phase, found.message) == ("Starting", f"on node node-1; pulled {shown}")


def test_present_image_is_not_shown_as_pulled() -> None:
    """An image that the node has is not mentioned."""
    present = event("Pulled", 'Container image "a:1" already present on machine')
    assert diagnose(CREATING, "primary", [present]).message == "on node node-1"


SCALING = {
    "Cluster Autoscaler": (
        "TriggeredScaleUp",
        "pod triggered scale-up: [{https://www.googleapis.com/compute/v1/x/instanceGroups/gpu-pool 0->1 (max: 3)}]",
        "group gpu-pool grows from 0 to 1 (at most 3)",
    ),
    "two groups": (
        "TriggeredScaleUp",
        "pod triggered scale-up: [{eks-a 1->2 (max: 3)} {eks-b 0->1 (max: 9)}]",
        "group eks-a grows from 1 to 2 (at most 3), group eks-b grows from 0 to 1 (at most 9)",
    ),
    "Karpenter": (
        "Nominated",
        "Pod should schedule on: nodeclaim/default-x7k2p",
        "nodeclaim/default-x7k2p",
    ),
}


@pytest.mark.pod("P24")
@pytest.mark.parametrize(("reason", "message", "shown"), SCALING.values(), ids=SCALING)
def test_node_that_is_added_is_shown(reason: str, message: str, shown: str) -> None:
    """While an autoscaler adds a node, the line says so and gives no advice to request less."""
    events = [
        {"reason": "FailedScheduling", "message": FULL},
        {"reason": reason, "message": message, "lastTimestamp": STARTED},
    ]
    found = diagnose(unplaced("Unschedulable", FULL), "primary", events)
    assert found.phase == "Adding node"
    assert found.message == f"the cluster is adding a node for the pod since {CLOCK}: {shown}"
    assert found.hint == ""
    assert found.waiting


@pytest.mark.pod("P24")
def test_autoscaler_that_adds_no_node_is_quoted() -> None:
    """The line has the scheduler's reason, the autoscaler's and the advice."""
    refusal = "1 max node group size reached, 2 node(s) had untolerated taint {team: other}"
    events = [
        {"reason": "TriggeredScaleUp", "message": "pod triggered scale-up: [{a 0->1 (max: 1)}]"},
        {"reason": "NotTriggerScaleUp", "message": f"pod didn't trigger scale-up: {refusal}"},
    ]
    found = diagnose(unplaced("Unschedulable", FULL), "primary", events)
    assert found.phase == "Unschedulable"
    cause = "too little free nvidia.com/gpu (3 of 3 nodes)"
    assert found.message == f"{cause}; the autoscaler adds no node: {refusal}"
    assert "Request less nvidia.com/gpu" in found.hint


@pytest.mark.pod("P8")
@pytest.mark.parametrize(
    ("schedule", "phase", "say"),
    [
        ("volcano", "Pending", "scheduler 'volcano' has not reported anything about the pod yet"),
        ("yunikorn", "Pending", "scheduler 'yunikorn' has not reported"),
        ("default-scheduler", "Pending", ""),
    ],
)
def test_scheduler_that_does_not_report_is_named(schedule: str, phase: str, say: str) -> None:
    """A pod that names a scheduler which does not run says so, and waits."""
    found = diagnose({"spec": {**UNPLACED, "schedulerName": schedule}, "status": {}}, "primary", [])
    assert found.phase == phase
    assert say in found.message
    assert ("spec.schedulerName" in found.hint) == bool(say)
    assert found.waiting == bool(say)


CLAIM = {"name": "gpu", "resourceClaimTemplateName": "absent"}


@pytest.mark.pod("P8")
@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ('resourceclaimtemplate.resource.k8s.io "absent" not found', "Create the ResourceClaimTemplate in"),
        ("creating ResourceClaim: exceeded quota: team", "Check the quota of the namespace and spec."),
    ],
)
def test_claim_that_cannot_be_made_is_named(message: str, hint: str) -> None:
    """The line quotes the event about a claim, until the claim is made."""
    pod: dict[str, Any] = {"spec": {**UNPLACED, "resourceClaims": [CLAIM]}, "status": {}}
    events = [{"reason": "FailedResourceClaimCreation", "message": f"PodResourceClaim gpu: {message}"}]
    found = diagnose(pod, "primary", events)
    assert (found.phase, found.message) == ("Missing claim", f"PodResourceClaim gpu: {message}")
    assert found.hint.startswith(hint)
    assert found.waiting
    pod["status"]["resourceClaimStatuses"] = [{"name": "gpu", "resourceClaimName": "podtask-a-gpu-x"}]
    assert diagnose(pod, "primary", events).phase == "Pending"


@pytest.mark.pod("P8")
@pytest.mark.parametrize(
    ("claim", "shown"),
    [
        ({"name": "gpu", "resourceClaimName": "shared-gpu"}, "shared-gpu"),
        (CLAIM, "gpu (from template absent)"),
    ],
)
def test_claim_that_does_not_exist_is_named(claim: dict[str, Any], shown: str) -> None:
    """The scheduler reports nothing about a pod whose claims do not exist: the line names them."""
    found = diagnose({"spec": {**UNPLACED, "resourceClaims": [claim]}, "status": {}}, "primary", [])
    assert found.message == f"the scheduler waits for the resource claims of the pod: {shown}"
    assert "spec.resourceClaims" in found.hint
    assert found.waiting


def initializing(*statuses: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a pod whose init containers have these statuses; the last one has these fields in its spec."""
    containers = [{"name": each["name"]} for each in statuses]
    containers[-1] |= fields
    pod = placed(container("primary", waiting={"reason": "PodInitializing"}))
    pod["metadata"] = {"name": "podtask-a"}
    pod["spec"] = {**SPEC, "initContainers": containers}
    return {**pod, "status": {**pod["status"], "startTime": STARTED, "initContainerStatuses": [*statuses]}}


DONE = container("clone", terminated={"exitCode": 0})


@pytest.mark.pod("P8")
@pytest.mark.parametrize(
    ("statuses", "name", "place"),
    [
        ([container("fetch", running={"startedAt": STARTED})], "fetch", "1 of 1"),
        ([DONE, container("fetch", running={"startedAt": STARTED})], "fetch", "2 of 2"),
        ([container("clone", running={"startedAt": STARTED}), container("x", waiting={})], "clone", "1 of 2"),
    ],
)
def test_init_container_that_runs_on_is_named(statuses: list[Any], name: str, place: str) -> None:
    """The line names the init container, since when it runs, and how to read its log."""
    found = diagnose(initializing(*statuses), "primary", [])
    assert found.phase == "Initializing"
    assert found.message == f"init container {name!r} ({place}) has been running since {CLOCK}"
    assert found.hint == f"%podtask logs podtask-a {name} shows its output."
    assert found.waiting


@pytest.mark.pod("P8")
@pytest.mark.parametrize(
    ("events", "detail"),
    [
        ([], ""),
        (
            [event("Unhealthy", "Startup probe failed: dial tcp: refused", "proxy", "initContainers")],
            ": dial tcp: refused",
        ),
        ([event("Unhealthy", "Readiness probe failed: no", "proxy", "initContainers")], ""),
    ],
)
def test_native_sidecar_whose_startup_probe_waits_is_named(events: list[Any], detail: str) -> None:
    """The line names the sidecar, and the last message of its startup probe."""
    proxy = {**container("proxy", running={"startedAt": STARTED}), "started": False}
    found = diagnose(initializing(proxy, restartPolicy="Always"), "primary", events)
    assert found.phase == "Initializing"
    assert found.message == f"sidecar 'proxy' runs, but its startup probe has not succeeded yet{detail}"
    assert "spec.initContainers[proxy].startupProbe" in found.hint
    proxy["started"] = True
    assert diagnose(initializing(proxy, restartPolicy="Always"), "primary", events).phase == "Starting"
