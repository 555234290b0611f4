"""URL paths of the Kubernetes API; no other module writes one."""

from __future__ import annotations

import re

from ..errors import InputError

OBJECT_NAME = re.compile("[A-Za-z0-9][-A-Za-z0-9._]*")
CORE_GROUP_PATH = "/api/v1"
GROUP_PATHS = {
    "localqueues": "/apis/kueue.x-k8s.io/v1beta1",
    "priorityclasses": "/apis/scheduling.k8s.io/v1",
    "runtimeclasses": "/apis/node.k8s.io/v1",
    "selfsubjectaccessreviews": "/apis/authorization.k8s.io/v1",
    "selfsubjectreviews": "/apis/authentication.k8s.io/v1",
}
CLUSTER_SCOPED = {
    "namespaces",
    "priorityclasses",
    "runtimeclasses",
    "selfsubjectaccessreviews",
    "selfsubjectreviews",
}
VERSION_PATH = "/version"


def resource_path(resource: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Return the path of a collection, of an object in it, or of an object's subresource.

    Args:
        resource: Plural name of the resource, such as "pods".
        namespace: Namespace; ignored if the resource is cluster-scoped.
        name: Name of the object; empty for the collection.
        subresource: Subresource of the object, such as "log".

    Raises:
        InputError: The name would lead to another path.
    """
    if name and not OBJECT_NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is not a valid name of an object.", "Use letters, digits, '-', '_' and '.' only."
        )
    scope = [] if resource in CLUSTER_SCOPED else ["namespaces", namespace]
    parts = [GROUP_PATHS.get(resource, CORE_GROUP_PATH), *scope, resource, name, subresource]
    return "/".join(part for part in parts if part)
