"""One watch of objects that pods depend on, such as events and nodes, for all pods that are subscribed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from ..errors import ClusterError
from .client import Api
from .pods import FOREIGN_ANSWER
from .refusals import ApiError

RETRY_SECONDS = 2.0

OnObject = Callable[[dict[str, Any] | None], None]
"""Called with each new object about a pod; with None when the objects about the pod have to be read again."""


class CollectionWatch(ABC):
    """Watches the objects of one resource, while at least one pod is subscribed.

    Args:
        api: Session with the API server.
        **selectors: Selectors of the watch.
    """

    FINAL_CODES: tuple[int, ...] = (403,)  # HTTP statuses after which the watch is not tried again

    def __init__(self, api: Api, **selectors: str) -> None:
        self._api = api
        self._selectors = selectors
        self._subscribers: dict[str, list[OnObject]] = {}  # several handles of this kernel may follow one pod
        self._version = ""  # of the last object seen; empty before the watch starts
        self._runner: asyncio.Task[None] | None = None

    @abstractmethod
    async def _find_path(self) -> str:
        """Return the path of the resource.

        Raises:
            ApiError: The API server does not have it, or refuses to tell.
            ClusterError: The API server cannot be reached.
        """

    def subscribe(self, uid: str, on_object: OnObject) -> None:
        """Report what matters to a pod from now on.

        Args:
            uid: UID of the pod.
            on_object: Called with each object.
        """
        subscribers = self._subscribers.setdefault(uid, [])
        if on_object not in subscribers:
            subscribers.append(on_object)
        if self._runner is None or self._runner.done():
            self._version = ""
            self._runner = asyncio.ensure_future(self._run())
        elif self._version:
            on_object(None)

    def unsubscribe(self, uid: str, on_object: OnObject) -> None:
        """Stop reporting a pod to one subscriber, if it is one; the watch stops with the last one.

        Args:
            uid: UID of the pod.
            on_object: What was subscribed.
        """
        subscribers = self._subscribers.get(uid, [])
        if on_object in subscribers:
            subscribers.remove(on_object)
        if not subscribers:
            self._subscribers.pop(uid, None)
        if not self._subscribers and self._runner is not None:
            self._runner.cancel()
            self._runner = None

    async def _run(self) -> None:
        while True:
            try:
                path = await self._find_path()
                if not self._version:
                    self._version = await self._read_version(path)
                    if not self._version:
                        return
                    self._notify()
                await self._follow(path)
            except ApiError as error:
                if error.code in self.FINAL_CODES:
                    self._on_refusal("watch" if self._version else "list", error.code)
                    return  # what the pod's status says has to be enough
                self._version = ""
            except (ClusterError, *FOREIGN_ANSWER):
                pass  # the next attempt continues after the last object seen
            await asyncio.sleep(RETRY_SECONDS)

    def _notify(self) -> None:
        """Let each subscriber read again."""
        for on_object in [each for of_pod in self._subscribers.values() for each in of_pod]:
            on_object(None)

    async def _read_version(self, path: str) -> str:
        """Return the version of the collection at which the watch starts; empty if it is not to be watched."""
        listed = await self._api.request("GET", path, limit="1")
        return str(listed["metadata"]["resourceVersion"])

    @abstractmethod
    def _on_refusal(self, verb: str, code: int) -> None:
        """Receive the verb that was refused for good, and the HTTP status."""

    async def _follow(self, path: str) -> None:
        params = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": self._version}
        lines = self._api.stream_lines(path, **params, **self._selectors)
        async with contextlib.aclosing(lines):
            async for line in lines:
                change = json.loads(line)
                if change["type"] == "ERROR":  # 410: too old
                    self._version = ""
                    return
                found = change["object"]
                self._version = found["metadata"]["resourceVersion"]
                if change["type"] == "BOOKMARK":
                    continue
                self._report(found, exists=change["type"] in ("ADDED", "MODIFIED"))

    @abstractmethod
    def _report(self, found: dict[str, Any], exists: bool) -> None:
        """Receive an object that was added, changed or deleted."""


class ObjectWatch(CollectionWatch):
    """Watches objects that are about pods, such as events.

    Each subscriber lists the objects about its own pod: a namespace may have thousands.
    """

    @abstractmethod
    def _owner_uid(self, found: dict[str, Any]) -> str:
        """Return the UID of the pod that an object is about."""

    def _report(self, found: dict[str, Any], exists: bool) -> None:
        for on_object in list(self._subscribers.get(self._owner_uid(found), ())):
            if exists:
                on_object(found)
            else:
                self._on_deletion(on_object)

    @abstractmethod
    def _on_deletion(self, on_object: OnObject) -> None:
        """Receive the subscriber of an object that was deleted."""
