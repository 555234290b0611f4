"""Derive a phase and a sentence from the status and the events of a pod. Pure.

Uses the conditions and container states of the Kubernetes API. The result says which field of the
template to change, and whether waiting can help.
Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Collection

from .containers import first_start_problem
from .endings import diagnose_end, diagnose_running
from .model import Diagnosis, Events, Pod, container_status
from .queueing import QueuePlace
from .scheduling import diagnose_scheduled, diagnose_unscheduled

NO_PLACE = QueuePlace()


def diagnose(
    pod: Pod,
    primary: str,
    events: Events | None = None,
    gone: bool = False,
    place: QueuePlace = NO_PLACE,
    absent: Collection[str] = (),
) -> Diagnosis:
    """Return the diagnosis of a pod.

    Args:
        pod: The pod as the API server returns it; the last known state if it is gone.
        primary: Name of the primary container.
        events: Events of the pod, oldest first; None if they have not been read.
        gone: Whether the API server no longer has the pod.
        place: What is known of it in a queue of Kueue.
        absent: Extended resources that no node of the cluster has.
    """
    state = container_status(pod, primary).get("state", {})
    if not gone and "running" in state:
        return diagnose_running(pod)
    problem = None if gone else first_start_problem(pod, primary, events or [])
    if problem is None or not problem.permanent:
        end = diagnose_end(pod, primary, events or [], gone)
        if end is not None:
            return end
    if problem is not None:
        return problem
    if not pod["spec"].get("nodeName"):
        return diagnose_unscheduled(pod, events or [], place, absent)
    return diagnose_scheduled(pod, events)
