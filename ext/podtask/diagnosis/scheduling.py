"""Why a pod has no node yet, and why one with a node has no container yet. Pure."""

from __future__ import annotations

import re

from .model import Diagnosis, Events, Pod, conditions, one_line

# Taints of a node that is not well: who tolerates them gets a pod that does not start.
AILING = r"\{node\.kubernetes\.io/(?:not-ready|unreachable|network-unavailable|\w+-pressure)\b"
# Part of the scheduler's message -> category, what to do, field of the pod spec. The first that
# is found; more than one may hold, as nodes differ: the scheduler's own words are shown.
# Source: pkg/scheduler/framework/plugins/*, of Kubernetes 1.29 to 1.35.
SCHEDULER = (
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
        r"Insufficient (?P<what>[^\s/]+/\S+?)[,.]?(?:\s|$)",
        "resources",
        "Request less {what} (--gpu), or wait until some is free",
        "containers[].resources.limits",
    ),
    (
        r"Insufficient (?P<what>[^\s/]+?)[,.]?(?:\s|$)",
        "resources",
        "Request less {what} (--cpu, --memory), or wait until some is free",
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
        "Loosen the rules about other pods",
        "affinity.podAffinity, affinity.podAntiAffinity",
    ),
    (r"topology spread", "selector or affinity", "Loosen the constraints", "topologySpreadConstraints"),
    (
        rf"untolerated taint {AILING}",
        "node not ready",
        "Wait for the node, or ask the cluster's administrator",
        "",
    ),
    (rf"untolerated taint(?! {AILING})", "taint", "Tolerate the taint of a node you may use", "tolerations"),
    (r"free ports", "resources", "Choose another host port, or none", "containers[].ports[].hostPort"),
    (r"were unschedulable", "taint", "Nodes are cordoned: wait, or ask the cluster's administrator", ""),
)
MOUNT_REASONS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
MISSING = re.compile(r'(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found', re.IGNORECASE)
KEYS = re.compile(r"references? non-existent (?P<kind>secret|config) key: (?P<name>\S+)")
MISSING_SECONDS = 6  # for who creates it beside the pod


def unplaced(pod: Pod) -> Diagnosis:
    """Return why a pod has no node."""
    gates = [gate["name"] for gate in pod["spec"].get("schedulingGates", [])]
    if gates:
        return Diagnosis("Gated", f"waits for {', '.join(gates)} to admit it", "", "gated", "schedulingGates")
    placed = conditions(pod, "PodScheduled")
    if placed.get("status") != "False":
        return Diagnosis("Pending")
    # What preemption would bring is of no use to who waits.
    whole = str(placed.get("message", "")).partition("preemption: ")[0]
    message = one_line(whole.replace("no new claims to deallocate,", ""))
    message = message.removesuffix(". not found")  # of a claim, the scheduler says it twice
    # Nodes differ: all that is named is advised, and the first is the category.
    found = [
        (category, f"{do.format(**match.groupdict())}{field and ': spec.'}{field}", field)
        for pattern, category, do, field in SCHEDULER
        if (match := re.search(pattern, message))
    ]
    if found:
        advice = {category: do for category, do, _ in reversed(found)}
        do = "; or: ".join(reversed(advice.values()))
        return Diagnosis("Unschedulable", message, f"{do}.", found[0][0], found[0][2])
    return Diagnosis(
        "Unschedulable",
        message,
        "Check resources, node selector and tolerations.",
        "unschedulable",
        "nodeSelector, tolerations",
    )


def on_node(pod: Pod, events: Events | None) -> Diagnosis:
    """Return what a pod with a node waits for, when no container says anything."""
    node = pod["spec"]["nodeName"]
    if events is None:
        return Diagnosis("Starting", f"on node {node}")
    last = events[-1] if events else {}
    reason, message = last.get("reason", ""), one_line(last.get("message"))
    if reason in MOUNT_REASONS:
        return mounting(reason, message)
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


def mounting(reason: str, message: str) -> Diagnosis:
    """Return why a volume is not mounted."""
    field = "volumes"
    missing = MISSING.search(message)
    if missing:
        kind = missing["kind"].replace("configmap", "configMap")
        return absent(missing["kind"], missing["name"], f"volumes[].{kind}", message)
    key = KEYS.search(message)
    if key:
        return absent(f"{key['kind']} key", key["name"], "volumes[].items[].key", message)
    if "hostPath type check failed" in message:
        return Diagnosis(
            reason,
            message,
            "Change path or type: spec.volumes[].hostPath.",
            "mount",
            "volumes[].hostPath",
            limit=MISSING_SECONDS,
        )
    return Diagnosis(reason, message, f"See `kubectl describe pvc`, or change: spec.{field}.", "mount", field)


def absent(kind: str, name: str, field: str, message: str) -> Diagnosis:
    """Return the diagnosis of a secret, config map or key that is not there."""
    return Diagnosis(
        f"Missing {kind}",
        message,
        f"Create {kind} {name!r} in the pod's namespace, or change: spec.{field}.",
        "missing secret or config map",
        field,
        limit=MISSING_SECONDS,
    )
