"""Explain why a pod is not scheduled yet, or why its containers do not start on the node. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection

from .causes import scheduler_cause
from .kubelet_kills import last_probe_failure
from .model import (
    GATED,
    MAX_MESSAGE_CHARS,
    MAX_WHOLE_CHARS,
    Diagnosis,
    Events,
    Pod,
    container_spec,
    one_line,
    parse_time,
    pod_condition,
)
from .progress import clock_time, describe_pull, describe_pulled, describe_scale_up
from .queueing import QueuePlace, diagnose_queued, is_queued, queue_name

# Taints of an unhealthy node: a pod that tolerates them is scheduled, but does not start.
UNHEALTHY_TAINT = r"\{node\.kubernetes\.io/(?:not-ready|unreachable|network-unavailable|\w+-pressure)\b"
# Part of the scheduler's message, category, hint, field of the pod spec. Several may match, because
# nodes differ: all their hints are shown, and the first one gives the category.
# Source: pkg/scheduler/framework/plugins/*, of Kubernetes 1.29 to 1.35.
SCHEDULER_REASONS = (
    (
        r'persistentvolumeclaim "[^"]+" is being deleted',
        "volume",
        "Wait, or name another claim",
        "volumes[].persistentVolumeClaim.claimName",
    ),
    (
        r"PersistentVolume|persistent volume|volume node affinity|volume count|CSI",
        "volume",
        "See `kubectl describe pvc`, or choose another claim",
        "volumes[].persistentVolumeClaim",
    ),
    (
        r'resource ?claim(?:\.resource\.k8s\.io)? "?[^"\s]+"? not found|could not find ResourceClaim|ResourceClaim .* not found',
        "resource claim",
        "Create the claim in the pod's namespace, or name another one",
        "resourceClaims",
    ),
    (
        r"device class \S+ does not exist",
        "resource claim",
        "Request a device class that the cluster has (kubectl get deviceclasses) in the claim",
        "resourceClaims",
    ),
    (
        r"cannot allocate all claims|claim is in use|resourceclaim in use",
        "resources",
        "Wait until a device is free, or request another one in the claim",
        "resourceClaims",
    ),
    (
        r"Insufficient (?P<resource>hugepages-\w+)",
        "resources",
        "Request fewer {resource}, or choose nodes that have huge pages of this size (spec.nodeSelector)",
        "containers[].resources.limits",
    ),
    (
        r"Insufficient ephemeral-storage",
        "resources",
        "Request less ephemeral-storage, or wait until some is free",
        "containers[].resources.requests",
    ),
    (
        r"Insufficient (?P<resource>[^\s/]+/\S+?)[,.]?(?:\s|$)",
        "resources",
        "Request less {resource} (--gpu), or wait until some is free",
        "containers[].resources.limits",
    ),
    (
        r"Insufficient (?P<resource>(?!hugepages-|ephemeral-storage)[^\s/]+?)[,.]?(?:\s|$)",
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
NO_DEVICE_HINT = "Request a device that a node has (--gpu-key), or ask the cluster's administrator"
CLAIM_REASON = "FailedResourceClaimCreation"
MOUNT_REASONS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
MISSING_CLAIM = re.compile(r'persistentvolumeclaim "(?P<name>[^"]+)" not found')
MISSING_OBJECT = re.compile(r'(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found', re.IGNORECASE)
MISSING_KEY = re.compile(r"references? non-existent (?P<kind>secret|config) key: (?P<name>\S+)")
MISSING_OBJECT_SECONDS = 6  # the object may be created together with the pod
MISSING_DRIVER = re.compile(
    r"driver name (?P<name>\S+) not found in the list of registered CSI drivers"
    r"|does not contain driver (?P<attached>\S+)"
)
# Part of the message about a volume that no attempt will mount, hint, field of the pod spec.
MOUNT_CAUSES = (
    (
        re.compile(r"hostPath type check failed"),
        "Change path or type: spec.volumes[].hostPath.",
        "volumes[].hostPath",
    ),
    (
        re.compile(r"no resource request for huge pages"),
        "Request them: --limits hugepages-2Mi=64Mi,memory=1Gi; or change spec.volumes[].emptyDir.medium.",
        "volumes[].emptyDir.medium",
    ),
    (
        re.compile(r"no volume plugin matched|unknown filesystem type"),
        "The node cannot mount this type of volume: change spec.volumes, or choose other nodes: spec.nodeSelector.",
        "volumes",
    ),
)
# A new node gets its drivers and its credentials for registries late.
NEW_NODE_SECONDS = 300
# Events of the autoscalers (Cluster Autoscaler, Karpenter) that add a node for a pod.
NEW_NODE_REASONS = {"TriggeredScaleUp", "Nominated"}
SCALING_REASONS = {*NEW_NODE_REASONS, "NotTriggerScaleUp"}
DEFAULT_SCHEDULER = "default-scheduler"
SANDBOX_SECONDS = 6  # the kubelet gets the same error at each attempt
# Part of the message about a sandbox that no attempt will create, hint, field of the pod spec.
SANDBOX_REASONS = (
    (
        re.compile(r"no runtime for|runtime handler", re.IGNORECASE),
        "The node does not have this runtime: change spec.runtimeClassName.",
        "runtimeClassName",
    ),
    (
        re.compile(r"user ?namespace|userns|id-?map", re.IGNORECASE),
        "The node does not support user namespaces: remove spec.hostUsers, or choose other nodes: spec.nodeSelector.",
        "hostUsers",
    ),
    (
        re.compile(r"sysctl|/proc/sys/", re.IGNORECASE),
        "The kernel of the node does not accept this sysctl: change spec.securityContext.sysctls.",
        "securityContext.sysctls",
    ),
)


def diagnose_unscheduled(
    pod: Pod, events: Events, place: QueuePlace, absent: Collection[str] = ()
) -> Diagnosis:
    """Return why a pod has no node.

    Args:
        pod: The pod as the API server returns it.
        events: Events of the pod, oldest first.
        place: What is known of it in a queue of Kueue.
        absent: Extended resources that no node of the cluster has.
    """
    if is_queued(pod):
        return diagnose_queued(queue_name(pod), place)
    gates = [gate["name"] for gate in pod["spec"].get("schedulingGates", [])]
    if gates:
        return Diagnosis(GATED, f"waits for {', '.join(gates)} to admit it", "", "gated", "schedulingGates")
    claim = _claim_problem(pod, events)
    if claim is not None:
        return claim
    scheduled = pod_condition(pod, "PodScheduled")
    if scheduled.get("status") != "False":
        return _waits_for_scheduler(pod)
    scaling = next((each for each in reversed(events) if each.get("reason") in SCALING_REASONS), {})
    if scaling.get("reason") in NEW_NODE_REASONS:
        return Diagnosis("Adding node", describe_scale_up(scaling), "", "new node")
    # A waiting user cannot use what the scheduler writes about preemption.
    message = str(scheduled.get("message", "")).partition("preemption: ")[0]
    message = one_line(message.replace("no new claims to deallocate,", ""), MAX_WHOLE_CHARS)
    missing = MISSING_CLAIM.search(message)
    if missing:
        return missing_object("claim", missing["name"], "volumes[].persistentVolumeClaim.claimName")
    cause = textwrap.shorten(scheduler_cause(message, absent), MAX_MESSAGE_CHARS, placeholder=" ...")
    if scaling:
        refusal = one_line(str(scaling["message"]).removeprefix("pod didn't trigger scale-up: "))
        message = f"{message}; the autoscaler adds no node: {refusal}"
        cause = f"{cause}; the autoscaler adds no node: {refusal}"
    matches = [
        (category, f"{_hint_for(match, hint, absent)}{field and ': spec.'}{field}", field)
        for pattern, category, hint, field in SCHEDULER_REASONS
        if (match := re.search(pattern, message))
    ]
    if matches:
        hints = {category: hint for category, hint, _ in reversed(matches)}  # one hint per category
        hint = "; or: ".join(reversed(hints.values()))
        category, _, field = matches[0]
        return Diagnosis("Unschedulable", cause, f"{hint}.", category, field)
    return Diagnosis(
        "Unschedulable",
        cause,
        "Check resources, node selector and tolerations.",
        "unschedulable",
        "nodeSelector, tolerations",
    )


def _hint_for(match: re.Match[str], hint: str, absent: Collection[str]) -> str:
    """Return what to do about a part of the scheduler's message."""
    values = match.groupdict()
    return NO_DEVICE_HINT if values.get("resource") in absent else hint.format(**values)


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
    is_new_node = any(each.get("reason") in NEW_NODE_REASONS for each in events)
    if reason in MOUNT_REASONS:
        return _diagnose_mount(reason, message, is_new_node)
    if reason == "FailedCreatePodSandBox":
        return _diagnose_sandbox(node, message)
    if not pod.get("status", {}).get("startTime"):
        return Diagnosis(
            "Starting",
            f"the kubelet of node {node} has not reported anything yet",
            "Check the node with `kubectl describe node`.",
            "no kubelet",
            "nodeSelector",
        )
    pull = describe_pull(events)
    if pull:
        return Diagnosis("Pulling", pull)
    pulled = describe_pulled(events)
    return _diagnose_init(pod, events) or Diagnosis("Starting", f"on node {node}{pulled and f'; {pulled}'}")


