"""Events about pods that take long to start: one watch for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..errors import ClusterError
from ..formatting import shorten_texts
from .client import Api
from .object_watch import RETRY_SECONDS, ObjectWatch, OnObject
from .paths import resource_path
from .pods import FOREIGN_ANSWER, explain_refusals
from .refusals import RequestDenied

# Whoever may create events may create any number, each of more than a megabyte.
MAX_EVENTS = 200  # of a pod
PAGE_EVENTS = 50  # in one answer
MAX_PAGES = 20
METADATA_FIELDS = ("name", "uid", "resourceVersion", "creationTimestamp")
FIELDS = (
    *("type", "reason", "message", "count", "series", "firstTimestamp", "lastTimestamp", "eventTime"),
    *("involvedObject", "source", "reportingComponent"),
)


class Events(ObjectWatch):
    """The events about the pods of a namespace: lists and watches them.

    Args:
        api: Session with the API server.
        namespace: Name of the namespace.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        super().__init__(api, fieldSelector="involvedObject.kind=Pod")
        self._path = resource_path("events", namespace)
        self._where = f"{api.access.context}/{namespace}"

    async def _find_path(self) -> str:
        return self._path

    def _owner_uid(self, found: dict[str, Any]) -> str:
        return str(found["involvedObject"].get("uid", ""))

    def _on_refusal(self, verb: str, code: int) -> None:
        """Do nothing: the pod's status has to be enough."""

    def _on_deletion(self, on_object: OnObject) -> None:
        """Do nothing: an event that has expired has happened all the same."""

    async def list(self, uid: str) -> list[dict[str, Any]]:
        """Return the events of a pod, oldest first, without long texts; at most a thousand.

        Args:
            uid: UID of the pod.

        Raises:
            RequestDenied: Events may not be listed.
            ClusterError: The API server cannot be reached.
        """
        params = {"fieldSelector": f"involvedObject.uid={uid}", "limit": str(PAGE_EVENTS)}
        found: list[dict[str, Any]] = []
        for _ in range(MAX_PAGES):
            with explain_refusals("list", "events", self._where):
                page = await self._api.request("GET", self._path, None, **params)
            found += map(_shortened, page["items"])
            params["continue"] = page.get("metadata", {}).get("continue", "")
            if not params["continue"]:
                break
        return sorted(found, key=_sort_key)


class PodEvents:
    """The events of one pod, collected as they come, oldest first.

    Args:
        events: Events of its namespace.
        on_change: Called after each event.

    Attributes:
        seen: The last events so far, at most ``MAX_EVENTS``; None before the first answer, or if events may not be read.
    """

    def __init__(self, events: Events, on_change: Callable[[], None]) -> None:
        self.seen: list[dict[str, Any]] | None = None
        self._events = events
        self._on_change = on_change
        self._uid = ""
        self._found: dict[str, dict[str, Any]] = {}
        self._reader: asyncio.Task[None] | None = None

    def follow(self, uid: str) -> None:
        """Start to collect the events of a pod; further calls do nothing.

        Args:
            uid: UID of the pod.
        """
        if not self._uid:
            self._uid = uid
            self._events.subscribe(uid, self._on_event)

    def stop(self) -> None:
        """Stop collecting."""
        self._events.unsubscribe(self._uid, self._on_event)
        if self._reader is not None:
            self._reader.cancel()

    def _on_event(self, event: dict[str, Any] | None) -> None:
        if event is not None:
            self._add([_shortened(event)])
            return
        if self._reader is not None:
            self._reader.cancel()  # its answer may be older than the start of the watch
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while True:
            try:
                self._add(await self._events.list(self._uid))
                return
            except RequestDenied as error:
                if error.code == 403:
                    return
            except (ClusterError, *FOREIGN_ANSWER):
                pass  # try again
            await asyncio.sleep(RETRY_SECONDS)

    def _add(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            known = self._found.get(event["metadata"]["uid"])
            if known is None or _age_key(known) <= _age_key(event):
                self._found[event["metadata"]["uid"]] = event
        self.seen = sorted(self._found.values(), key=_sort_key)[-MAX_EVENTS:]
        if len(self._found) > MAX_EVENTS:
            self._found = {event["metadata"]["uid"]: event for event in self.seen}
        self._on_change()


def _shortened(event: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an event that are shown, without long texts."""
    metadata = {name: event["metadata"][name] for name in METADATA_FIELDS if name in event["metadata"]}
    fields = {name: event[name] for name in FIELDS if name in event}
    return {"metadata": metadata, **shorten_texts(fields)}


def _sort_key(event: dict[str, Any]) -> tuple[str, str]:
    """Return a key that sorts events by their last time, and within a second by name.

    The name of an event ends with the time of its first occurrence in nanoseconds, in hexadecimal digits.
    """
    return _last_time(event), str(event["metadata"].get("name", ""))


def _age_key(event: dict[str, Any]) -> tuple[str, int]:
    """Return a key that is larger for the later one of two states of the same event."""
    series = event.get("series") or {}
    return _last_time(event), int(series.get("count") or event.get("count") or 0)


def _last_time(event: dict[str, Any]) -> str:
    series = event.get("series") or {}
    last_time = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(last_time or event["metadata"].get("creationTimestamp") or "")[:19]
