"""What was found out about a pod, and how its parts are read. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_MESSAGE_CHARS = 300  # characters of a message; its end is kept, where the cause stands
WAITS = " (Waits until --start-timeout.)"
LOST = {"preempted", "evicted", "node lost", "disrupted", "rejected by its node"}
Pod = dict[str, Any]
Events = list[dict[str, Any]]


@dataclass(frozen=True)
class Diagnosis:
    """Where a pod is.

    Args:
        phase: Kubernetes' word, or the reason of what holds it up.
        message: a sentence that says more; may be empty.
        hint: what to change; empty where there is nothing to do.
        category: of the cause, a few words; empty where nothing is wrong.
        field: of the pod template, which to change; empty where none helps.
        limit: seconds after which it is given up; None: waiting may help.
        ended: the primary container, or the whole pod, has ended.
        code: exit code of the primary container.
        log: name of the container whose last lines say more.
    """

    phase: str
    message: str = ""
    hint: str = ""
    category: str = ""
    field: str = ""
    limit: float | None = None
    ended: bool = False
    code: int | None = None
    log: str = ""

    @property
    def lost(self) -> bool:
        """Whether the pod ended for want of its place: another one may do better."""
        return self.ended and self.category in LOST

    @property
    def hopeless(self) -> bool:
        """Whether it is given up after :attr:`limit`."""
        return self.limit is not None

    @property
    def waiting(self) -> bool:
        """Whether the pod waits, until its start timeout, for something that may still change."""
        return bool(self.category) and not self.ended and self.limit is None and self.phase != "Running"

    @property
    def sentence(self) -> str:
        """Message, hint and limit in one line."""
        if not self.category or self.ended:
            return self.message
        sentence = f"{self.message}. {self.hint}" if self.hint else self.message
        if self.limit == 0 or self.waiting:
            return sentence
        return f"{sentence}." if self.phase == "Running" else f"{sentence} (Waits for {self.limit:g} s.)"

    @property
    def line(self) -> str:
        """The sentence, and whether the pod waits."""
        return f"{self.sentence}{WAITS}" if self.waiting else self.sentence


def one_line(text: Any) -> str:
    """Return a text in one line, at most its last 300 characters."""
    return " ".join(str(text or "").split())[-MAX_MESSAGE_CHARS:].rstrip(".: ")


def conditions(pod: Pod, kind: str) -> dict[str, Any]:
    """Return a pod's condition of a type; empty where it has none."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == kind:
            return dict(condition)
    return {}


def status_of(pod: Pod, name: str) -> dict[str, Any]:
    """Return the status of a container; empty where nothing is known yet."""
    for container in pod.get("status", {}).get("containerStatuses", []):
        if container["name"] == name:
            return dict(container)
    return {}


def spec_of(pod: Pod, name: str) -> dict[str, Any]:
    """Return a container, init containers among them; empty where there is none."""
    spec = pod["spec"]
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        if container["name"] == name:
            return dict(container)
    return {}


def statuses(pod: Pod, primary: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (init container, sidecar or container; status), in the order in which they start."""
    status = pod.get("status", {})
    for container in status.get("initContainerStatuses", []):
        native = spec_of(pod, container["name"]).get("restartPolicy") == "Always"
        yield "sidecar" if native else "init container", container
    for container in status.get("containerStatuses", []):
        yield "container" if container["name"] == primary else "sidecar", container


def memory_limit(pod: Pod, name: str) -> str:
    """Return `` of 512Mi`` where a container has a memory limit, else nothing."""
    limit = spec_of(pod, name).get("resources", {}).get("limits", {}).get("memory")
    return f" of {limit}" if limit else ""
