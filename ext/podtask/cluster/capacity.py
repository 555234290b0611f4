"""Requests for what is used in a namespace and on the nodes: quotas, nodes, and the pods on them."""

from __future__ import annotations

from typing import Any

from .client import Api
from .paths import resource_path
from .pods import explain_refusals

PAGE_OBJECTS = 500  # in one answer
MAX_PAGES = 20
ON_NODES = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"


class Capacity:
    """Reads what is used in a namespace and on the nodes of its cluster.

    Every method raises :class:`RequestDenied` if the API server refuses, and ClusterError if it cannot be reached.

    Args:
        api: Session with the API server.
        namespace: Name of the namespace.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    async def quotas(self) -> list[dict[str, Any]]:
        """Return the ResourceQuotas of the namespace."""
        return (await self._list("resourcequotas", self._namespace))[0]

    async def nodes(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the nodes of the cluster, at most 10,000, and whether they are all."""
        return await self._list("nodes")

    async def pods_on_nodes(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the pods of all namespaces that occupy a node, at most 10,000, and whether they are all."""
        return await self._list("pods", fieldSelector=ON_NODES)

    async def _list(
        self, resource: str, namespace: str = "", **selectors: str
    ) -> tuple[list[dict[str, Any]], bool]:
        where = f"{self._api.access.context}/{namespace or 'the whole cluster'}"
        params = {"limit": str(PAGE_OBJECTS), **selectors}
        found: list[dict[str, Any]] = []
        for _ in range(MAX_PAGES):
            with explain_refusals("list", resource, where):
                page = await self._api.request("GET", resource_path(resource, namespace), None, **params)
            found += page["items"]
            params["continue"] = str(page.get("metadata", {}).get("continue") or "")
            if not params["continue"]:
                return found, True
        return found, False
