"""The events of pods, asked for only when one takes its time: one watch for all that do."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from ..errors import ClusterError
from .client import Api
from .paths import resource_path
from .pods import explain
from .refusals import ApiError, RequestDenied

AGAIN_SECONDS = 2.0

OnEvent = Callable[[dict[str, Any] | None], None]
"""Called with each new event about a pod; None when what there was is to be read."""


class Events:
    """The events about a namespace's pods, by one watch, open while anybody follows one.

    Args:
        api: the session.
        namespace: of the pods.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._path = resource_path("events", namespace)
        self._where = f"{api.access.context}/{namespace}"
        self._followers: dict[str, OnEvent] = {}
        self._version = ""  # what the watch has come to; empty where it has not begun
        self._runner: asyncio.Task[None] | None = None

    async def list(self, uid: str) -> list[dict[str, Any]]:
        """Returns all events of a pod, oldest first.

        Raises:
            RequestDenied: Events may not be read.
            ClusterError: the API server is not reached.
        """
        selector = f"involvedObject.uid={uid}"
        with explain("list", "events", self._where):
            found = await self._api.request("GET", self._path, fieldSelector=selector)
        return sorted(found["items"], key=_when)

    def subscribe(self, uid: str, on_event: OnEvent) -> None:
        """Calls ``on_event`` from now on."""
        self._followers[uid] = on_event
        if self._runner is None or self._runner.done():
            self._version = ""
            self._runner = asyncio.ensure_future(self._run())
        elif self._version:
            on_event(None)

    def unsubscribe(self, uid: str) -> None:
        """Ends that; the last one's end is the watch's."""
        self._followers.pop(uid, None)
        if not self._followers and self._runner is not None:
            self._runner.cancel()
            self._runner = None

    async def _run(self) -> None:
        while True:
            try:
                if not self._version:
                    listed = await self._api.request("GET", self._path, limit="1")
                    self._version = str(listed["metadata"]["resourceVersion"])
                    # What was before the watch begins, each reads of its own pod: a namespace has
                    # thousands of events.
                    for tell in list(self._followers.values()):
                        tell(None)
                await self._follow()
            except ApiError as error:
                if error.code == 403:
                    return  # the status alone must do
                self._version = ""
            except (ClusterError, ValueError, KeyError, TypeError):  # among them a proxy's page
                pass  # the next try goes on from what was seen
            await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self) -> None:
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "fieldSelector": "involvedObject.kind=Pod",
        }
        async with contextlib.aclosing(self._api.lines(self._path, **params)) as lines:
            async for line in lines:
                change = json.loads(line)
                if change["type"] == "ERROR":  # 410: too old
                    self._version = ""
                    return
                event = change["object"]
                self._version = event["metadata"]["resourceVersion"]
                if change["type"] in ("ADDED", "MODIFIED"):
                    tell = self._followers.get(event["involvedObject"].get("uid", ""))
                    if tell is not None:
                        tell(event)


class PodEvents:
    """The events of one pod, oldest first.

    Args:
        events: of its namespace.
        on_change: called after each event.

    Attributes:
        seen: the events so far, None before they were asked for, or where that is forbidden.
    """

    def __init__(self, events: Events, on_change: Callable[[], None]) -> None:
        self.seen: list[dict[str, Any]] | None = None
        self._events = events
        self._on_change = on_change
        self._uid = ""
        self._found: dict[str, dict[str, Any]] = {}
        self._reader: asyncio.Task[None] | None = None

    def follow(self, uid: str) -> None:
        """Begins; further calls do nothing."""
        if not self._uid:
            self._uid = uid
            self._events.subscribe(uid, self._take)

    def stop(self) -> None:
        """Ends that."""
        self._events.unsubscribe(self._uid)
        if self._reader is not None:
            self._reader.cancel()

    async def all(self, uid: str) -> list[dict[str, Any]]:
        """Returns all events of the pod as they are now, oldest first.

        Raises:
            RequestDenied: Events may not be read.
            ClusterError: the API server is not reached.
        """
        return await self._events.list(uid)

    def _take(self, event: dict[str, Any] | None) -> None:
        if event is not None:
            self._add([event])
            return
        if self._reader is not None:
            self._reader.cancel()  # what it reads may be older than where the watch begins
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while True:
            try:
                self._add(await self._events.list(self._uid))
                return
            except RequestDenied as error:
                if error.code == 403:
                    return
            except ClusterError:
                pass  # the next try
            await asyncio.sleep(AGAIN_SECONDS)

    def _add(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            known = self._found.get(event["metadata"]["uid"])
            if known is None or _when(known) <= _when(event):
                self._found[event["metadata"]["uid"]] = event
        self.seen = sorted(self._found.values(), key=_when)
        self._on_change()


def _when(event: dict[str, Any]) -> tuple[str, int]:
    """Sorts by the last time; within one second by the order of writing."""
    series = event.get("series") or {}
    when = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    when = when or event["metadata"].get("creationTimestamp") or ""
    return when[:19], int(event["metadata"].get("resourceVersion") or 0)
