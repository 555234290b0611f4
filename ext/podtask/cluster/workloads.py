"""Workloads of Kueue: what holds pods and Jobs in queues, by one watch for all of them, and their positions.

Source: https://kueue.sigs.k8s.io/docs/concepts/workload/ and
https://kueue.sigs.k8s.io/docs/tasks/manage/monitor_pending_workloads/pending_workloads_on_demand/
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import ClusterError
from ..event_loop import ignore_result
from ..formatting import shorten_texts
from .client import Api
from .object_watch import RETRY_SECONDS, ObjectWatch, OnObject
from .paths import DISCOVERED_GROUPS, VISIBILITY_GROUP, resource_path
from .pods import FOREIGN_ANSWER, explain_refusals
from .refusals import ApiError, RequestDenied

JOB_UID_LABEL = "kueue.x-k8s.io/job-uid"  # of a Workload: the UID of its pod or Job
GROUP = DISCOVERED_GROUPS["workloads"]
# Nothing reports a change of the positions, so they are read again. All tasks of a queue share an answer.
POSITION_SECONDS = 15.0
MAX_PENDING = 1000  # in one answer
NOT_SERVED_CODES = (404, 503)  # the API server knows no positions


@dataclass(frozen=True)
class Position:
    """Where a Workload stands in its queue.

    Args:
        number: Its position in the queue of the namespace, from 1.
        count: Number of Workloads that wait there; None if there are too many for one answer.
        in_cluster_queue: Its position in the cluster queue, from 1, which other queues may share.
    """

    number: int
    count: int | None
    in_cluster_queue: int


class Workloads(ObjectWatch):
    """The Workloads of a namespace: lists and watches them, and reads their positions.

    Args:
        api: Session with the API server.
        namespace: Name of the namespace.

    Attributes:
        refused_verb: The verb, such as "watch", that the user lacks; empty if the user has the right to watch.
    """

    FINAL_CODES = (403, 404)

    def __init__(self, api: Api, namespace: str) -> None:
        super().__init__(api, labelSelector=JOB_UID_LABEL)
        self.refused_verb = ""
        self._namespace = namespace
        self._where = f"{api.access.context}/{namespace}"
        self._positions: dict[str, tuple[float, asyncio.Future[dict[str, Position]]]] = {}

    async def list(self, uid: str = "") -> list[dict[str, Any]]:
        """Return the Workloads of a pod or Job, or of all, without long texts.

        Args:
            uid: UID of the pod or Job; empty for all.

        Raises:
            RequestDenied: Workloads may not be listed, or the cluster has none.
            ClusterError: The API server cannot be reached.
        """
        selector = f"{JOB_UID_LABEL}={uid}" if uid else JOB_UID_LABEL
        with explain_refusals("list", f"workloads.{GROUP}", self._where):
            found = await self._api.request("GET", await self._find_path(), labelSelector=selector)
        return [shorten_texts(each) for each in found["items"]]

    async def get_queue(self, resource: str, name: str) -> dict[str, Any]:
        """Return a queue.

        Args:
            resource: "localqueues" or "clusterqueues".
            name: Name of the queue.

        Raises:
            RequestDenied: It does not exist, or may not be read.
            ClusterError: The API server cannot be reached.
        """
        with explain_refusals("get", f"{resource}.{GROUP}", self._where):
            group = await self._api.group_path(GROUP)
            return await self._api.request("GET", resource_path(resource, self._namespace, name, group=group))

    async def positions(self, queue: str) -> dict[str, Position]:
        """Return the positions of the Workloads that wait in a queue, by their names; empty if nothing knows them.

        Args:
            queue: Name of the queue of the namespace.

        Raises:
            RequestDenied: Positions may not be read.
            ClusterError: The API server cannot be reached.
        """
        read_at, reading = self._positions.get(queue, (0.0, None))
        is_old = time.monotonic() - read_at > POSITION_SECONDS / 2
        if reading is None or (reading.done() and (is_old or reading.cancelled() or reading.exception())):
            reading = ignore_result(asyncio.ensure_future(self._read_positions(queue)))
            self._positions[queue] = time.monotonic(), reading
        return await asyncio.shield(reading)

    async def _read_positions(self, queue: str) -> dict[str, Position]:
        try:
            with explain_refusals("get", f"localqueues/pendingworkloads.{VISIBILITY_GROUP}", self._where):
                group = await self._api.group_path(VISIBILITY_GROUP)
                path = resource_path("localqueues", self._namespace, queue, "pendingworkloads", group)
                found = await self._api.request("GET", path, limit=str(MAX_PENDING))
        except RequestDenied as error:
            if error.code in NOT_SERVED_CODES:
                return {}
            raise
        count = len(found["items"]) if len(found["items"]) < MAX_PENDING else None
        return {
            str(each["metadata"]["name"]): Position(
                int(each["positionInLocalQueue"]) + 1, count, int(each["positionInClusterQueue"]) + 1
            )
            for each in found["items"]
        }

    async def _find_path(self) -> str:
        return resource_path("workloads", self._namespace, group=await self._api.group_path(GROUP))

    def _owner_uid(self, found: dict[str, Any]) -> str:
        return workload_owner(found)

    def _on_refusal(self, verb: str, code: int) -> None:
        self.refused_verb = verb if code == 403 else ""
        self._notify()

    def _on_deletion(self, on_object: OnObject) -> None:
        on_object(None)


class FollowedWorkload:
    """The Workload of one pod or Job in its latest state, and its position in the queue.

    Args:
        workloads: Workloads of its namespace.
        on_change: Called after each change.

    Attributes:
        found: The Workload; None if there is none, or it may not be read.
        is_read: Whether it was looked for.
        missing_right: The right without which it cannot be followed, such as "watch workloads"; may be empty.
        position: Its position; None if it is unknown.
    """

    def __init__(self, workloads: Workloads, on_change: Callable[[], None]) -> None:
        self.found: dict[str, Any] | None = None
        self.is_read = False
        self.missing_right = ""
        self.position: Position | None = None
        self._workloads = workloads
        self._on_change = on_change
        self._uid = self._queue = ""
        self._reader: asyncio.Task[None] | None = None
        self._position_reader: asyncio.Task[None] | None = None

    def follow(self, uid: str, queue: str) -> None:
        """Start to follow; do nothing if that has begun.

        Args:
            uid: UID of the pod or Job.
            queue: Name of its queue in the namespace; empty if it is unknown.
        """
        if not self._uid:
            self._uid, self._queue = uid, queue
            self._workloads.subscribe(uid, self._on_object)

    def stop(self) -> None:
        """Stop following; what was found last is kept."""
        if self._uid:
            self._workloads.unsubscribe(self._uid, self._on_object)
        self._uid = ""
        for task in (self._reader, self._position_reader):
            if task is not None:
                task.cancel()
        self._reader = self._position_reader = None

    def _on_object(self, workload: dict[str, Any] | None) -> None:
        if self._reader is not None:
            self._reader.cancel()  # its answer may be older
        if workload is not None:
            self._update(shorten_texts(workload))
            return
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        verb = self._workloads.refused_verb
        while not verb:
            try:
                found = await self._workloads.list(self._uid)
                self._update(found[-1] if found else None)
                return
            except RequestDenied as error:
                if error.code == 404:
                    self._update(None)
                    return
                verb = "list" if error.code == 403 else ""
            except (ClusterError, *FOREIGN_ANSWER):
                pass  # try again
            if not verb:
                await asyncio.sleep(RETRY_SECONDS)
        self.missing_right = f"{verb} workloads"
        self._update(None)

    def _update(self, workload: dict[str, Any] | None) -> None:
        self.found, self.is_read = workload, True
        if workload is not None and self._queue and self._position_reader is None:
            self._position_reader = asyncio.ensure_future(self._follow_position())
        self._on_change()

    async def _follow_position(self) -> None:
        while True:
            try:
                positions = await self._workloads.positions(self._queue)
            except RequestDenied as error:
                if error.code == 403:
                    return
            except (ClusterError, ApiError, *FOREIGN_ANSWER):
                pass  # it is shown as it was
            else:
                name = str((self.found or {"metadata": {"name": ""}})["metadata"]["name"])
                position = positions.get(name)
                if position != self.position:
                    self.position = position
                    self._on_change()
            await asyncio.sleep(POSITION_SECONDS)


def workload_owner(workload: dict[str, Any]) -> str:
    """Return the UID of the pod or Job that a Workload belongs to; empty if it has none."""
    return str(workload["metadata"].get("labels", {}).get(JOB_UID_LABEL, ""))
