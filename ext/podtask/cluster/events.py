"""The events of one pod: asked for only when it takes its time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from ..errors import ClusterError
from .api import Api, ApiError

AGAIN_SECONDS = 2.0


class PodEvents:
    """Follows the events of a pod by its uid, oldest first.

    Args:
        api: the session.
        namespace: of the pod.
        on_change: called after each event.

    Attributes:
        seen: the events so far, None before they were asked for, or where that is forbidden.
    """

    def __init__(self, api: Api, namespace: str, on_change: Callable[[], None]) -> None:
        self.seen: list[dict[str, Any]] | None = None
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/events"
        self._on_change = on_change
        self._runner: asyncio.Task[None] | None = None

    def follow(self, uid: str) -> None:
        """Begins; further calls do nothing."""
        if self._runner is None:
            self._runner = asyncio.ensure_future(self._run(uid))

    def stop(self) -> None:
        """Ends that."""
        if self._runner is not None:
            self._runner.cancel()

    async def all(self, uid: str) -> list[dict[str, Any]]:
        """Returns all events of the pod, oldest first.

        Raises:
            ApiError: forbidden.
            ClusterError: the API server is not reached.
        """
        return (await self._read(uid))[0]

    async def _read(self, uid: str) -> tuple[list[dict[str, Any]], str]:
        found = await self._api.request("GET", self._path, fieldSelector=_selector(uid))
        return sorted(found["items"], key=_when), found["metadata"]["resourceVersion"]

    async def _run(self, uid: str) -> None:
        while True:
            try:
                self.seen, version = await self._read(uid)
                self._on_change()
                found = {each["metadata"]["uid"]: each for each in self.seen}
                params = {"watch": "1", "fieldSelector": _selector(uid), "resourceVersion": version}
                async for line in self._api.lines(self._path, **params):
                    event = json.loads(line)
                    if event["type"] not in ("ADDED", "MODIFIED"):
                        break
                    found[event["object"]["metadata"]["uid"]] = event["object"]
                    self.seen = sorted(found.values(), key=_when)
                    self._on_change()
            except ApiError as error:
                if error.code == 403:
                    return  # the status alone must do
            except (ClusterError, aiohttp.ClientError, OSError, TimeoutError):
                pass  # the next try
            await asyncio.sleep(AGAIN_SECONDS)


def _selector(uid: str) -> str:
    return f"involvedObject.uid={uid}"


def _when(event: dict[str, Any]) -> tuple[str, int]:
    """Sorts by the last time; within one second by the order of writing."""
    series = event.get("series") or {}
    when = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    when = when or event["metadata"].get("creationTimestamp") or ""
    return when[:19], int(event["metadata"].get("resourceVersion") or 0)
