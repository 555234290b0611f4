"""Why a pod waits in a queue of Kueue, and why Kueue stopped it: each form of Kueue's messages has its sentence."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.diagnosis.diagnose import diagnose
from podtask.diagnosis.endings import diagnose_termination
from podtask.diagnosis.model import Diagnosis
from podtask.diagnosis.queueing import HOPELESS_SECONDS, QueuePlace, ordinal

NO_FLAVOR = "couldn't assign flavors to pod set main: "
TOO_LARGE = (
    "insufficient quota for {} in flavor {}, previously considered podsets requests (0) + current podset request (2) > "
    "maximum capacity (1)"
)
NEVER = "never fits"


def queued_pod(**metadata: Any) -> dict[str, Any]:
    """Return a pod that Kueue holds in queue "team"."""
    gates = [{"name": "kueue.x-k8s.io/admission"}, {"name": "kueue.x-k8s.io/topology"}]
    return {
        "metadata": {"name": "p", "labels": {"kueue.x-k8s.io/queue-name": "team"}, **metadata},
        "spec": {"schedulingGates": gates, "containers": [{"name": "primary"}]},
        "status": {"phase": "Pending"},
    }


def workload(
    reason: str = "Pending", message: str = "", reserved: str = "False", **status: Any
) -> dict[str, Any]:
    """Return a Workload whose quota was not reserved, with a reason and a message."""
    condition = {"type": "QuotaReserved", "status": reserved, "reason": reason, "message": message}
    return {"metadata": {"name": "pod-p"}, "spec": {}, "status": {"conditions": [condition], **status}}


def waits(place: QueuePlace) -> Diagnosis:
    return diagnose(queued_pod(), "primary", None, place=place)


WAITING = {
    # message of the Workload: category, sentence, part of the hint
    "quota in use": (
        f"{NO_FLAVOR}insufficient unused quota for cpu in flavor any, 1 more needed",
        "gated",
        "in queue 'team'; 1 more cpu needed",
        "choose another --queue",
    ),
    "quota in use, preempting": (
        f"{NO_FLAVOR}insufficient unused quota for cpu in flavor any, 500m more needed. Pending the preemption of 2 workload(s)",
        "gated",
        "in queue 'team'; 500m more cpu needed, waits until 2 other Workloads have been preempted",
        "Wait",
    ),
    "one flavor is in use, another is too small": (
        f"{NO_FLAVOR}insufficient unused quota for nvidia.com/gpu in flavor a100, 1 more needed, "
        + TOO_LARGE.format("nvidia.com/gpu", "l4"),
        "gated",
        "in queue 'team'; 1 more nvidia.com/gpu needed in flavor 'a100', 2 nvidia.com/gpu requested, 1 at most in flavor 'l4'",
        "Wait",
    ),
    "cluster queue held": (
        "ClusterQueue all is inactive",
        "queue held",
        "queue 'team' admits nothing: its cluster queue 'all' is inactive",
        "kubectl describe clusterqueue all",
    ),
    "queue held": (
        "LocalQueue team is inactive",
        "queue held",
        "queue 'team' is stopped",
        "Wait until it is resumed",
    ),
    "another message": ("Waiting for the moon", "gated", "in queue 'team'; Waiting for the moon", ""),
}
HOPELESS = {
    "no such queue": (
        "LocalQueue team doesn't exist",
        "queue missing",
        "queue 'team' does not exist in the namespace of the pod",
        "kubectl get localqueues",
    ),
    "queue without cluster queue": (
        "ClusterQueue all doesn't exist",
        "queue missing",
        "queue 'team' belongs to cluster queue 'all', which does not exist",
        "another --queue",
    ),
    "namespace not selected": (
        "Workload namespace doesn't match ClusterQueue selector",
        "namespace not selected",
        "the cluster queue of 'team' does not accept work of this namespace",
        "-n",
    ),
    "resource not covered": (
        f"{NO_FLAVOR}resource example.com/fpga unavailable in ClusterQueue",
        "not covered",
        "the cluster queue of 'team' has no quota for example.com/fpga, which the pod requests",
        "Remove example.com/fpga",
    ),
    "too large": (
        NO_FLAVOR + TOO_LARGE.format("nvidia.com/gpu", "any"),
        NEVER,
        "queue 'team' can never admit it: 2 nvidia.com/gpu requested, 1 at most",
        "Request less nvidia.com/gpu (--gpu), or choose another --queue",
    ),
    "too large, as Kueue 0.10 says it": (
        f"{NO_FLAVOR}insufficient quota for cpu in flavor any, request > maximum capacity (4)",
        NEVER,
        "queue 'team' can never admit it: too much cpu, 4 at most",
        "Request less cpu (--cpu)",
    ),
    "too large for one resource of the only flavor": (
        f"{NO_FLAVOR}{TOO_LARGE.format('memory', 'any')}, insufficient unused quota for cpu in flavor any, 1 more needed",
        NEVER,
        "queue 'team' can never admit it: 1 more cpu needed, 2 memory requested, 1 at most",
        "Request less memory (--memory)",
    ),
    "labels of the flavor": (
        f"{NO_FLAVOR}flavor spot doesn't match node affinity, untolerated taint {{gpu yes NoSchedule <nil>}} in flavor a100",
        NEVER,
        "queue 'team' can never admit it: flavor 'spot' has other node labels, flavor 'a100' has a taint that it does not tolerate",
        "Change nodeSelector, affinity or tolerations",
    ),
}


@pytest.mark.feature("P12")
@pytest.mark.parametrize(("message", "category", "sentence", "hint"), WAITING.values(), ids=WAITING)
def test_queued_pod_waits_with_its_reason(message: str, category: str, sentence: str, hint: str) -> None:
    """What may still change is waited for, with the reason on the pod's Workload."""
    found = waits(QueuePlace(workload(message=message), is_read=True))
    assert (found.phase, found.category, found.message) == ("Gated", category, sentence)
    assert hint in found.hint
    assert found.waiting
    assert found.give_up_seconds is None


