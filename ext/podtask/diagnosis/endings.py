"""Explain how a pod ended: each cause has its own sentence. Pure.

If the cluster deletes a pod, the condition DisruptionTarget has the reason:
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
"""

from __future__ import annotations

import re
from typing import Any

from ..runner.log_lines import cell_output
from .kubelet_kills import KubeletKill, find_kill, find_probe_before_stop, may_be_killed
from .model import (
    Diagnosis,
    Events,
    Pod,
    cell_status,
    container_spec,
    container_status,
    container_statuses,
    is_node_silent,
    memory_limit_suffix,
    one_line,
    pod_condition,
)
from .queueing import diagnose_eviction

RUN_AGAIN = "Run the cell again."
EXIT_KILLED = 137  # 128 + SIGKILL
# End of a line of the runner's record or of a frame. The kubelet keeps the end of a log only, so the line may lack
# the prefix by which it is recognized.
ENCODED = re.compile(r"(?:^|\s)[A-Za-z0-9+/]{80,}={0,2}$")
# Reasons with which a kubelet rejects a scheduled pod: prefix of the reason, sentence, hint, field to change.
# Source: pkg/kubelet/lifecycle/predicate.go and pkg/kubelet/cm of Kubernetes 1.35.
REJECTION_REASONS = (
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
    ("PodOSNotSupported", "its node has another operating system", "Change spec.os in the template.", "os"),
    (
        "AppArmor",
        "its node cannot enforce the AppArmor profile",
        "Choose nodes that support it (spec.nodeSelector), or remove appArmorProfile from spec.securityContext and "
        "spec.containers[].securityContext, or the annotation container.apparmor.security.beta.kubernetes.io.",
        "securityContext.appArmorProfile",
    ),
    (
        "Sysctl",
        "its node does not allow the sysctl",
        "Remove it from spec.securityContext.sysctls, or ask the cluster's administrator to allow it "
        "(allowedUnsafeSysctls of the kubelet).",
        "securityContext.sysctls",
    ),
    (
        "SupplementalGroupsPolicy",
        "its node does not support the policy for supplemental groups",
        "Remove spec.securityContext.supplementalGroupsPolicy.",
        "securityContext.supplementalGroupsPolicy",
    ),
    (
        "PodLevelResources",
        "its node does not support resources of a whole pod",
        "Set resources of the containers in place of spec.resources.",
        "resources",
    ),
)
# Reasons of the condition Failed of a Job. A pod that the Job has not created (manifest/retrying_job.py) has them.
JOB_END_REASONS = ("BackoffLimitExceeded", "PodFailurePolicy")
# Reason of DisruptionTarget -> category, sentence, hint.
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
    "DeletionByPodGC": ("node lost", "its node is gone", RUN_AGAIN),
    "TerminationByKubelet": (
        "evicted",
        "its node ran out of a resource or was shutting down",
        "Request as much as the cell uses: --memory, or ephemeral-storage in resources.",
    ),
}


def diagnose_running(pod: Pod) -> Diagnosis:
    """Return the diagnosis of a pod whose primary container was last reported as running."""
    if not is_node_silent(pod):
        return Diagnosis("Running")
    end = diagnose_termination(pod, "", [])
    if end is not None:  # the cluster is deleting the pod: the cell ends even if the node comes back
        return end
    node, name = pod["spec"].get("nodeName"), pod.get("metadata", {}).get("name", "NAME")
    return Diagnosis(
        "Running",
        f"its node {node} has stopped reporting; the cluster deletes the pod after a few minutes",
        f"See `kubectl describe node {node}`. If the node is alive, the cell continues; if it is dead, run "
        f"%podtask delete {name} --force",
        "node lost",
        "tolerations",
    )


def diagnose_termination(pod: Pod, primary: str, events: Events, gone: bool = False) -> Diagnosis | None:
    """Return why the cluster or a user terminated the pod; None if neither did.

    Args:
        pod: Last known state of the pod.
        primary: Name of the primary container.
        events: Events of the pod, oldest first.
        gone: Whether the API server no longer has the pod.
    """
    status = pod.get("status", {})
    reason, message = status.get("reason", ""), one_line(status.get("message"))
    disruption = pod_condition(pod, "DisruptionTarget")
    exit_code = _terminated(pod, primary).get("exitCode")
    kill = find_kill(events, primary)
    if kill is not None:
        return _killed(kill, primary, exit_code)
    if reason == "DeadlineExceeded":
        seconds = pod["spec"].get("activeDeadlineSeconds")
        return _ended(
            reason,
            f"it ran longer than its activeDeadlineSeconds of {seconds} (DeadlineExceeded)",
            "Raise --timeout, or activeDeadlineSeconds in the template.",
            "deadline",
            "spec.activeDeadlineSeconds",
            exit_code,
        )
    if reason == "Evicted":
        return _ended(
            reason,
            f"its node evicted it: {message}",
            DISRUPTIONS["TerminationByKubelet"][2],
            "evicted",
            "resources.requests",
            exit_code,
        )
    if reason in ("NodeLost", "NodeShutdown", "Terminated", "Shutdown"):
        sentence = f"its node was lost or shut down: {message or reason}"
        return _ended(reason, sentence, RUN_AGAIN, "node lost", "", exit_code)
    if disruption.get("status") == "True":
        reason = disruption.get("reason", "")
        unknown = ("disrupted", f"the cluster terminated it ({reason})", RUN_AGAIN)
        category, sentence, hint = DISRUPTIONS.get(reason, unknown)
        sentence = _with_detail(sentence, one_line(disruption.get("message")))
        return _ended(reason or "Disrupted", sentence, hint, category, "", exit_code)
    eviction = diagnose_eviction(pod)
    if eviction is not None:
        reason, category, sentence, hint = eviction
        return _ended(reason, sentence, hint, category, "", exit_code)
    if gone or pod.get("metadata", {}).get("deletionTimestamp"):
        return _ended(
            "Deleted",
            "the pod was deleted by a user or a clean-up job",
            f"`kubectl get events` may show why. {RUN_AGAIN}",
            "deleted",
            "",
            exit_code,
        )
    kill = find_probe_before_stop(events, primary)
    return _killed(kill, primary, exit_code) if kill else None


