"""Explain why a pod is not scheduled yet, or why its containers do not start on the node. Pure."""

from __future__ import annotations

import re

from .model import Diagnosis, Events, Pod, one_line, pod_condition

# Taints of an unhealthy node: a pod that tolerates them is scheduled, but does not start.
UNHEALTHY_TAINT = r"\{node\.kubernetes\.io/(?:not-ready|unreachable|network-unavailable|\w+-pressure)\b"
# Part of the scheduler's message, category, hint, field of the pod spec. Several may match, because
# nodes differ: all their hints are shown, and the first one gives the category.
# Source: pkg/scheduler/framework/plugins/*, of Kubernetes 1.29 to 1.35.
SCHEDULER_REASONS = (
    (
        r'persistentvolumeclaim "[^"]+" (not found|is being deleted)',
        "volume",
        "Create the claim in the pod's namespace, or name another one",
        "volumes[].persistentVolumeClaim.claimName",
    ),
    (
        r"PersistentVolume|persistent volume|volume node affinity|volume count|CSI",
        "volume",
        "See `kubectl describe pvc`, or choose another claim",
        "volumes[].persistentVolumeClaim",
    ),
    (
        r"Insufficient (?P<resource>[^\s/]+/\S+?)[,.]?(?:\s|$)",
        "resources",
        "Request less {resource} (--gpu), or wait until some is free",
        "containers[].resources.limits",
    ),
    (
        r"Insufficient (?P<resource>[^\s/]+?)[,.]?(?:\s|$)",
        "resources",
        "Request less {resource} (--cpu, --memory), or wait until some is free",
        "containers[].resources.requests",
    ),
    (r"Too many pods", "resources", "Wait until other pods end", ""),
    (
        r"(?<!volume )(?<!PersistentVolume's )node affinity|node selector",
        "selector or affinity",
        "Choose labels that a node has (kubectl get nodes --show-labels)",
        "nodeSelector, affinity.nodeAffinity",
    ),
    (
        r"pod (anti-)?affinity|anti-affinity",
        "selector or affinity",
        "Relax the rules about other pods",
        "affinity.podAffinity, affinity.podAntiAffinity",
    ),
    (r"topology spread", "selector or affinity", "Relax the constraints", "topologySpreadConstraints"),
    (
        rf"untolerated taint {UNHEALTHY_TAINT}",
        "node not ready",
        "Wait for the node, or ask the cluster's administrator",
        "",
    ),
    (
        rf"untolerated taint(?! {UNHEALTHY_TAINT})",
        "taint",
        "Tolerate the taint of a node you may use",
        "tolerations",
    ),
    (r"free ports", "resources", "Choose another host port, or none", "containers[].ports[].hostPort"),
    (r"were unschedulable", "taint", "Nodes are cordoned: wait, or ask the cluster's administrator", ""),
)
MOUNT_REASONS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
MISSING_OBJECT = re.compile(r'(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found', re.IGNORECASE)
MISSING_KEY = re.compile(r"references? non-existent (?P<kind>secret|config) key: (?P<name>\S+)")
MISSING_OBJECT_SECONDS = 6  # the object may be created together with the pod


def diagnose_unscheduled(pod: Pod) -> Diagnosis:
    """Return why a pod has no node."""
    gates = [gate["name"] for gate in pod["spec"].get("schedulingGates", [])]
    if gates:
        return Diagnosis("Gated", f"waits for {', '.join(gates)} to admit it", "", "gated", "schedulingGates")
    scheduled = pod_condition(pod, "PodScheduled")
    if scheduled.get("status") != "False":
        return Diagnosis("Pending")
    # A waiting user cannot use what the scheduler writes about preemption.
    message = str(scheduled.get("message", "")).partition("preemption: ")[0]
    message = one_line(message.replace("no new claims to deallocate,", ""))
    message = message.removesuffix(". not found")  # the scheduler repeats this for a missing claim
    matches = [
        (category, f"{hint.format(**match.groupdict())}{field and ': spec.'}{field}", field)
        for pattern, category, hint, field in SCHEDULER_REASONS
        if (match := re.search(pattern, message))
    ]
    if matches:
        hints = {category: hint for category, hint, _ in reversed(matches)}  # one hint per category
        hint = "; or: ".join(reversed(hints.values()))
        category, _, field = matches[0]
        return Diagnosis("Unschedulable", message, f"{hint}.", category, field)
    return Diagnosis(
        "Unschedulable",
        message,
        "Check resources, node selector and tolerations.",
        "unschedulable",
        "nodeSelector, tolerations",
    )


def diagnose_scheduled(pod: Pod, events: Events | None) -> Diagnosis:
    """Return what a pod with a node waits for, if its container statuses do not tell.

    Args:
        pod: The pod as the API server returns it.
        events: Events of the pod, oldest first; None if they have not been read.
    """
    node = pod["spec"]["nodeName"]
    if events is None:
        return Diagnosis("Starting", f"on node {node}")
    last_event = events[-1] if events else {}
    reason, message = last_event.get("reason", ""), one_line(last_event.get("message"))
    if reason in MOUNT_REASONS:
        return _diagnose_mount(reason, message)
    if reason == "FailedCreatePodSandBox":
        return Diagnosis(
            "Sandbox",
            f"node {node} cannot create the pod's sandbox: {message}",
            "The cause is often the node's network plugin, or spec.runtimeClassName.",
            "sandbox",
            "runtimeClassName",
        )
    if not pod.get("status", {}).get("startTime"):
        return Diagnosis(
            "Starting",
            f"the kubelet of node {node} has not reported anything yet",
            "Check the node with `kubectl describe node`.",
            "no kubelet",
            "nodeSelector",
        )
    if reason == "Pulling":
        return Diagnosis("Pulling", message[:1].lower() + message[1:])
    return Diagnosis("Starting", f"on node {node}")


def missing_object(kind: str, name: str, field: str, message: str) -> Diagnosis:
    """Return the diagnosis for a secret, config map or key that does not exist.

    Args:
        kind: Kind of the missing object, "secret" or "configmap key", for example.
        name: Name of the missing object.
        field: Field of the pod template that refers to it.
        message: The sentence to show.
    """
    return Diagnosis(
        f"Missing {kind}",
        message,
        f"Create {kind} {name!r} in the pod's namespace, or change spec.{field} in the template.",
        "missing secret or config map",
        field,
        give_up_seconds=MISSING_OBJECT_SECONDS,
    )


def _diagnose_mount(reason: str, message: str) -> Diagnosis:
    """Return why a volume is not mounted."""
    missing = MISSING_OBJECT.search(message)
    if missing:
        kind = missing["kind"].replace("configmap", "configMap")
        return missing_object(missing["kind"], missing["name"], f"volumes[].{kind}", message)
    key = MISSING_KEY.search(message)
    if key:
        return missing_object(f"{key['kind']} key", key["name"], "volumes[].items[].key", message)
    if "hostPath type check failed" in message:
        return Diagnosis(
            reason,
            message,
            "Change path or type: spec.volumes[].hostPath.",
            "mount",
            "volumes[].hostPath",
            give_up_seconds=MISSING_OBJECT_SECONDS,
        )
    hint = "See `kubectl describe pvc`, or change spec.volumes in the template."
    return Diagnosis(reason, message, hint, "mount", "volumes")
