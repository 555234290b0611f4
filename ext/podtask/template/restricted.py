"""Changes that make a container comply with the Pod Security level "restricted". Pure.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from typing import Any

NONROOT_USER_ID = 65532  # the user that distroless images call nonroot
REQUIRED_FIELDS = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
SECCOMP_PROFILES = ("RuntimeDefault", "Localhost")


def restrict(container: dict[str, Any], pod: dict[str, Any], notices: list[str]) -> None:
    """Make a container comply with the level, and add a notice about overwritten fields.

    Args:
        container: Container to change in place.
        pod: Security context of the pod; it applies to fields that the container does not set.
        notices: List that the notice is appended to.
    """
    context = container.setdefault("securityContext", {})
    before = dict(context)
    for field, value in REQUIRED_FIELDS.items():
        context[field] = value
    if before.get("seccompProfile", {}).get("type") in SECCOMP_PROFILES:
        context["seccompProfile"] = before["seccompProfile"]
    if context.get("privileged"):
        context["privileged"] = False
    if context.get("runAsUser", pod.get("runAsUser", 0)) == 0:
        context["runAsUser"] = NONROOT_USER_ID
    added = before.get("capabilities", {}).get("add", [])
    kept = [name for name in added if name == "NET_BIND_SERVICE"]
    context["capabilities"] = {"drop": ["ALL"], **({"add": kept} if kept else {})}
    changed = [field for field, value in before.items() if context[field] != value]
    if changed:
        notices.append(
            f"securityContext {', '.join(changed)} of container "
            f"{container['name']!r} is replaced: --restricted"
        )


def give_scratch(spec: dict[str, Any], container: dict[str, Any], volume: str) -> None:
    """Make ``/tmp`` writable in a container that does not run as root, and use it as the home directory.

    A home directory or a mount at ``/tmp`` that the container has already is kept.

    Args:
        spec: Pod spec; changed in place.
        container: Container of the pod; changed in place.
        volume: Name of the volume to mount at ``/tmp``.
    """
    env = container.setdefault("env", [])
    if not any(entry["name"] == "HOME" for entry in env):
        env.append({"name": "HOME", "value": "/tmp"})
    mounts = container.setdefault("volumeMounts", [])
    if not any(mount.get("mountPath") == "/tmp" for mount in mounts):
        mounts.append({"name": volume, "mountPath": "/tmp"})
        if not any(each["name"] == volume for each in spec.setdefault("volumes", [])):
            spec["volumes"].append({"name": volume, "emptyDir": {}})
