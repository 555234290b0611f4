"""One watch for all tasks of this kernel in a namespace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable
from typing import Any

from ..errors import ClusterError
from .pods import Pods
from .refusals import RequestDenied

RETRY = (0.2, 10.0)  # seconds, first and longest
POLL_SECONDS = 1.0  # where watching is forbidden
POLLED_SECONDS = 60.0  # then it is tried again: a server that starts forbids all for a moment
NEW_SECONDS = 5.0  # in which a new pod may not be found yet
IDLE_SECONDS = 30.0  # without a pod; to begin again costs the next cell no round trip

OnPod = Callable[[dict[str, Any] | None], None]
"""Called with each new state of a pod; None when it is gone."""


class Watch:
    """The pods of this kernel, by one list and one watch; a hint, with the list as the truth."""

    def __init__(self, requests: Pods, selector: str) -> None:
        self._requests = requests
        self._selector = selector
        self._pods: dict[str, OnPod] = {}
        self._sure: dict[str, float] = {}  # from when a pod that is not found is gone (monotonic)
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._runner: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None

    def subscribe(self, name: str, on_pod: OnPod) -> None:
        """Calls ``on_pod`` with each state of a pod from now on; it may not be there yet."""
        self._pods[name] = on_pod
        if self._idle is not None:
            self._idle.cancel()
        if self._runner is None or self._runner.done():
            self._runner = asyncio.ensure_future(self._run())

    def created(self, name: str) -> None:
        """Says that a pod was made just now: one that is not found after a moment is gone."""
        self._sure.setdefault(name, time.monotonic() + NEW_SECONDS)

    def was_there(self, name: str) -> None:
        """Says that a pod was there: it may be gone by now, of which no watch tells who comes late."""
        self._sure[name] = 0.0
        self._look(name)

    def unsubscribe(self, name: str) -> None:
        """Ends that; a while after the last one the watch ends too."""
        self._pods.pop(name, None)
        self._sure.pop(name, None)
        if name in self._looks:
            self._looks.pop(name).cancel()
        if not self._pods and self._runner is not None:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.stop)

    def stop(self) -> None:
        """Ends the watch."""
        for task in (self._runner, *self._looks.values()):
            if task is not None:
                task.cancel()
        self._runner = None
        self._looks.clear()

    async def _run(self) -> None:
        version = ""  # no list first: the watch begins with what there is
        pause, longest = RETRY
        while True:
            try:
                if version == "again":
                    version = await self._list()
                version = await self._follow(version)
                pause = RETRY[0]
            except RequestDenied as error:
                version = "again"
                pause = max(pause, error.retry_seconds)
                if error.code == 403:
                    await self._poll()
                    continue
            except (ClusterError, ValueError, KeyError, TypeError):  # among them a proxy's page
                version = "again"
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)

    async def _follow(self, version: str) -> str:
        params = {"labelSelector": self._selector}
        if version:
            params["resourceVersion"] = version
        async with contextlib.aclosing(self._requests.watch(**params)) as lines:
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
        found = await self._requests.list(self._selector)
        names = set()
        for pod in found["items"]:
            names.add(pod["metadata"]["name"])
            self._tell(pod["metadata"]["name"], pod)
        for name in self._pods.keys() - names:
            if self._gone(name):
                self._tell(name, None)
            elif name in self._sure:
                self._look(name)
        return str(found["metadata"]["resourceVersion"])

    async def _poll(self) -> None:
        """Asks for each pod by name for a while, for who may get but not watch."""
        end = time.monotonic() + POLLED_SECONDS
        while time.monotonic() < end:
            for name in list(self._pods):
                await self._ask(name)
            await asyncio.sleep(POLL_SECONDS)

    def _look(self, name: str) -> None:
        if name not in self._looks:
            self._looks[name] = asyncio.ensure_future(self._find(name))

    async def _find(self, name: str) -> None:
        """Asks for a pod until it is known whether it is there."""
        pause, longest = RETRY
        while not await self._ask(name):
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)
        self._looks.pop(name, None)

    async def _ask(self, name: str) -> bool:
        """Asks for a pod once; returns whether there is no more to ask."""
        try:
            pod = await self._requests.get(name)
            self._tell(pod["metadata"]["name"], pod)
        except RequestDenied as error:
            if error.code != 404:
                return error.code == 403
            if self._gone(name):
                self._tell(name, None)
                return True
            return False
        except (ClusterError, ValueError, KeyError, TypeError):  # among them a proxy's JSON
            return False  # the next one may reach it
        return True

    def _gone(self, name: str) -> bool:
        """Whether a pod that is not found was there."""
        return time.monotonic() >= self._sure.get(name, math.inf)

    def _tell(self, name: str, pod: dict[str, Any] | None) -> None:
        on_pod = self._pods.get(name)
        if on_pod is not None:
            self._sure[name] = 0.0
            on_pod(pod)
