"""Explain why Kueue holds a pod in a queue, and why it stopped one. Pure.

Kueue holds a pod by scheduling gates. The reason is only in the Workload that Kueue makes for the pod: in the
condition QuotaReserved. A Job, which Kueue holds by ``suspend``, has the same kind of Workload.
Source: pkg/scheduler and pkg/controller of Kueue 0.17.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .model import GATED, Diagnosis, Pod, one_line, pod_condition

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
KUEUE_GATES = "kueue.x-k8s.io/"
ADMISSION_GATE = f"{KUEUE_GATES}admission"
HOPELESS_SECONDS = 6  # until the task fails: the queue may be created together with the pod
OTHER_QUEUE = "choose another --queue"
ADMINISTRATOR_HINT = "ask the administrator of the queue"
# Message of the condition QuotaReserved -> category, sentence, hint, whether waiting cannot help.
REFUSALS = (
    (
        re.compile(r"LocalQueue (?P<name>\S+) doesn't exist"),
        "queue missing",
        "queue {name!r} does not exist in the namespace of the pod",
        f"{OTHER_QUEUE.capitalize()} (kubectl get localqueues), or another namespace with -n.",
        True,
    ),
    (
        re.compile(r"ClusterQueue (?P<name>\S+) (?:doesn't exist|not found)"),
        "queue missing",
        "queue {queue!r} belongs to cluster queue {name!r}, which does not exist",
        f"{OTHER_QUEUE.capitalize()}, or {ADMINISTRATOR_HINT}.",
        True,
    ),
    (
        re.compile(r"LocalQueue (?P<name>\S+) is inactive"),
        "queue held",
        "queue {name!r} is stopped",
        f"Wait until it is resumed, or {OTHER_QUEUE}.",
        False,
    ),
    (
        re.compile(r"ClusterQueue (?P<name>\S+) is inactive"),
        "queue held",
        "queue {queue!r} admits nothing: its cluster queue {name!r} is inactive",
        f"Wait until it is resumed (kubectl describe clusterqueue {{name}} says why it is not), or {OTHER_QUEUE}.",
        False,
    ),
    (
        re.compile(r"namespace doesn't match ClusterQueue selector"),
        "namespace not selected",
        "the cluster queue of {queue!r} does not accept work of this namespace",
        f"{OTHER_QUEUE.capitalize()}, or another namespace with -n; or {ADMINISTRATOR_HINT}.",
        True,
    ),
)
UNCOVERED = re.compile(r"resource (?P<resource>\S+) unavailable in ClusterQueue")
TOO_LARGE = re.compile(
    r"insufficient quota for (?P<resource>\S+) in flavor (?P<flavor>[^\s,]+),"
    r"(?:[^()]*\([^()]*\) \+ current podset request \((?P<wanted>[^()]*)\))?[^()]*> maximum capacity \((?P<most>[^()]*)\)"
)
SCARCE = re.compile(
    r"insufficient unused quota for (?P<resource>\S+) in flavor (?P<flavor>[^\s,]+), (?P<more>\S+) more needed"
)
WRONG_LABELS = re.compile(r"flavor (?P<flavor>\S+) doesn't match node affinity")
TAINTED = re.compile(r"untolerated taint (?P<taint>.+?) in flavor (?P<flavor>[^\s,]+)")
PREEMPTING = re.compile(r"Pending the preemption of (?P<count>\d+) workload")
PREEMPTION_CAUSE = re.compile(r"due to (?P<cause>[^;]+)")
RESOURCE_FLAGS = {"cpu": "--cpu", "memory": "--memory", "nvidia.com/gpu": "--gpu"}
# Reason of the condition TerminationTarget: this prefix, and what evicted the Workload.
EVICTED_PREFIX = "WorkloadEvictedDueTo"
QUEUES_AGAIN = "Run the cell again: it waits in the queue anew."
# What evicted it -> category, sentence, hint.
EVICTIONS = {
    "Preempted": (
        "preempted",
        "its queue preempted it in favor of other work",
        "Run the cell again: it waits in the queue anew. A higher priority (label kueue.x-k8s.io/priority-class, or "
        "priorityClassName in the template) makes this less likely.",
    ),
    "ClusterQueueStopped": ("evicted", "its cluster queue was stopped and drained", QUEUES_AGAIN),
    "LocalQueueStopped": ("evicted", "its queue was stopped and drained", QUEUES_AGAIN),
    "PodsReadyTimeout": (
        "evicted",
        "it was not ready within the time that Kueue allows",
        "Run the cell again; a smaller image starts faster.",
    ),
    "AdmissionCheck": ("evicted", "an admission check of its queue withdrew the admission", QUEUES_AGAIN),
    "NodeFailures": ("node lost", "its node failed", QUEUES_AGAIN),
}


@dataclass(frozen=True)
class QueuePlace:
    """What is known about a pod in a queue, besides the pod itself.

    Args:
        workload: The Workload of the pod or Job; None if there is none, or it may not be read.
        is_read: Whether the Workload was looked for.
        missing_right: The right without which the Workload cannot be read, such as "list workloads"; empty if it can.
        number: Position in the queue, from 1; 0 if it is unknown.
        count: Number of Workloads that wait in the queue; None if it is unknown.
    """

    workload: dict[str, Any] | None = None
    is_read: bool = False
    missing_right: str = ""
    number: int = 0
    count: int | None = None

    @property
    def position(self) -> str:
        """The position in words, such as "3rd of 7"; empty if it is unknown."""
        if not self.number:
            return ""
        return ordinal(self.number) + (f" of {self.count}" if self.count else "")


def ordinal(number: int) -> str:
    """Return an ordinal number, such as 2nd."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def is_queued(pod: Pod) -> bool:
    """Return whether Kueue holds a pod."""
    return any(gate["name"].startswith(KUEUE_GATES) for gate in pod["spec"].get("schedulingGates", []))


