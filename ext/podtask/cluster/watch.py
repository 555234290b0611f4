"""One watch of the pods that a label selector matches, shared by all tasks of this kernel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from ..errors import ClusterError
from .pods import FOREIGN_ANSWER, Pods
from .refusals import RequestDenied

RETRY_SECONDS = (0.2, 10.0)  # first and longest pause
POLL_SECONDS = 1.0  # between two requests if watching is forbidden
POLLING_SECONDS = 60.0  # then watching is tried again: a starting server forbids everything for a moment
RELIST = "relist"  # in place of a version: start with a list
NEW_POD_SECONDS = 5.0  # a new pod may not be found for that long
IDLE_SECONDS = 30.0  # without a pod, before the watch stops

OnPod = Callable[[dict[str, Any] | None], None]
"""Called with each new state of a pod; with None when it is gone."""


class Watch:
    """A watch of the pods that a selector matches; reports each of their states.

    After an interruption, a list of the pods replaces the events that were missed.

    Args:
        requests: Requests for the pods of the namespace.
        selector: Label selector.
    """

    def __init__(self, requests: Pods, selector: str) -> None:
        self._requests = requests
        self._selector = selector
        self._pods: dict[str, list[OnPod]] = {}  # several handles of this kernel may follow one pod
        self._gone_after: dict[
            str, float
        ] = {}  # monotonic time from which a pod that is not found counts as gone
        self._lookups: dict[str, asyncio.Task[None]] = {}
        self._reports: Counter[str] = Counter()  # by name of the pod
        self._runner: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None

    def subscribe(self, name: str, on_pod: OnPod) -> None:
        """Report each state of a pod from now on; the pod may not exist yet.

        Args:
            name: Name of the pod.
            on_pod: Called with each state.
        """
        subscribers = self._pods.setdefault(name, [])
        if on_pod not in subscribers:
            subscribers.append(on_pod)
        if self._idle is not None:
            self._idle.cancel()
        if self._runner is None or self._runner.done():
            self._runner = asyncio.ensure_future(self._run())

    def mark_created(self, name: str) -> None:
        """Note that a pod was just created: if it is not found a moment later, it counts as gone."""
        self._gone_after.setdefault(name, time.monotonic() + NEW_POD_SECONDS)

    def mark_existing(self, name: str) -> None:
        """Note that a pod existed: it may be gone by now, and a new watch would not report that."""
        self._gone_after[name] = 0.0
        self._look_up(name)

    def unsubscribe(self, name: str, on_pod: OnPod) -> None:
        """Stop reporting a pod to one subscriber, if it is one; the watch stops a while after the last one.

        Args:
            name: Name of the pod.
            on_pod: What was subscribed.
        """
        subscribers = self._pods.get(name, [])
        if on_pod in subscribers:
            subscribers.remove(on_pod)
        if subscribers:
            return
        self._pods.pop(name, None)
        self._gone_after.pop(name, None)
        self._reports.pop(name, None)
        if name in self._lookups:
            self._lookups.pop(name).cancel()
        if not self._pods and self._runner is not None:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.stop)

    def stop(self) -> None:
        """Stop the watch."""
        for task in (self._runner, *self._lookups.values()):
            if task is not None:
                task.cancel()
        self._runner = None
        self._lookups.clear()

    async def _run(self) -> None:
        version = ""  # a watch without a version starts with all pods that exist
        pause, longest = RETRY_SECONDS
        while True:
            try:
                if version == RELIST:
                    version = await self._list()
                version = await self._follow(version)
                pause = RETRY_SECONDS[0]
            except RequestDenied as error:
                version = RELIST
                pause = max(pause, error.retry_seconds)
                if error.code == 403:
                    await self._poll()
                    continue
            except (ClusterError, *FOREIGN_ANSWER):
                version = RELIST
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
                    return RELIST
                pod = event["object"]
                version = pod["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._report(pod["metadata"]["name"], pod if event["type"] != "DELETED" else None)
        return version or RELIST

    async def _list(self) -> str:
        pod_list = await self._requests.list(self._selector)
        names = set()
        for pod in pod_list["items"]:
            names.add(pod["metadata"]["name"])
            self._report(pod["metadata"]["name"], pod)
        for name in self._pods.keys() - names:
            if self._is_gone(name):
                self._report(name, None)
            elif name in self._gone_after:
                self._look_up(name)
        return str(pod_list["metadata"]["resourceVersion"])

    async def _poll(self) -> None:
        """Get each pod by name for a while, if pods may be read but not watched."""
        end = time.monotonic() + POLLING_SECONDS
        while time.monotonic() < end:
            for name in list(self._pods):
                await self._get(name)
            await asyncio.sleep(POLL_SECONDS)

    def _look_up(self, name: str) -> None:
        if name not in self._lookups:
            self._lookups[name] = asyncio.ensure_future(self._find(name))

    async def _find(self, name: str) -> None:
        """Get a pod until it is known whether it exists."""
        pause, longest = RETRY_SECONDS
        while not await self._get(name):
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)
        self._lookups.pop(name, None)

    async def _get(self, name: str) -> bool:
        """Get a pod once and return whether the answer is final."""
        reports = self._reports[name]
        try:
            pod = await self._requests.get(name)
            if reports == self._reports[name]:  # else the watch may be ahead of this answer
                self._report(pod["metadata"]["name"], pod)
        except RequestDenied as error:
            if error.code != 404:
                return error.code == 403
            if self._is_gone(name):
                self._report(name, None)
                return True
            return False
        except (ClusterError, *FOREIGN_ANSWER):
            return False  # try again
        return True

    def _is_gone(self, name: str) -> bool:
        """Return whether a pod that is not found counts as gone."""
        return time.monotonic() >= self._gone_after.get(name, math.inf)

    def _report(self, name: str, pod: dict[str, Any] | None) -> None:
        subscribers = list(self._pods.get(name, ()))
        if subscribers:
            self._gone_after[name] = 0.0
            self._reports[name] += 1
        for on_pod in subscribers:
            on_pod(pod)
