"""The Role and the RoleBinding that ``%podtask rbac`` prints."""

from __future__ import annotations

import re
from typing import Any

from ..cluster.namespace import open_namespace
from ..config.options import RunOptions
from ..errors import PodtaskError
from .doctor import role

RBAC_GROUP = "rbac.authorization.k8s.io"
SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"
PLACEHOLDER = "USER"
NOT_IN_NAMES = re.compile(r"[/%]")
NO_CLUSTER = "# {error}\n# Replace the namespace and the user before you apply this.\n"
NO_NAME = "# The API server does not tell your name: replace USER, or give --user NAME.\n"


async def read_place(options: RunOptions) -> tuple[str, str, str]:
    """Return the namespace of the cells, the user's name in the cluster, and comment lines on what is not known.

    Args:
        options: Options with the kubeconfig context and the namespace to use.
    """
    try:
        ns = await open_namespace(options.context, options.namespace)
        username = str((await ns.user_info()).get("username") or "")
    except PodtaskError as error:
        return options.namespace or "default", PLACEHOLDER, NO_CLUSTER.format(error=error.message)
    return ns.name, username or PLACEHOLDER, "" if username else NO_NAME


def manifests(namespace: str, kind: str, subject: str) -> list[dict[str, Any]]:
    """Return the Role and a RoleBinding, as Kubernetes objects.

    Args:
        namespace: Namespace of the cells.
        kind: User, Group or ServiceAccount. A user whose name is one of a service account becomes a ServiceAccount.
        subject: Name of the subject. A service account of another namespace is NAMESPACE:NAME.
    """
    if kind == "User" and subject.startswith(SERVICE_ACCOUNT_PREFIX):
        kind, subject = "ServiceAccount", subject.removeprefix(SERVICE_ACCOUNT_PREFIX)
    if kind == "ServiceAccount":
        owner, _, name = subject.rpartition(":")
        bound = {"kind": kind, "name": name, "namespace": owner or namespace}
    else:
        bound = {"apiGroup": RBAC_GROUP, "kind": kind, "name": subject}
    granted = role(namespace)
    binding = {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"podtask-{NOT_IN_NAMES.sub('-', subject)}", "namespace": namespace},
        "subjects": [bound],
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "Role", "name": granted["metadata"]["name"]},
    }
    return [granted, binding]
