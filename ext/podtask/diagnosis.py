"""Why a pod is where it is: a pod's status becomes a phase and a sentence. Pure.

Reads conditions and container states in the words of the Kubernetes API; says which field of the
template to change, and whether waiting can help.
Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Reasons of a waiting container that waiting does not cure.
HOPELESS = {
    "InvalidImageName", "ErrImageNeverPull", "CreateContainerError", "RunContainerError",
    "StartError", "ContainerCannotRun",
}  # fmt: skip
# What in a pull's message tells that no later try succeeds.
NO_IMAGE = ("not found", "manifest unknown", "unauthorized", "denied", "invalid reference")
NO_PROGRAM = ("executable file", "no such file or directory")


@dataclass(frozen=True)
class Diagnosis:
    """Where a pod is.

    Args:
        phase: Kubernetes' word, or the reason of the container that holds it up.
        say: a sentence that says more; may be empty.
        do: what to change; empty where there is nothing to do.
        hopeless: it never starts like this.
        ended: the primary container, or the whole pod, has ended.
        code: exit code of the primary container.
    """

    phase: str
    say: str = ""
    do: str = ""
    hopeless: bool = False
    ended: bool = False
    code: int | None = None


def diagnose(pod: dict[str, Any] | None, primary: str) -> Diagnosis:
    """Returns where a pod is.

    Args:
        pod: as the API shows it; None when it is gone.
        primary: name of the primary container.
    """
    if pod is None:
        return Diagnosis("Deleted", "the pod was deleted", "Run the cell again.", ended=True)
    status = pod.get("status", {})
    phase = status.get("phase", "Pending")
    own = _state(status, primary)
    if "terminated" in own:
        return _terminated(own["terminated"], primary, pod, status)
    found = _waiting(status) if "running" not in own else None
    if phase in ("Failed", "Succeeded") and (found is None or not found.hopeless):
        say = ": ".join(part for part in (status.get("reason"), status.get("message")) if part)
        return Diagnosis(phase, say or f"the pod ended: {phase}", "Run the cell again.", ended=True)
    if found is not None:
        return found
    if not pod["spec"].get("nodeName"):
        return _unscheduled(pod, status)
    if "running" in own:
        return Diagnosis("Running")
    return Diagnosis("Starting", f"on node {pod['spec']['nodeName']}")


def _state(status: dict[str, Any], name: str) -> dict[str, Any]:
    for container in status.get("containerStatuses", []):
        if container["name"] == name:
            found: dict[str, Any] = container.get("state", {})
            return found
    return {}


def _terminated(
    state: dict[str, Any], primary: str, pod: dict[str, Any], status: dict[str, Any]
) -> Diagnosis:
    code, reason = state.get("exitCode"), state.get("reason", "")
    message = " ".join(str(state.get("message", "")).split())
    do = "Run the cell again."
    if reason == "OOMKilled":
        limit = _limit(pod, primary)
        say = (
            f"the cell used more memory than the limit{limit} of container {primary!r} (OOMKilled)"
        )
        do = "Raise --memory."
    elif status.get("reason"):  # Evicted, DeadlineExceeded, NodeLost
        say = f"{status['reason']}: {status.get('message', '')}".rstrip(": ")
    elif reason in HOPELESS:
        return _cannot_start(reason, message, primary)
    else:
        say = f"container {primary!r} ended with exit code {code}"
        say += f": {message[-300:]}" if message else ""
    return Diagnosis(reason or "Terminated", say, do, ended=True, code=code)


def _waiting(status: dict[str, Any]) -> Diagnosis | None:
    """Returns what holds up a container, the init containers first."""
    kinds = (("init container", "initContainerStatuses"), ("container", "containerStatuses"))
    for kind, key in kinds:
        for container in status.get(key, []):
            name, state = container["name"], container.get("state", {})
            done = state.get("terminated")
            if kind == "init container" and done and done.get("exitCode"):
                say = f"init container {name!r} failed with exit code {done['exitCode']}"
                message = " ".join(str(done.get("message", "")).split())
                return Diagnosis("Init failed", f"{say}: {message[-300:]}".rstrip(": "),
                                 f"See kubectl logs -c {name}.", hopeless=True)  # fmt: skip
            waiting = state.get("waiting", {})
            reason = waiting.get("reason", "")
            message = " ".join(str(waiting.get("message", "")).split())
            if reason in HOPELESS:
                return _cannot_start(reason, message, name)
            if reason in ("ErrImagePull", "ImagePullBackOff", "ImageInspectError"):
                return _pulling(reason, message, name, container.get("image", ""))
            if reason == "CreateContainerConfigError":
                return Diagnosis(reason, f"container {name!r}: {message}",
                                 "Create what is missing, or change env, envFrom or volumes.")  # fmt: skip
    return None


def _cannot_start(reason: str, message: str, name: str) -> Diagnosis:
    if any(each in message for each in NO_PROGRAM) and "python3" in message:
        return Diagnosis(reason, f"the image of container {name!r} has no python3 in its PATH",
                         "Choose an image with Python 3.9 or newer: --image python:3.12-slim.",
                         hopeless=True)  # fmt: skip
    return Diagnosis(reason, f"container {name!r} cannot start: {message[-300:]}",
                     "Check its image, command and mounts in the template.", hopeless=True)  # fmt: skip


def _pulling(reason: str, message: str, name: str, image: str) -> Diagnosis:
    cause = message.replace(image, "")
    hopeless = reason == "ImagePullBackOff" and any(each in cause for each in NO_IMAGE)
    return Diagnosis(reason, f"image {image} of container {name!r}: {message[-300:]}",
                     "Check the image's name, tag and pull secret.",
                     hopeless=hopeless)  # fmt: skip


def _unscheduled(pod: dict[str, Any], status: dict[str, Any]) -> Diagnosis:
    if pod["spec"].get("schedulingGates"):
        gates = ", ".join(gate["name"] for gate in pod["spec"]["schedulingGates"])
        return Diagnosis("Gated", f"waits for {gates}")
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Diagnosis("Unschedulable", condition.get("message", ""),
                             "Check resources, node selector and tolerations.")  # fmt: skip
    return Diagnosis("Pending")


def _limit(pod: dict[str, Any], primary: str) -> str:
    for container in pod["spec"]["containers"]:
        if container["name"] == primary:
            limit = container.get("resources", {}).get("limits", {}).get("memory")
            return f" of {limit}" if limit else ""
    return ""
