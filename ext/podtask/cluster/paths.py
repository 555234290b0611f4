"""URL paths of the Kubernetes API; no other module writes one."""

from __future__ import annotations

import re

from ..errors import InputError

OBJECT_NAME = re.compile("[A-Za-z0-9][-A-Za-z0-9._]*")
CORE_GROUP_PATH = "/api/v1"
GROUP_PATHS = {
    "jobs": "/apis/batch/v1",
    "priorityclasses": "/apis/scheduling.k8s.io/v1",
    "runtimeclasses": "/apis/node.k8s.io/v1",
    "selfsubjectaccessreviews": "/apis/authorization.k8s.io/v1",
    "selfsubjectreviews": "/apis/authentication.k8s.io/v1",
}
# Groups of controllers that are installed by themselves: the API server tells which versions it has.
DISCOVERED_GROUPS = {
    "clusterqueues": "kueue.x-k8s.io",
    "localqueues": "kueue.x-k8s.io",
    "workloads": "kueue.x-k8s.io",
}
VISIBILITY_GROUP = "visibility.kueue.x-k8s.io"  # has localqueues, too: their pendingworkloads
CLUSTER_SCOPED = {
    "clusterqueues",
    "namespaces",
    "nodes",
    "priorityclasses",
    "runtimeclasses",
    "selfsubjectaccessreviews",
    "selfsubjectreviews",
}
VERSION_PATH = "/version"


def group_path(group: str, version: str = "") -> str:
    """Return the path of an API group, or of a version of it."""
    return f"/apis/{group}/{version}".rstrip("/")


def resource_path(
    resource: str, namespace: str = "", name: str = "", subresource: str = "", group: str = ""
) -> str:
    """Return the path of a collection, of an object in it, or of an object's subresource.

    Args:
        resource: Plural name of the resource, such as "pods".
        namespace: Namespace; ignored if the resource is cluster-scoped; empty for all namespaces.
        name: Name of the object; empty for the collection.
        subresource: Subresource of the object, such as "log".
        group: Path of the resource's API group and version; by default that of Kubernetes' own resources.

    Raises:
        InputError: The name would lead to another path.
    """
    if name and not OBJECT_NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is not a valid name of an object.", "Use letters, digits, '-', '_' and '.' only."
        )
    scope = ["namespaces", namespace] if namespace and resource not in CLUSTER_SCOPED else []
    parts = [group or GROUP_PATHS.get(resource, CORE_GROUP_PATH), *scope, resource, name, subresource]
    return "/".join(part for part in parts if part)
