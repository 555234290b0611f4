"""The pod that the notebook runs in: it owns the pods of its cells, so they are deleted with it."""

from __future__ import annotations

import os
from typing import Any

from ..errors import ClusterError
from .namespace import open_namespace


async def notebook_pod(context: str | None, namespace: str | None) -> dict[str, Any] | None:
    """Return an owner reference to the notebook's pod; None if the notebook runs in no pod.

    It is None, too, if the new pod goes to another namespace: Kubernetes ignores an owner there and
    would delete the new pod at once.

    Args:
        context: Kubeconfig context of the new pod; None for the current one.
        namespace: Namespace of the new pod; None for the context's.

    Raises:
        PodtaskError: No cluster is configured, or its credentials cannot be read.
    """
    ns = await open_namespace(context, namespace)
    name = os.environ.get("HOSTNAME", "")
    if not ns.is_of_notebook or not name:
        return None
    try:
        pod = await ns.pods.get(name)
    except ClusterError:  # it may not be read, or the host name is not the pod's name
        return None
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod["metadata"]["uid"]}
