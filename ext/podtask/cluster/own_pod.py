"""The pod in which the notebook itself runs: what its cells start goes with it."""

from __future__ import annotations

import os
from typing import Any

from ..errors import ClusterError
from .namespace import open_namespace


async def notebook_pod(context: str | None, namespace: str | None) -> dict[str, Any] | None:
    """Returns a reference to the notebook's pod; None outside a cluster, or in another namespace.

    An owner in another namespace is none to Kubernetes: the new pod would be collected at once.

    Args:
        context: of the kubeconfig, where the new pod goes; None for the current one.
        namespace: where the new pod goes; None for the context's.

    Raises:
        PodtaskError: there is no cluster, or its credentials cannot be had.
    """
    ns = await open_namespace(context, namespace)
    name = os.environ.get("HOSTNAME", "")
    if not ns.is_of_notebook or not name:
        return None
    try:
        pod = await ns.pods.get(name)
    except ClusterError:  # may not be read, or the host's name is not the pod's
        return None
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod["metadata"]["uid"]}
