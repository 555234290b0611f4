"""Find failed probes and hooks in the events of a pod: those for which the kubelet killed a container. Pure.

Source: pkg/kubelet/prober and pkg/kubelet/kuberuntime of Kubernetes 1.35.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .model import Events, event_container, event_time, one_line

KILLED_FOR_PROBE = re.compile(r"failed (?P<probe>liveness|startup) probe")
PROBE_RESULT = re.compile(
    r"(?P<probe>Liveness|Startup) probe (?:failed|errored)[^:]*: (?P<message>.*)", re.DOTALL
)
MAX_KILL_SECONDS = 2  # between the failure of a probe and the kill; events have whole seconds
KILLING_FIELDS = ("livenessProbe", "startupProbe")


@dataclass(frozen=True)
class KubeletKill:
    """Why the kubelet killed a container.

    Args:
        sentence: What failed, with its message: ``its liveness probe failed: HTTP probe failed with statuscode: 500``.
        field: Field of the template: ``spec.containers[primary].livenessProbe``.
    """

    sentence: str
    field: str

    @property
    def is_probe(self) -> bool:
        """Whether a probe failed, and not a hook."""
        return self.field.endswith("Probe")


def find_kill(events: Events, name: str) -> KubeletKill | None:
    """Return why the kubelet last killed a container; None if the events do not tell.

    Args:
        events: Events of the pod, oldest first.
        name: Name of the container.
    """
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        path = _path_of(event, name)
        if not path:
            continue
        message = str(event.get("message") or "")
        killed = KILLED_FOR_PROBE.search(message) if event.get("reason") == "Killing" else None
        if killed:
            probe = killed["probe"]
            result = last_probe_failure(events, name, probe)
            sentence = f"its {probe} probe failed{result and f': {result}'}"
            return KubeletKill(sentence, f"{path}.{probe}Probe")
        if event.get("reason") == "FailedPostStartHook":
            # Since Kubernetes 1.27, the event does not say more than this.
            detail = one_line(message.removeprefix("PostStartHook failed").lstrip(": "))
            return KubeletKill(
                f"its postStart hook failed{detail and f': {detail}'}", f"{path}.lifecycle.postStart"
            )
    return None


def find_probe_before_stop(events: Events, name: str) -> KubeletKill | None:
    """Return the probe that failed just before the kubelet stopped a container; None if none did.

    If no other container of the pod runs, the event of a kill for a probe does not name the probe: "Stopping container
    primary". It has the same message if the pod is deleted, so this is only for a pod that nobody has deleted.

    Args:
        events: Events of the pod, oldest first.
        name: Name of the container.
    """
    own = [each for each in events if _path_of(each, name)]
    stopped = next((each for each in reversed(own) if each.get("reason") == "Killing"), None)
    for event in reversed(own):
        result = PROBE_RESULT.match(str(event.get("message") or ""))
        if (
            stopped
            and result
            and event.get("reason") == "Unhealthy"
            and _seconds_between(event, stopped) <= MAX_KILL_SECONDS
        ):
            probe = result["probe"].lower()
            return KubeletKill(
                f"its {probe} probe failed: {one_line(result['message'])}",
                f"{_path_of(event, name)}.{probe}Probe",
            )
    return None


def failed_stop_hooks(events: Events) -> list[KubeletKill]:
    """Return the preStop hooks that have failed, one for each container; the kubelet has ended it all the same.

    Args:
        events: Events of the pod, oldest first.
    """
    found: dict[tuple[str, str], KubeletKill] = {}
    for event in events:
        kind, name = event_container(event)
        if event.get("reason") == "FailedPreStopHook" and kind:
            # As for postStart, Kubernetes from 1.27 on says no more in the event.
            detail = one_line(str(event.get("message") or "").removeprefix("PreStopHook failed").lstrip(": "))
            found[kind, name] = KubeletKill(
                f"the preStop hook of container {name!r} failed{detail and f': {detail}'}",
                f"spec.{kind}[{name}].lifecycle.preStop",
            )
    return list(found.values())


def last_probe_failure(events: Events, name: str, probe: str) -> str:
    """Return the last message of a failing probe; empty if there is none.

    Args:
        events: Events of the pod, oldest first.
        name: Name of the container.
        probe: "liveness" or "startup".
    """
    for event in reversed(events):
        result = PROBE_RESULT.match(str(event.get("message") or ""))
        is_probe = result is not None and result["probe"].lower() == probe
        if result and is_probe and event.get("reason") == "Unhealthy" and _path_of(event, name):
            return one_line(result["message"])
    return ""


def may_be_killed(container: dict[str, Any]) -> bool:
    """Return whether the spec of a container has a probe or hook for which the kubelet kills it."""
    return any(container.get(field) for field in KILLING_FIELDS) or "postStart" in (
        container.get("lifecycle") or {}
    )


def _seconds_between(earlier: dict[str, Any], later: dict[str, Any]) -> float:
    """Return the seconds between the last times of two events; infinity if one has no time."""
    times = [event_time(each) for each in (earlier, later)]
    return (times[1] - times[0]).total_seconds() if times[0] and times[1] else float("inf")


def _path_of(event: dict[str, Any], name: str) -> str:
    """Return the path of a container in the template if an event is about it; otherwise an empty text."""
    kind, container = event_container(event)
    return f"spec.{kind}[{name}]" if kind and container == name else ""
