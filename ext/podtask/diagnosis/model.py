"""The diagnosis of a pod, and functions that read parts of a pod. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_MESSAGE_CHARS = 300
# Categories of pods that ended because of the cluster, not because of the cell.
LOST_CATEGORIES = {"preempted", "evicted", "node lost", "disrupted", "rejected by its node"}
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

    @property
    def sentence(self) -> str:
        """Message, hint and the time until podtask gives up, in one line."""
        if not self.category or self.ended:
            return self.message
        sentence = f"{self.message}. {self.hint}" if self.hint else self.message
        if self.give_up_seconds == 0 or self.waiting:
            return sentence
        return (
            f"{sentence}."
            if self.phase == "Running"
            else f"{sentence} (Waits for {self.give_up_seconds:g} s.)"
        )


def one_line(text: object) -> str:
    """Return a text in one line; only its last 300 characters, because the cause is at the end."""
    return " ".join(str(text or "").split())[-MAX_MESSAGE_CHARS:].rstrip(".: ")


def pod_condition(pod: Pod, condition_type: str) -> dict[str, Any]:
    """Return the pod's condition of a type; empty if the pod does not have it."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == condition_type:
            return dict(condition)
    return {}


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


def container_statuses(pod: Pod, primary: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kind and the status of each container, in the order in which they start.

    The kind is "init container", "sidecar" or "container"; the last is the primary container.
    """
    status = pod.get("status", {})
    for container in status.get("initContainerStatuses", []):
        is_sidecar = container_spec(pod, container["name"]).get("restartPolicy") == "Always"
        yield "sidecar" if is_sidecar else "init container", container
    for container in status.get("containerStatuses", []):
        yield "container" if container["name"] == primary else "sidecar", container


def memory_limit_suffix(pod: Pod, name: str) -> str:
    """Return `` of 512Mi`` for a container with that memory limit; empty if it has no limit."""
    limit = container_spec(pod, name).get("resources", {}).get("limits", {}).get("memory")
    return f" of {limit}" if limit else ""