def missing_object(kind: str, name: str, field: str, container: str = "") -> Diagnosis:
    """Return the diagnosis for a secret, config map, claim or key that does not exist.

    Args:
        kind: Kind of the missing object, "secret" or "configmap key", for example.
        name: Name of the missing object.
        field: Field of the pod template that refers to it.
        container: Kind and name of the container that needs it; empty for a volume.
    """
    return Diagnosis(
        f"Missing {kind}",
        f"{kind} {name!r} does not exist" + (f" ({container} needs it)" if container else ""),
        f"Create {kind} {name!r} in the pod's namespace, or change spec.{field} in the template.",
        "volume" if kind == "claim" else "missing secret or config map",
        field,
        give_up_seconds=MISSING_OBJECT_SECONDS,
    )


def _waits_for_scheduler(pod: Pod) -> Diagnosis:
    """Return the diagnosis of a pod that no scheduler has reported on; the default one takes milliseconds."""
    scheduler = pod["spec"].get("schedulerName", DEFAULT_SCHEDULER)
    claims = pod["spec"].get("resourceClaims", [])
    if scheduler == DEFAULT_SCHEDULER and not claims:
        return Diagnosis("Pending")
    if scheduler == DEFAULT_SCHEDULER:
        # The scheduler reports nothing about a pod whose claims do not exist.
        listed = [
            each.get("resourceClaimName")
            or f"{each['name']} (from template {each.get('resourceClaimTemplateName')})"
            for each in claims
        ]
        return Diagnosis(
            "Pending",
            f"the scheduler waits for the resource claims of the pod: {', '.join(listed)}",
            "If they do not exist (kubectl get resourceclaims), create them, or change spec.resourceClaims.",
            "resource claim",
            "resourceClaims",
        )
    return Diagnosis(
        "Pending",
        f"scheduler {scheduler!r} has not reported anything about the pod yet",
        "Check that it runs in the cluster, or remove spec.schedulerName from the template.",
        "no scheduler",
        "schedulerName",
    )


