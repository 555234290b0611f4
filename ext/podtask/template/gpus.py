"""GPUs of a container: their limit, and the toleration that lets the pod run on nodes with GPUs. Pure."""

from __future__ import annotations

from typing import Any


def set_gpus(spec: dict[str, Any], container: dict[str, Any], key: str, count: int) -> None:
    """Give a container GPUs. A toleration of the pod for their taint is kept as it is.

    Args:
        spec: Pod spec; changed in place.
        container: Container of the pod; changed in place.
        key: Resource name of the GPUs. Nodes with GPUs usually have a taint of that name.
        count: Number of GPUs.
    """
    resources = container.setdefault("resources", {})
    resources.setdefault("limits", {})[key] = str(count)
    if key in resources.get("requests", {}):  # the request of an extended resource must equal its limit
        resources["requests"][key] = str(count)
    tolerations = spec.setdefault("tolerations", [])
    if not any(toleration.get("key") == key for toleration in tolerations):
        tolerations.append({"key": key, "operator": "Exists", "effect": "NoSchedule"})


def remove_gpus(container: dict[str, Any], key: str) -> None:
    """Remove the GPUs that a template requests for a container; ``--gpu 0`` runs a cell of it without them.

    Args:
        container: Container of the pod; changed in place.
        key: Resource name of the GPUs.
    """
    for amounts in container.get("resources", {}).values():
        if isinstance(amounts, dict):  # claims are a list
            amounts.pop(key, None)
