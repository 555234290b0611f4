"""Drop the fields of a template that suit a service and not a cell: probes, restarts. Pure.

Sources: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes and, for restarts,
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#individual-container-restart-policy-and-rules
"""

from __future__ import annotations

from typing import Any

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
MESSAGE_PATH = "/dev/termination-log"  # the runner writes how the cell ended to this file
RESTART_FIELDS = ("restartPolicy", "restartPolicyRules")
RESTART_POD = "RestartAllContainers"  # action of a rule that starts the whole pod again


def drop_probes(primary: dict[str, Any], notices: list[str]) -> None:
    """Drop the probes of the primary container: they check the command that the cell replaces.

    Args:
        primary: The primary container; changed in place.
        notices: List that the notice is appended to.
    """
    dropped = [probe for probe in PROBES if primary.pop(probe, None)]
    if dropped:
        notices.append(
            f"dropped: {', '.join(dropped)} of container {primary['name']!r}, made for the command that the cell "
            "replaces (--keep-probes keeps probes)"
        )


def drop_restarts(spec: dict[str, Any], primary: dict[str, Any], notices: list[str]) -> None:
    """Drop what would start the primary container again, and with it the cell.

    Args:
        spec: Spec of the pod; changed in place.
        primary: The primary container of the pod; changed in place.
        notices: List that the notices are appended to.
    """
    dropped = [field for field in RESTART_FIELDS if primary.get(field) not in (None, [], "Never")]
    for field in dropped:
        del primary[field]
    if dropped:
        notices.append(
            f"dropped: {', '.join(dropped)} of container {primary['name']!r}, because a cell runs once"
        )
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        rules = container.get("restartPolicyRules") or []
        kept = [rule for rule in rules if rule.get("action") != RESTART_POD]
        if kept == rules:
            continue
        container["restartPolicyRules"] = kept
        if not kept:
            del container["restartPolicyRules"]
        notices.append(
            f"dropped: restartPolicyRules with {RESTART_POD} of container {container['name']!r}, because a cell "
            "runs once"
        )


def reset_message_path(primary: dict[str, Any], notices: list[str]) -> None:
    """Reset the file of the primary container's termination message to the one that the runner writes.

    Args:
        primary: The primary container; changed in place.
        notices: List that the notice is appended to.
    """
    path = primary.pop("terminationMessagePath", MESSAGE_PATH)
    if path != MESSAGE_PATH:
        notices.append(
            f"terminationMessagePath {path} of container {primary['name']!r} becomes {MESSAGE_PATH}: "
            "podtask writes there how the cell ended"
        )
