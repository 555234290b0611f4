"""Causes in a user's words, from the messages of the scheduler and of container runtimes. Pure.

The messages themselves are in the pod's events.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from .model import Pod, one_line, pod_condition

NODES = re.compile(r"0/(?P<total>\d+) nodes are available: (?P<reasons>.*)", re.DOTALL)
COUNTED = re.compile(r"(?P<count>\d+) (?P<reason>.+)", re.DOTALL)
EXTENDED_RESOURCE = re.compile(r"Insufficient (?P<name>[^\s/]+/[\w.-]*\w)")
# A part of the scheduler's message, and the cause. Source: pkg/scheduler/framework/plugins/* of Kubernetes.
SCHEDULER_CAUSES = (
    (r"Insufficient (?P<resource>\S+)", "too little free {resource}"),
    (r"untolerated taint \{(?P<key>[^:}]+):? *(?P<value>[^}]*)\}", "untolerated taint {key}={value}"),
    (r"untolerated taint", "untolerated taints"),
    (r"volume node affinity|PersistentVolume's node affinity", "the volume belongs to another node"),
    (r"node affinity|node selector", "the node selector or node affinity does not match"),
    (r"pod anti-affinity", "the anti-affinity to other pods"),
    (r"pod affinity", "the affinity to other pods"),
    (r"topology spread", "the topology spread constraints"),
    (r"were unschedulable", "cordoned"),
    (r"Too many pods", "too many pods"),
    (r"free ports", "the host port is in use"),
    (r'persistentvolumeclaim "(?P<name>[^"]+)" is being deleted', "claim {name!r} is being deleted"),
    (r"unbound immediate PersistentVolumeClaims", "a claim is not bound to a volume"),
    (r"volume count", "too many volumes"),
)
# A part of the error of a failed pull, and why the registry cannot be reached.
REGISTRY_CAUSES = (
    (r"no such host", "no such host"),
    (r"connection refused", "connection refused"),
    (r"i/o timeout|timed? ?out|deadline exceeded|Client\.Timeout", "timeout"),
    (r"network is unreachable|no route to host", "no route to it"),
    (r"server gave HTTP response to HTTPS client", "it speaks HTTP, not HTTPS"),
    (r"x509|certificate|tls:", "its certificate is not accepted"),
    (r"connection reset|broken pipe|\bEOF\b", "connection lost"),
    (r"\b(?P<status>5\d\d [A-Z][A-Za-z ]+)", "{status}"),
)


def scheduler_cause(message: str, absent: Collection[str] = ()) -> str:
    """Return why a pod has no node, the cause before the number of nodes; unknown reasons stay as they are.

    Args:
        message: The scheduler's message, in one line.
        absent: Extended resources that no node of the cluster has.
    """
    found = NODES.match(message)
    if found is None:
        return message
    total = found["total"]
    causes: list[str] = []
    for reason in re.split(r", (?=\d+ )", found["reasons"].rstrip(". ")):
        resource = EXTENDED_RESOURCE.search(reason)
        if resource and resource["name"] in absent:
            causes.append(f"no node of this cluster has {resource['name']}")
            continue
        counted = COUNTED.fullmatch(reason)
        text = _scheduler_cause(counted["reason"] if counted else reason)
        causes.append(
            f"{text} ({counted['count']} of {total} node{'s' * (total != '1')})" if counted else text
        )
    return ", ".join(causes)


def missing_devices(pod: Pod) -> set[str]:
    """Return the extended resources, such as GPUs, of which the scheduler has found too little for a pod.

    Args:
        pod: The pod as the API server returns it.
    """
    scheduled = pod_condition(pod, "PodScheduled")
    if scheduled.get("status") != "False" or pod["spec"].get("nodeName"):
        return set()
    return {each["name"] for each in EXTENDED_RESOURCE.finditer(str(scheduled.get("message", "")))}


def registry_cause(message: str) -> str:
    """Return why an image cannot be pulled, if the registry neither refuses it nor lacks it.

    Args:
        message: The kubelet's message.
    """
    for pattern, text in REGISTRY_CAUSES:
        if match := re.search(pattern, message):
            return f"the registry cannot be reached ({text.format(**match.groupdict())})"
    return f"it cannot be pulled: {one_line(message)}" if message else "it cannot be pulled"


def _scheduler_cause(reason: str) -> str:
    for pattern, text in SCHEDULER_CAUSES:
        if match := re.search(pattern, reason):
            return text.format(**match.groupdict()).removesuffix("=")
    return reason.removeprefix("node(s) ")
