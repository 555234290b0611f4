"""Why a pod is where it is: its status and events become a phase and a sentence. Pure.

Reads conditions and container states in the words of the Kubernetes API; says which field of the
template to change, and whether waiting can help.
Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from .containers import held_up
from .endings import ending, running
from .model import Diagnosis, Events, Pod, status_of
from .scheduling import on_node, unplaced


def diagnose(pod: Pod, primary: str, events: Events | None = None, gone: bool = False) -> Diagnosis:
    """Return where a pod is.

    Args:
        pod: as the API shows it; the last known state where it is gone.
        primary: Name of the primary container.
        events: of this pod, in their order; None where they were not asked for (yet).
        gone: Whether the API server no longer has the pod.
    """
    own = status_of(pod, primary).get("state", {})
    if not gone and "running" in own:
        return running(pod)
    found = None if gone else held_up(pod, primary, events or [])
    if found is None or not found.hopeless:
        ended = ending(pod, primary, gone)
        if ended is not None:
            return ended
    if found is not None:
        return found
    if not pod["spec"].get("nodeName"):
        return unplaced(pod)
    return on_node(pod, events)