def _claim_problem(pod: Pod, events: Events) -> Diagnosis | None:
    """Return why the resource claims of a pod cannot be made from their templates; None if they were made."""
    made = {each["name"] for each in pod.get("status", {}).get("resourceClaimStatuses", [])}
    wanted = [each for each in pod["spec"].get("resourceClaims", []) if each.get("resourceClaimTemplateName")]
    last = next((each for each in reversed(events) if each.get("reason") == CLAIM_REASON), None)
    if last is None or made.issuperset(each["name"] for each in wanted):
        return None
    message = one_line(last.get("message"))
    hint = (
        "Create the ResourceClaimTemplate in the pod's namespace, or change"
        if "not found" in message
        else "Check the quota of the namespace and"
    )
    field = "resourceClaims[].resourceClaimTemplateName"
    return Diagnosis(
        "Missing claim", message, f"{hint} spec.{field} in the template.", "resource claim", field
    )


def _diagnose_init(pod: Pod, events: Events) -> Diagnosis | None:
    """Return which init container or native sidecar the pod waits for; None if they are done."""
    statuses = pod.get("status", {}).get("initContainerStatuses", [])
    for number, status in enumerate(statuses, 1):
        name, running = status["name"], status.get("state", {}).get("running")
        if running is None:
            continue
        path = f"spec.initContainers[{name}]"
        if container_spec(pod, name).get("restartPolicy") != "Always":
            pod_name = pod.get("metadata", {}).get("name", "NAME")
            return Diagnosis(
                "Initializing",
                f"init container {name!r} ({number} of {len(statuses)}) has been running"
                f" since {clock_time(parse_time(running.get('startedAt')))}",
                f"%podtask logs {pod_name} {name} shows its output.",
                "init running",
                path.removeprefix("spec."),
            )
        if not status.get("started"):
            failure = last_probe_failure(events, name, "startup")
            return Diagnosis(
                "Initializing",
                f"sidecar {name!r} runs, but its startup probe has not succeeded yet{failure and f': {failure}'}",
                f"Change {path}.startupProbe in the template if this stays so.",
                "startup probe",
                f"{path.removeprefix('spec.')}.startupProbe",
            )
    return None


