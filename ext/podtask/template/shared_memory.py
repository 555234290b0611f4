"""Shared memory of a container: an in-memory volume that is mounted at ``/dev/shm``. Pure.

Frameworks need more than the 64 MiB that a container has by default.
"""

from __future__ import annotations

from typing import Any

MOUNT_PATH = "/dev/shm"


def is_shared_memory_mounted(container: dict[str, Any]) -> bool:
    """Return whether a container mounts any volume at ``/dev/shm``."""
    return any(mount.get("mountPath") == MOUNT_PATH for mount in container.get("volumeMounts", []))


def shared_memory(name: str, size: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an in-memory volume, and the mount of it.

    Args:
        name: Name of the volume.
        size: Largest size, as a quantity; None for the node's default.
    """
    memory = {"medium": "Memory", **({"sizeLimit": size} if size else {})}
    return {"name": name, "emptyDir": memory}, {"name": name, "mountPath": MOUNT_PATH}


def mount_shared_memory(
    spec: dict[str, Any], container: dict[str, Any], name: str, size: str | None = None
) -> None:
    """Mount shared memory in a container that mounts nothing at ``/dev/shm``.

    Args:
        spec: Pod spec; changed in place.
        container: Container of the pod; changed in place.
        name: Name of the volume.
        size: Largest size, as a quantity; None for the node's default.
    """
    volume, mount = shared_memory(name, size)
    if volume not in spec.setdefault("volumes", []):  # another container may have it already
        spec["volumes"].append(volume)
    container.setdefault("volumeMounts", []).append(mount)
