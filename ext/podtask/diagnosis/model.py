"""The diagnosis of a pod, and functions that read parts of a pod. Pure."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_MESSAGE_CHARS = 300
GATED = "Gated"  # phase of a pod that a queue, or another controller, keeps from the scheduler
MAX_WHOLE_CHARS = 4000  # in the details, which show messages whole
# Categories of pods that ended because of the cluster, not because of the cell.
LOST_CATEGORIES = {"preempted", "evicted", "node lost", "disrupted", "rejected by its node"}
# Object of an event: spec.containers{primary} or spec.initContainers{proxy}.
CONTAINER_PATH = re.compile(r"spec\.(?P<kind>containers|initContainers)\{(?P<name>.+)\}")
Pod = dict[str, Any]
Events = list[dict[str, Any]]


@dataclass(frozen=True)
class Diagnosis:
    """What a pod is doing, what is wrong with it, and what to change.

    Args:
        phase: Phase of the pod in Kubernetes' words, or the reason why it does not start.
        message: A sentence that explains the phase; may be empty.
        hint: What to change; empty if there is nothing to do.
        category: The cause in a few words; empty if nothing is wrong.
        field: Field of the pod template to change; empty if changing the template does not help.
        give_up_seconds: Seconds after which podtask gives up; None if waiting may help.
        ended: Whether the primary container or the whole pod has ended.
        exit_code: Exit code of the primary container.
        log_container: Name of the container whose last log lines explain more; may be empty.
    """

    phase: str
    message: str = ""
    hint: str = ""
    category: str = ""
    field: str = ""
    give_up_seconds: float | None = None
    ended: bool = False
    exit_code: int | None = None
    log_container: str = ""

    @property
    def lost(self) -> bool:
        """Whether the cluster ended the pod, so that another pod may succeed."""
        return self.ended and self.category in LOST_CATEGORIES

    @property
    def permanent(self) -> bool:
        """Whether waiting does not help: podtask gives up after ``give_up_seconds``."""
        return self.give_up_seconds is not None

    @property
    def waiting(self) -> bool:
        """Whether the pod waits, until its start timeout, for something that may still change."""
        may_change = self.give_up_seconds is None and self.phase != "Running"
        return bool(self.category) and not self.ended and may_change


def one_line(text: object, max_chars: int = MAX_MESSAGE_CHARS) -> str:
    """Return a text in one line; only its last words if it is long, because the cause is at the end.

    Args:
        text: The text.
        max_chars: Most characters of the line.
    """
    line = " ".join(str(text or "").split()).rstrip(".: ")
    if len(line) <= max_chars:
        return line
    tail = line[-max_chars:]
    _, _, whole_words = tail.partition(" ")
    return f"... {whole_words or tail}"


def long_messages(pod: Pod) -> Iterator[str]:
    """Yield the messages in the status of a pod that :func:`one_line` cuts, each with its reason."""
    status = pod.get("status", {})
    found = [status, *status.get("conditions", [])]
    for _, container in container_statuses(pod):
        found.append(container.get("state", {}).get("waiting", {}))
    for each in found:
        if len(str(each.get("message") or "")) > MAX_MESSAGE_CHARS:
            yield f"{each.get('reason', '')}: {one_line(each['message'], MAX_WHOLE_CHARS)}"


def cell_status(terminated: dict[str, Any]) -> str:
    """Return how the cell ended, as its runner wrote it to the termination message; empty if it did not.

    Args:
        terminated: State "terminated" of the primary container.
    """
    try:
        return str(json.loads(terminated.get("message", ""))["status"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def pod_condition(pod: Pod, condition_type: str) -> dict[str, Any]:
    """Return the pod's condition of a type; empty if the pod does not have it."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == condition_type:
            return dict(condition)
    return {}


def is_node_silent(pod: Pod) -> bool:
    """Return whether the node of a pod has stopped reporting.

    The status of its pods does not change then, with one exception: the condition Ready becomes False while
    ContainersReady stays True.
    """
    ready = pod_condition(pod, "Ready")
    return (
        ready.get("status") == "False"
        and ready.get("reason") != "ReadinessGatesNotReady"
        and pod_condition(pod, "ContainersReady").get("status") == "True"
    )


def event_container(event: dict[str, Any]) -> tuple[str, str]:
    """Return the list and the name of the container that an event is about; empty texts if it is not about one."""
    place = CONTAINER_PATH.fullmatch(str(event.get("involvedObject", {}).get("fieldPath", "")))
    return (place["kind"], place["name"]) if place else ("", "")


def event_time(event: dict[str, Any]) -> dt.datetime | None:
    """Return when an event has happened last; None if it does not tell."""
    series = event.get("series") or {}
    return parse_time(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime"))


def parse_time(timestamp: object) -> dt.datetime | None:
    """Return the time of a timestamp of the API; None if it is missing or not readable."""
    try:
        return dt.datetime.fromisoformat(str(timestamp).replace("Z", "+00:00"))
    except ValueError:
        return None


def container_status(pod: Pod, name: str) -> dict[str, Any]:
    """Return the status of a container; empty if none is known yet."""
    for container in pod.get("status", {}).get("containerStatuses", []):
        if container["name"] == name:
            return dict(container)
    return {}


def container_spec(pod: Pod, name: str) -> dict[str, Any]:
    """Return the spec of a container or init container; empty if the pod has no container with that name."""
    spec = pod["spec"]
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        if container["name"] == name:
            return dict(container)
    return {}


def container_statuses(pod: Pod, primary: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kind and the status of each container, in the order in which they start.

    The kind is "init container", "sidecar" or "container"; the last is the primary container. Statuses of containers
    that the pod does not have are left out: whoever may change the status of pods may add any number of them.
    """
    status = pod.get("status", {})
    for container in status.get("initContainerStatuses", []):
        if spec := container_spec(pod, container["name"]):
            yield "sidecar" if spec.get("restartPolicy") == "Always" else "init container", container
    for container in status.get("containerStatuses", []):
        if container_spec(pod, container["name"]):
            yield "container" if container["name"] == primary else "sidecar", container


def memory_limit_suffix(pod: Pod, name: str) -> str:
    """Return `` of 512Mi`` for a container with that memory limit; empty if it has no limit."""
    limit = container_spec(pod, name).get("resources", {}).get("limits", {}).get("memory")
    return f" of {limit}" if limit else ""