@pytest.mark.feature("P12")
@pytest.mark.parametrize(("message", "category", "sentence", "hint"), HOPELESS.values(), ids=HOPELESS)
def test_hopeless_pod_in_a_queue_fails(message: str, category: str, sentence: str, hint: str) -> None:
    """What cannot change without its user or an administrator fails in seconds, and says what to change."""
    found = waits(QueuePlace(workload("Inadmissible", message), is_read=True))
    assert (found.phase, found.category, found.message) == ("Gated", category, sentence)
    assert hint in found.hint
    assert found.give_up_seconds == HOPELESS_SECONDS


@pytest.mark.feature("P12")
@pytest.mark.parametrize(
    ("place", "sentence", "hint"),
    [
        (QueuePlace(), "in queue 'team'", ""),
        (QueuePlace(is_read=True), "in queue 'team'; Kueue has not reported on it yet", ""),
        (QueuePlace(None, True, "list workloads"), "in queue 'team'", "ask for the right to list workloads"),
        (QueuePlace(workload(), True, "", 3, 7), "3rd of 7 in queue 'team'", ""),
        (QueuePlace(workload(), True, "", 1001), "1001st in queue 'team'", ""),
        (QueuePlace(workload(reserved="True")), "in queue 'team'; it has its quota", ""),
        (
            QueuePlace(
                workload(
                    reserved="True", admissionChecks=[{"name": "a", "state": "Ready"}, {"name": "nodes"}]
                )
            ),
            "in queue 'team'; it has its quota and waits for admission check nodes",
            "",
        ),
        (
            QueuePlace({**workload(), "spec": {"active": False}}),
            "in queue 'team'; its Workload is deactivated",
            "administrator",
        ),
    ],
)
def test_place_in_a_queue_is_said_as_far_as_it_is_known(place: QueuePlace, sentence: str, hint: str) -> None:
    """Nothing is guessed: without the Workload the right is named, without the position there is none."""
    found = waits(place)
    assert found.message == sentence
    assert hint in found.hint
    assert found.waiting


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (22, "22nd"),
        (113, "113th"),
    ],
)
def test_ordinal_numbers(number: int, text: str) -> None:
    """The ending follows English, also for 11 to 13."""
    assert ordinal(number) == text


STOPPED = {
    # reason and message of TerminationTarget: category, sentence
    "preempted": (
        "WorkloadEvictedDueToPreempted",
        "Preempted to accommodate a workload (UID: 1-2, JobUID: 3-4) due to prioritization in the ClusterQueue; "
        "preemptor path: /all; preemptee path: /all",
        "preempted",
        "its queue preempted it in favor of other work (prioritization in the ClusterQueue)",
    ),
    "queue drained": (
        "WorkloadEvictedDueToLocalQueueStopped",
        "The LocalQueue is stopped",
        "evicted",
        "its queue was stopped and drained: The LocalQueue is stopped",
    ),
    "cluster queue drained": (
        "WorkloadEvictedDueToClusterQueueStopped",
        "The ClusterQueue is stopped",
        "evicted",
        "its cluster queue was stopped and drained: The ClusterQueue is stopped",
    ),
    "another reason": (
        "WorkloadDeleted",
        "Workload is deleted",
        "evicted",
        "Kueue stopped it (WorkloadDeleted): Workload is deleted",
    ),
}


@pytest.mark.feature("P12")
@pytest.mark.parametrize(("reason", "message", "category", "sentence"), STOPPED.values(), ids=STOPPED)
def test_pod_that_kueue_stopped_says_so(reason: str, message: str, category: str, sentence: str) -> None:
    """Kueue deletes the pod, but that is not told as a deletion by somebody; another pod may succeed."""
    target = {"type": "TerminationTarget", "status": "True", "reason": reason, "message": message}
    pod = queued_pod(deletionTimestamp="2026-01-01T00:00:00Z")
    pod["status"] = {"phase": "Running", "conditions": [target]}
    found = diagnose_termination(pod, "primary", [], gone=True)
    assert found is not None
    assert (found.category, found.message) == (category, sentence)
    assert "Run the cell again" in found.hint
    assert found.lost


def test_gate_of_another_controller_names_it() -> None:
    """A gate that is not Kueue's is named, because nothing else is known of it."""
    pod = queued_pod()
    pod["spec"]["schedulingGates"] = [{"name": "team/later"}]
    assert diagnose(pod, "primary").message == "waits for team/later to admit it"
