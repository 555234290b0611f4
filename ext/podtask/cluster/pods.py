"""Requests for the pods of one namespace, with errors that a user can understand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from .client import Api
from .paths import resource_path
from .refusals import ApiError, RequestDenied, denial_error, rejection_error

CONTAINER_STARTING_MESSAGES = ("waiting to start: ContainerCreating", "waiting to start: PodInitializing")
# What reading a JSON answer raises that does not come from an API server, for example from a proxy.
FOREIGN_ANSWER = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
START_PAUSES_SECONDS = (0.2, 0.4, 0.6, 0.8)  # a kubelet looks at its containers once a second


class Pods:
    """The pods of a namespace: creates, reads, watches and deletes them.

    Every method raises :class:`RequestDenied` if the API server refuses, and ClusterError if it cannot
    be reached.

    Args:
        api: Session with the API server.
        namespace: Name of the namespace.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    async def get(self, name: str) -> dict[str, Any]:
        """Return a pod."""
        with explain_refusals("get", "pods", self._where):
            return await self._api.request("GET", self._path(name))

    async def list_waiting(self, selector: str) -> list[dict[str, Any]]:
        """Return the metadata of the pods that a label selector matches and whose containers have not started.

        They come from the API server's cache, and may be a moment old.
        """
        waiting = {"labelSelector": selector, "fieldSelector": "status.phase=Pending"}
        with explain_refusals("list", "pods", self._where):
            return await self._api.metadata_list(self._path(), resourceVersion="0", **waiting)

    async def list(self, selector: str) -> dict[str, Any]:
        """Return the PodList of the pods that a label selector matches."""
        with explain_refusals("list", "pods", self._where):
            return await self._api.request("GET", self._path(), labelSelector=selector)

    async def create(self, pod: dict[str, Any], primary: str, *, dry_run: bool = False) -> dict[str, Any]:
        """Create a pod and return it as the API server stores it.

        Args:
            pod: The pod, in wire form.
            primary: Name of its primary container.
            dry_run: Whether only to check it: nothing is created.

        Raises:
            PodRejected: The API server does not accept the pod.
            RequestDenied: Pods may not be created.
            ClusterError: The API server cannot be reached.
        """
        params = {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        try:
            return await self._api.request("POST", self._path(), pod, **params)
        except ApiError as error:
            raise rejection_error(error, self._api.access.context, self._namespace, primary) from None

    async def delete(self, name: str, uid: str, grace_seconds: int | None = None) -> None:
        """Delete a pod; do nothing if it is gone already, even if another pod has its name now.

        Args:
            name: Name of the pod.
            uid: UID of the pod; the API server deletes no other pod.
            grace_seconds: Grace period; None for the pod's own, 0 to delete it without its node.
        """
        body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        try:
            with explain_refusals("delete", "pods", self._where):
                await self._api.request("DELETE", self._path(name), body)
        except RequestDenied as error:
            if not error.is_gone:
                raise

    async def watch(self, **params: str) -> AsyncGenerator[bytes, None]:
        """Yield the events of a watch, a JSON document each.

        Args:
            **params: Label selector, and the resource version to start from.
        """
        with explain_refusals("watch", "pods", self._where):
            async with contextlib.aclosing(
                self._api.stream_lines(self._path(), watch="1", allowWatchBookmarks="true", **params)
            ) as lines:
                async for line in lines:
                    yield line

    async def log(self, name: str, container: str) -> str:
        """Return the log of a container; wait for the kubelet if the container has just started."""
        for delay in START_PAUSES_SECONDS:
            try:
                return await self.log_part(name, container)
            except RequestDenied as error:
                if not error.server_message.endswith(CONTAINER_STARTING_MESSAGES):
                    raise
            await asyncio.sleep(delay)
        return await self.log_part(name, container)

    async def log_part(self, name: str, container: str, **limits: str) -> str:
        """Return the log of a container, or a part of it.

        Args:
            name: Name of the pod.
            container: Name of the container.
            **limits: Limits of the API, such as ``tailLines="3"``.
        """
        return (await self.log_bytes(name, container, **limits)).decode("utf-8", "replace")

    async def log_bytes(self, name: str, container: str, **limits: str) -> bytes:
        """Return the same as :meth:`log_part`, as bytes."""
        with explain_refusals("get", "pods/log", self._where):
            return await self._api.content(self._path(name, "log"), container=container, **limits)

    async def follow_log(self, name: str, container: str) -> AsyncGenerator[bytes, None]:
        """Yield the lines of a container's log as it grows."""
        with explain_refusals("get", "pods/log", self._where):
            async with contextlib.aclosing(
                self._api.stream_lines(self._path(name, "log"), container=container, follow="true")
            ) as lines:
                async for line in lines:
                    yield line

    @property
    def _where(self) -> str:
        return f"{self._api.access.context}/{self._namespace}"

    def _path(self, name: str = "", subresource: str = "") -> str:
        return resource_path("pods", self._namespace, name, subresource)


@contextlib.contextmanager
def explain_refusals(verb: str, resource: str, where: str) -> Iterator[None]:
    """Turn an :class:`ApiError` into an error that a user can understand.

    Args:
        verb: Verb of the right that the request needs.
        resource: Resource of that right.
        where: Context and namespace, separated by a slash.

    Raises:
        RequestDenied: The API server refused.
    """
    try:
        yield
    except ApiError as error:
        raise denial_error(error, verb, resource, where) from None