def _killed(kill: KubeletKill, primary: str, exit_code: int | None) -> Diagnosis:
    return _ended(
        "Killed",
        f"the kubelet killed container {primary!r}: {kill.sentence}",
        f"Change {kill.field} in the template{', or run without --keep-probes' if kill.is_probe else ''}.",
        "probe or hook failed",
        kill.field.removeprefix("spec."),
        exit_code,
    )


def diagnose_end(pod: Pod, primary: str, events: Events, gone: bool = False) -> Diagnosis | None:
    """Return how the primary container or the whole pod ended; None if it has not ended.

    Args:
        pod: Last known state of the pod.
        primary: Name of the primary container.
        events: Events of the pod, oldest first.
        gone: Whether the API server no longer has the pod.
    """
    status = pod.get("status", {})
    phase = status.get("phase", "Pending")
    terminated = _terminated(pod, primary)
    if not (terminated or gone or phase in ("Failed", "Succeeded")):
        return None
    exit_code = terminated.get("exitCode")
    if terminated.get("reason") == "OOMKilled":
        limit = memory_limit_suffix(pod, primary)
        return _ended(
            "OOMKilled",
            f"the cell used more memory than the limit{limit} of container {primary!r} (OOMKilled)",
            "Raise --memory.",
            "out of memory",
            "resources.limits.memory",
            exit_code,
        )
    termination = diagnose_termination(pod, primary, events, gone)
    if termination is not None:
        return termination
    if phase == "Failed" and status.get("reason") in JOB_END_REASONS:
        message = _with_detail("its Job has ended", one_line(status.get("message")))
        return _ended(
            status["reason"], message, "Raise --retries, or run the cell again.", "job ended", "", None
        )
    for prefix, sentence, hint, field in REJECTION_REASONS:
        if not terminated and status.get("reason", "").startswith(prefix):
            message = _with_detail(sentence, one_line(status.get("message")))
            return _ended(status["reason"], message, hint, "rejected by its node", field, None)
    if phase == "Failed" and status.get("reason") and not status.get("containerStatuses"):
        message = _with_detail("its node rejected it", one_line(status.get("message")))
        hint = "Change what the message names in the template, or choose other nodes: spec.nodeSelector."
        return _ended(status["reason"], message, hint, "rejected by its node", "", None)
    if terminated:
        result = cell_status(terminated)
        sentence = f"container {primary!r} ended with exit code {exit_code}"
        sentence = _with_detail(
            sentence, f"the cell has ended ({result})" if result else _last_words(terminated)
        )
        reason = terminated.get("reason") or "Terminated"
        return _ended(reason, sentence, RUN_AGAIN, "ended", "", exit_code)
    parts = (status.get("reason"), one_line(status.get("message")))
    sentence = ": ".join(part for part in parts if part) or f"the pod ended: {phase}"
    return _ended(phase, sentence, RUN_AGAIN, "ended", "", None)


def killable_sidecars(pod: Pod, primary: str) -> list[str]:
    """Return the names of the sidecars that have ended or restarted and that the kubelet may have killed.

    A container that terminates properly when it is killed ends with 0, and a native sidecar runs again.
    """
    if _terminated(pod, primary):
        return []
    return [
        status["name"]
        for kind, status in container_statuses(pod, primary)
        if kind == "sidecar"
        and ("terminated" in status.get("state", {}) or status.get("restartCount"))
        and may_be_killed(container_spec(pod, status["name"]))
    ]


def dead_sidecars(pod: Pod, primary: str) -> dict[str, str]:
    """Return the sidecars that failed while the primary container runs: name -> sentence."""
    if _terminated(pod, primary):
        return {}
    sentences = {}
    listed = {each["name"] for each in pod["spec"].get("initContainers", [])}
    for _, container in container_statuses(pod, primary):
        name, terminated = container["name"], container.get("state", {}).get("terminated", {})
        if name != primary and name not in listed and terminated.get("exitCode"):
            code, limit = terminated["exitCode"], memory_limit_suffix(pod, name)
            detail = ""
            if terminated.get("reason") == "OOMKilled":
                detail = f", OOMKilled at the limit{limit}"
            elif code == EXIT_KILLED and limit:
                # The end of a container may be reported before the kernel's event about its memory.
                detail = f", killed, perhaps for its memory limit{limit}"
            sentences[name] = f"sidecar {name!r} ended with exit code {code}{detail}"
    return sentences


def _terminated(pod: Pod, primary: str) -> dict[str, Any]:
    """Return the state "terminated" of the primary container; empty until it has ended."""
    return dict(container_status(pod, primary).get("state", {}).get("terminated", {}))


def _last_words(terminated: dict[str, Any]) -> str:
    """Return the message of an ended container in one line, without the runner's own lines."""
    lines = cell_output(terminated.get("message") or "").splitlines()
    return one_line("\n".join(line for line in lines if not ENCODED.search(line)))


def _with_detail(sentence: str, detail: str) -> str:
    return f"{sentence}: {detail}" if detail else sentence


def _ended(
    phase: str, message: str, hint: str, category: str, field: str, exit_code: int | None
) -> Diagnosis:
    return Diagnosis(phase, message, hint, category, field, ended=True, exit_code=exit_code)
