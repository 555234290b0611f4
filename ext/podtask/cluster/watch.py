"""One watch for all tasks of this kernel in a namespace."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from ..errors import ClusterError
from .api import Api, ApiError

RETRY = (0.2, 10.0)  # seconds, first and longest
POLL_SECONDS = 1.0  # where watching is forbidden

OnPod = Callable[[dict[str, Any] | None], None]
"""Called with each new state of a pod; None when it is gone."""


class Watch:
    """The pods of this kernel, by one list and one watch; a hint, with the list as the truth."""

    def __init__(self, api: Api, namespace: str, selector: str) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._selector = selector
        self._pods: dict[str, OnPod] = {}
        self._seen: set[str] = set()
        self._runner: asyncio.Task[None] | None = None

    def subscribe(self, name: str, on_pod: OnPod) -> None:
        """Calls ``on_pod`` with each state of a pod from now on."""
        self._pods[name] = on_pod
        if self._runner is None or self._runner.done():
            self._runner = asyncio.ensure_future(self._run())

    def unsubscribe(self, name: str) -> None:
        """Ends that."""
        self._pods.pop(name, None)
        self._seen.discard(name)

    def stop(self) -> None:
        """Ends the watch."""
        if self._runner is not None:
            self._runner.cancel()

    async def _run(self) -> None:
        version = ""  # no list first: the watch begins with what there is
        pause, longest = RETRY
        while True:
            try:
                if version == "again":
                    version = await self._list()
                version = await self._follow(version)
                pause = RETRY[0]
            except ApiError as error:
                if error.code == 403:
                    await self._poll()
                version = "again"
                pause = max(pause, error.wait)
            except (ClusterError, ValueError, KeyError, TypeError):  # among them a proxy's page
                version = "again"
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)

    async def _follow(self, version: str) -> str:
        params = {"watch": "1", "allowWatchBookmarks": "true", "labelSelector": self._selector}
        if version:
            params["resourceVersion"] = version
        async with contextlib.aclosing(self._api.lines(self._path, **params)) as lines:
            async for line in lines:
                event = json.loads(line)
                if event["type"] == "ERROR":  # 410: too old
                    return "again"
                pod = event["object"]
                version = pod["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._tell(pod["metadata"]["name"], pod if event["type"] != "DELETED" else None)
        return version or "again"

    async def _list(self) -> str:
        found = await self._api.request("GET", self._path, labelSelector=self._selector)
        names = set()
        for pod in found["items"]:
            names.add(pod["metadata"]["name"])
            self._tell(pod["metadata"]["name"], pod)
        for name in self._seen - names:
            self._tell(name, None)
        return str(found["metadata"]["resourceVersion"])

    async def _poll(self) -> None:
        """Asks for each pod by name, for who may get but not watch."""
        while True:
            for name in list(self._pods):
                try:
                    self._tell(name, await self._api.request("GET", f"{self._path}/{name}"))
                except ApiError as error:
                    if error.code == 404 and name in self._seen:
                        self._tell(name, None)
                except ClusterError:
                    continue  # the next round may reach it
            await asyncio.sleep(POLL_SECONDS)

    def _tell(self, name: str, pod: dict[str, Any] | None) -> None:
        on_pod = self._pods.get(name)
        if on_pod is not None:
            self._seen.add(name)
            on_pod(pod)