def _diagnose_sandbox(node: str, message: str) -> Diagnosis:
    """Return why a node cannot create the sandbox of a pod, and give up if no attempt will."""
    cause = f"node {node} cannot create the pod's sandbox: {message}"
    for pattern, hint, field in SANDBOX_REASONS:
        if pattern.search(message):
            return Diagnosis("Sandbox", cause, hint, "sandbox", field, give_up_seconds=SANDBOX_SECONDS)
    hint = "The cause is often the node's network plugin, or spec.runtimeClassName."
    return Diagnosis("Sandbox", cause, hint, "sandbox", "runtimeClassName")


def _diagnose_mount(reason: str, message: str, is_new_node: bool) -> Diagnosis:
    """Return why a volume is not mounted."""
    missing = MISSING_OBJECT.search(message)
    if missing:
        kind = missing["kind"].replace("configmap", "configMap")
        return missing_object(missing["kind"], missing["name"], f"volumes[].{kind}")
    key = MISSING_KEY.search(message)
    if key:
        return missing_object(f"{key['kind']} key", key["name"], "volumes[].items[].key")
    driver = MISSING_DRIVER.search(message)
    if driver:
        return Diagnosis(
            reason,
            message,
            f"The node does not have the CSI driver {driver['name'] or driver['attached']}: install it, "
            "or change spec.volumes[].csi, or the claim of the volume.",
            "csi driver",
            "volumes[].csi",
            give_up_seconds=NEW_NODE_SECONDS if is_new_node else MISSING_OBJECT_SECONDS,
        )
    for pattern, hint, field in MOUNT_CAUSES:
        if pattern.search(message):
            seconds = NEW_NODE_SECONDS if is_new_node else MISSING_OBJECT_SECONDS
            return Diagnosis(reason, message, hint, "mount", field, give_up_seconds=seconds)
    hint = "See `kubectl describe pvc`, or change spec.volumes in the template."
    return Diagnosis(reason, message, hint, "mount", "volumes")
