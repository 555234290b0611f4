"""How a pod ended: a sentence of its own for each cause. Pure.

A deletion by the cluster says why in the condition DisruptionTarget:
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
"""

from __future__ import annotations

from typing import Any

from .model import Diagnosis, Pod, conditions, memory_limit, one_line, status_of

AGAIN = "Run the cell again."
# Reasons of a pod that its node's kubelet did not take: the scheduler knew less than the node.
# Source: pkg/kubelet/lifecycle/predicate.go and pkg/kubelet/cm of Kubernetes 1.35.
REJECTED = (
    (
        "OutOf",
        "its node had no room for it",
        "Run the cell again, or request less: resources in the template, --cpu, --memory, --gpu.",
        "resources.requests",
    ),
    (
        "NodeAffinity",
        "its node does not have the labels that it requires",
        "Change the labels, and leave nodeName to the scheduler: spec.nodeSelector, affinity, nodeName.",
        "nodeSelector, affinity, nodeName",
    ),
    (
        "NodeName",
        "its node's name does not match spec.nodeName",
        "Leave nodeName to the scheduler.",
        "nodeName",
    ),
    (
        "NodePorts",
        "its host port is already in use on its node",
        "Choose another one: spec.containers[].ports[].hostPort.",
        "containers[].ports[].hostPort",
    ),
    (
        "TaintToleration",
        "its node has a taint that it does not tolerate",
        "Tolerate it: spec.tolerations.",
        "tolerations",
    ),
    (
        "Topology",
        "its node cannot align its CPUs and devices (topology)",
        "Request fewer: resources in the template.",
        "resources.requests",
    ),
    (
        "UnexpectedAdmissionError",
        "its node could not allocate a device, such as a GPU",
        "Run the cell again; the node's device plugin may still be starting, or a device may be broken.",
        "resources.limits",
    ),
    ("PodOSNotSupported", "its node has another operating system", "Change: spec.os.", "os"),
)
# Reason of DisruptionTarget -> category, sentence, what to do.
DISRUPTIONS = {
    "PreemptionByScheduler": (
        "preempted",
        "the scheduler preempted it for a pod with a higher priority",
        "Run the cell again, or set priorityClassName in the template.",
    ),
    "EvictionByEvictionAPI": (
        "evicted",
        "it was evicted: its node is being drained or scaled down",
        "Run the cell again; a PodDisruptionBudget, or the annotation "
        'cluster-autoscaler.kubernetes.io/safe-to-evict: "false", prevents it.',
    ),
    "DeletionByTaintManager": (
        "node lost",
        "its node was lost or tainted",
        "Run the cell again; tolerations in the template may let it stay longer.",
    ),
    "DeletionByPodGC": ("node lost", "its node is gone", AGAIN),
    "TerminationByKubelet": (
        "evicted",
        "its node ran out of a resource or was shutting down",
        "Request as much as the cell uses: --memory, or ephemeral-storage in resources.",
    ),
}


def running(pod: Pod) -> Diagnosis:
    """Return where a pod is whose primary container was last reported as running.

    When nothing more is heard of a node its pods stay as they were but for one word: Ready becomes
    False although the containers' own condition has not changed.
    """
    ready = conditions(pod, "Ready")
    silent = (
        ready.get("status") == "False"
        and ready.get("reason") != "ReadinessGatesNotReady"
        and conditions(pod, "ContainersReady").get("status") == "True"
    )
    if not silent:
        return Diagnosis("Running")
    told = stop(pod, "")
    if told is not None:  # given up by the cluster: should its node come back, it ends there
        return told
    node, name = pod["spec"].get("nodeName"), pod.get("metadata", {}).get("name", "NAME")
    return Diagnosis(
        "Running",
        f"its node {node} has stopped reporting; the cluster gives it up in a few minutes",
        f"See `kubectl describe node {node}`. The cell goes on if the node is alive; if it is dead: "
        f"%podtask delete {name} --force",
        "node lost",
        "tolerations",
    )


