"""The devices of nodes, by one watch of the nodes for all pods that wait for a device."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .client import Api
from .object_watch import CollectionWatch, OnObject
from .paths import resource_path

MAX_NODES = 200  # the nodes of a larger cluster are not read without being asked for


class Nodes(CollectionWatch):
    """The resources of the nodes of a cluster, as far as the user may list and watch them.

    Args:
        api: Session with the API server.
    """

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._resources: dict[str, frozenset[str]] = {}  # of each node, by its name
        self._is_read = False  # whether all nodes are known
        self._is_given_up = False  # the next pod that waits does not ask again

    def subscribe(self, uid: str, on_object: OnObject) -> None:
        """From now on, call a function with None when the nodes were read and when their resources have changed.

        Args:
            uid: UID of the pod that waits.
            on_object: The function; never called if the nodes may not be read.
        """
        if not self._is_given_up:
            super().subscribe(uid, on_object)

    def unsubscribe(self, uid: str, on_object: OnObject) -> None:
        """Stop reporting to a pod. The watch stops with the last one, and forgets what may change from then on."""
        super().unsubscribe(uid, on_object)
        self._is_read = self._is_read and bool(self._subscribers)

    def absent_of(self, resources: Collection[str]) -> set[str]:
        """Return the resources that no node of the cluster has; none of them while a node may be unknown.

        Args:
            resources: Names of extended resources, such as ``nvidia.com/gpu``.
        """
        if not self._is_read:
            return set()
        return {*resources}.difference(*self._resources.values())

    async def _find_path(self) -> str:
        return resource_path("nodes")

    async def _read_version(self, path: str) -> str:
        self._is_read = False
        listed = await self._api.request("GET", path, limit=str(MAX_NODES))
        if listed["metadata"].get("continue"):
            self._is_given_up = True
            return ""
        self._resources = {each["metadata"]["name"]: _resource_names(each) for each in listed["items"]}
        self._is_read = True
        return str(listed["metadata"]["resourceVersion"])

    def _report(self, found: dict[str, Any], exists: bool) -> None:
        name = found["metadata"]["name"]
        before = self._resources.pop(name, None)
        if exists:
            self._resources[name] = _resource_names(found)
        if self._resources.get(name) != before:
            self._notify()

    def _on_refusal(self, verb: str, code: int) -> None:
        self._is_given_up, self._is_read = True, False
        self._notify()


def _resource_names(node: dict[str, Any]) -> frozenset[str]:
    """Return the resources of a node; also those that it has and cannot give to pods at the moment."""
    status = node.get("status", {})
    amounts = [*status.get("capacity", {}).items(), *status.get("allocatable", {}).items()]
    return frozenset(str(name) for name, amount in amounts if str(amount) != "0")