def queue_name(pod: Pod) -> str:
    """Return the name of the queue that a pod or Job waits in; empty if it names none."""
    return str(pod["metadata"].get("labels", {}).get(QUEUE_LABEL, ""))


def diagnose_queued(queue: str, place: QueuePlace) -> Diagnosis:
    """Return why a pod or Job waits in a queue.

    Args:
        queue: Name of the queue; empty if the pod does not name one.
        place: What is known of it there.
    """
    of_queue = f"queue {queue!r}" if queue else "a queue of Kueue"
    where = f"{place.position} in {of_queue}" if place.position else f"in {of_queue}"
    if place.missing_right:
        hint = f"The cause is in the pod's Workload. To see it, ask for the right to {place.missing_right} (kueue.x-k8s.io)."
        return _waits(where, hint)
    if place.workload is None:
        return _waits(f"{where}; Kueue has not reported on it yet" if place.is_read else where)
    if place.workload.get("spec", {}).get("active") is False:
        hint = f"Wait until it is activated, or {ADMINISTRATOR_HINT}."
        return _waits(f"{where}; its Workload is deactivated", hint, "deactivated")
    reserved = _condition(place.workload, "QuotaReserved")
    if reserved.get("status") == "True":
        return _waits(f"{where}; {_describe_admission(place.workload)}")
    message = str(reserved.get("message") or "")
    for pattern, category, sentence, hint, is_hopeless in REFUSALS:
        if match := pattern.search(message):
            names = {"queue": queue, **match.groupdict()}
            seconds = HOPELESS_SECONDS if is_hopeless else None
            return _waits(sentence.format(**names), hint.format(**names), category, seconds)
    return _diagnose_quota(where, queue, message)


def diagnose_eviction(pod: Pod) -> tuple[str, str, str, str] | None:
    """Return reason, category, sentence and hint if Kueue stopped a pod; None if it did not."""
    target = pod_condition(pod, "TerminationTarget")
    if target.get("status") != "True":
        return None
    reason, message = str(target.get("reason", "")), one_line(target.get("message"))
    evicted_by = reason.removeprefix(EVICTED_PREFIX)
    unknown = ("evicted", f"Kueue stopped it ({reason})", QUEUES_AGAIN)
    category, sentence, hint = EVICTIONS.get(evicted_by, unknown)
    cause = PREEMPTION_CAUSE.search(message)
    if evicted_by == "Preempted" and cause:  # the rest of the message are UIDs
        return reason, category, f"{sentence} ({cause['cause']})", hint
    return reason, category, f"{sentence}: {message}" if message else sentence, hint