def stop(pod: Pod, primary: str, gone: bool = False) -> Diagnosis | None:
    """Return what told a pod to end from outside, None where nothing did.

    Args:
        pod: Last known state of the pod.
        primary: Name of the primary container.
        gone: Whether the API server no longer has the pod.
    """
    status = pod.get("status", {})
    reason, message = status.get("reason", ""), one_line(status.get("message"))
    disruption = conditions(pod, "DisruptionTarget")
    code = _terminated(pod, primary).get("exitCode")
    if reason == "DeadlineExceeded":
        seconds = pod["spec"].get("activeDeadlineSeconds")
        say = f"it ran longer than its activeDeadlineSeconds of {seconds} (DeadlineExceeded)"
        return _ended(
            reason,
            say,
            "Raise --timeout, or activeDeadlineSeconds in the template.",
            "deadline",
            "spec.activeDeadlineSeconds",
            code,
        )
    if reason == "Evicted":
        return _ended(
            reason,
            f"its node evicted it: {message}",
            DISRUPTIONS["TerminationByKubelet"][2],
            "evicted",
            "resources.requests",
            code,
        )
    if reason in ("NodeLost", "NodeShutdown", "Terminated", "Shutdown"):
        return _ended(
            reason, f"its node was lost or shut down: {message or reason}", AGAIN, "node lost", "", code
        )
    if disruption.get("status") == "True":
        word = disruption.get("reason", "")
        category, say, do = DISRUPTIONS.get(word, ("disrupted", f"the cluster terminated it ({word})", AGAIN))
        more = one_line(disruption.get("message"))
        return _ended(word or "Disrupted", f"{say}: {more}" if more else say, do, category, "", code)
    if gone or pod.get("metadata", {}).get("deletionTimestamp"):
        return _ended(
            "Deleted",
            "the pod was deleted by a user or a clean-up job",
            f"`kubectl get events` may show why. {AGAIN}",
            "deleted",
            "",
            code,
        )
    return None


def ending(pod: Pod, primary: str, gone: bool = False) -> Diagnosis | None:
    """Return how the primary container or the whole pod ended, None where it has not.

    Args:
        pod: Last known state of the pod.
        primary: Name of the primary container.
        gone: Whether the API server no longer has the pod.
    """
    status = pod.get("status", {})
    phase = status.get("phase", "Pending")
    done = _terminated(pod, primary)
    if not (done or gone or phase in ("Failed", "Succeeded")):
        return None
    code = done.get("exitCode")
    if done.get("reason") == "OOMKilled":
        limit = memory_limit(pod, primary)
        say = f"the cell used more memory than the limit{limit} of container {primary!r} (OOMKilled)"
        return _ended("OOMKilled", say, "Raise --memory.", "out of memory", "resources.limits.memory", code)
    told = stop(pod, primary, gone)
    if told is not None:
        return told
    for word, say, do, field in REJECTED:
        if not done and status.get("reason", "").startswith(word):
            more = one_line(status.get("message"))
            return Diagnosis(
                status["reason"], f"{say}: {more}", do, "rejected by its node", field, ended=True
            )
    if done:
        message = one_line(done.get("message"))
        say = f"container {primary!r} ended with exit code {code}"
        return _ended(
            done.get("reason") or "Terminated",
            f"{say}: {message}" if message else say,
            AGAIN,
            "ended",
            "",
            code,
        )
    parts = (status.get("reason"), one_line(status.get("message")))
    say = ": ".join(part for part in parts if part) or f"the pod ended: {phase}"
    return _ended(phase, say, AGAIN, "ended", "", None)


def dead_sidecars(pod: Pod, primary: str) -> dict[str, str]:
    """Return name -> sentence for each sidecar that failed while the primary has not ended."""
    if _terminated(pod, primary):
        return {}
    found = {}
    for container in pod.get("status", {}).get("containerStatuses", []):
        name, done = container["name"], container.get("state", {}).get("terminated", {})
        if name != primary and done.get("exitCode"):
            reason = done.get("reason", "Error")
            limit = memory_limit(pod, name)
            more = f", {reason} at the limit{limit}" if reason == "OOMKilled" else ""
            found[name] = f"sidecar {name!r} ended with exit code {done['exitCode']}{more}"
    return found


def _terminated(pod: Pod, primary: str) -> dict[str, Any]:
    return dict(status_of(pod, primary).get("state", {}).get("terminated", {}))


def _ended(phase: str, say: str, do: str, category: str, field: str, code: int | None) -> Diagnosis:
    return Diagnosis(phase, say, do, category, field, ended=True, code=code)