def _diagnose_quota(where: str, queue: str, message: str) -> Diagnosis:
    """Return the diagnosis for a Workload to which no flavors could be assigned, or that waits for its turn."""
    if uncovered := UNCOVERED.search(message):
        resource = uncovered["resource"]
        return _waits(
            f"the cluster queue of {queue!r} has no quota for {resource}, which the pod requests",
            f"Remove {resource} from the resources of the template, or {OTHER_QUEUE}.",
            "not covered",
            HOPELESS_SECONDS,
        )
    scarce, too_large = list(SCARCE.finditer(message)), list(TOO_LARGE.finditer(message))
    mismatches = [*WRONG_LABELS.finditer(message), *TAINTED.finditer(message)]
    hopeless_flavors = {each["flavor"] for each in (*too_large, *mismatches)}
    has_flavors = len(hopeless_flavors | {each["flavor"] for each in scarce}) > 1
    reasons = [
        _with_flavor(f"{each['more']} more {each['resource']} needed", each, has_flavors) for each in scarce
    ]
    reasons += [_with_flavor(_describe_too_large(each), each, has_flavors) for each in too_large]
    reasons += [f"flavor {each['flavor']!r} has other node labels" for each in WRONG_LABELS.finditer(message)]
    reasons += [
        f"flavor {each['flavor']!r} has a taint that it does not tolerate"
        for each in TAINTED.finditer(message)
    ]
    if hopeless_flavors and hopeless_flavors.issuperset(each["flavor"] for each in scarce):
        resources = [each["resource"] for each in too_large]
        return _waits(
            f"queue {queue!r} can never admit it: {', '.join(reasons)}",
            f"{_advice(resources, bool(mismatches))}, or {OTHER_QUEUE}.",
            "never fits",
            HOPELESS_SECONDS,
        )
    if preempting := PREEMPTING.search(message):
        reasons.append(f"waits until {preempting['count']} other Workloads have been preempted")
    text = ", ".join(reasons) or one_line(message)
    advice = f"Wait, request less, or {OTHER_QUEUE}." if scarce else ""
    return _waits(f"{where}; {text}" if text else where, advice)


def _describe_too_large(match: re.Match[str]) -> str:
    asked = (
        f"{match['wanted']} {match['resource']} requested"
        if match["wanted"]
        else f"too much {match['resource']}"
    )
    return f"{asked}, {match['most']} at most"


def _with_flavor(text: str, match: re.Match[str], has_flavors: bool) -> str:
    return f"{text} in flavor {match['flavor']!r}" if has_flavors else text


def _advice(resources: list[str], has_mismatch: bool) -> str:
    """Return what to change in a pod that no flavor fits."""
    named = [
        f"{each} ({RESOURCE_FLAGS[each]})" if each in RESOURCE_FLAGS else each
        for each in dict.fromkeys(resources)
    ]
    advice = [f"request less {', '.join(named)}"] if named else []
    if has_mismatch:
        advice.append("change nodeSelector, affinity or tolerations in the template")
    text = " or ".join(advice)
    return f"{text[0].upper()}{text[1:]}"


def _describe_admission(workload: dict[str, Any]) -> str:
    """Return what a Workload that has its quota still waits for."""
    checks = [
        str(each.get("name"))
        for each in workload.get("status", {}).get("admissionChecks", [])
        if each.get("state") != "Ready"
    ]
    return (
        f"it has its quota and waits for admission check {', '.join(checks)}"
        if checks
        else "it has its quota"
    )


def _condition(workload: dict[str, Any], condition_type: str) -> dict[str, Any]:
    for condition in workload.get("status", {}).get("conditions", []):
        if condition.get("type") == condition_type:
            return dict(condition)
    return {}


def _waits(
    message: str, hint: str = "", category: str = "gated", give_up_seconds: float | None = None
) -> Diagnosis:
    return Diagnosis(GATED, message, hint, category, "metadata.labels", give_up_seconds=give_up_seconds)
