"""Explain why a task waits, for ``%podtask why``: its phase, and what is free where it could go.

Only what can be read is said. What may not be read is named with the right that is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from ..backends.base import Phase
from ..cluster.namespace import Namespace
from ..cluster.refusals import RequestDenied
from ..cluster.workloads import Position
from ..diagnosis.diagnose import diagnose
from ..diagnosis.queueing import QueuePlace, ordinal
from ..errors import ClusterError
from ..manifest.task_pod import TaskPod
from .capacity import (
    describe_cluster_queue,
    describe_quota,
    describe_requests,
    node_rooms,
    pod_requests,
)

T = TypeVar("T")
MAX_NODES = 5  # that are named
LABEL_CHARS = 10
IN_CLUSTER = " in the whole cluster"


async def explain(ns: Namespace, pod: TaskPod) -> str:
    """Return the phase of a task's pod in one line, and details if it waits for its place.

    Args:
        ns: Namespace of the pod.
        pod: The pod, as it was read just now.
    """
    explanation = _Explanation(ns, pod)
    place = await explanation.read_place()
    events: list[dict[str, Any]] = (
        await explanation.ask(ns.events.list(pod.uid), "list events", "the events") or []
    )
    phase = Phase.from_diagnosis(diagnose(pod.pod, pod.primary, events, place=place))
    return "\n".join([str(phase), *await explanation.details()])


async def explain_details(ns: Namespace, pod: TaskPod) -> list[str]:
    """Return lines on what is free where a pod could go; no lines for a pod that has its place."""
    explanation = _Explanation(ns, pod)
    await explanation.read_place()
    return await explanation.details()


class _Explanation:
    """Collects what can be read about the place that a pod waits for, and the rights that are missing."""

    def __init__(self, ns: Namespace, pod: TaskPod) -> None:
        self._ns = ns
        self._pod = pod
        self._requests = pod_requests(pod.pod)
        self._position: Position | None = None
        self._missing: list[str] = []

    async def ask(self, request: Awaitable[T], right: str, what: str) -> T | None:
        """Return an answer; None if it cannot be had. Remember the right if it is missing.

        Args:
            request: The request.
            right: Verb and resource of the right that it needs.
            what: What the answer would tell.
        """
        try:
            return await request
        except RequestDenied as error:
            if error.code == 403:
                self._missing.append(f"{what} (needs the right to {right})")
        except ClusterError as error:
            self._missing.append(f"{what} ({error.message.rstrip('.')})")
        return None

    async def read_place(self) -> QueuePlace:
        """Return the place of the pod in its queue, as far as it may be read."""
        pod = self._pod
        if not pod.is_queued:
            return QueuePlace()
        right = "list workloads (kueue.x-k8s.io)"
        found = await self.ask(self._ns.workloads.list(pod.uid), right, "why the queue holds it")
        workload = found[-1] if found else None
        right = "get localqueues/pendingworkloads (visibility.kueue.x-k8s.io)"
        if workload is not None and pod.queue:
            positions = await self.ask(
                self._ns.workloads.positions(pod.queue), right, "its position in the queue"
            )
            self._position = (positions or {}).get(str(workload["metadata"]["name"]))
        number, count = (self._position.number, self._position.count) if self._position else (0, None)
        return QueuePlace(
            workload, found is not None, "" if found is not None else "list workloads", number, count
        )

    async def details(self) -> list[str]:
        """Return the lines below the phase."""
        if self._pod.is_finished or self._pod.pod["spec"].get("nodeName"):
            return []
        lines = _labeled("requests", [describe_requests(self._requests) or "nothing"])
        if self._pod.is_queued:
            lines += _labeled("queue", await self._queue_lines())
        else:
            lines += _labeled("nodes", await self._node_lines())
        quotas = await self.ask(
            self._ns.capacity.quotas(), "list resourcequotas", "the quota of the namespace"
        )
        lines += _labeled(
            "quota", [text for each in quotas or [] if (text := describe_quota(each, self._requests))]
        )
        return lines + _labeled("not shown", self._missing)

    async def _queue_lines(self) -> list[str]:
        """Return the position in the cluster queue, and what its flavors have free."""
        if not self._pod.queue:
            return []
        read = self._ns.workloads.get_queue
        right = "get localqueues (kueue.x-k8s.io)"
        queue = await self.ask(read("localqueues", self._pod.queue), right, "the cluster queue")
        if queue is None:
            return []
        name = str(queue["spec"].get("clusterQueue", ""))
        at = f", {ordinal(self._position.in_cluster_queue)} there" if self._position else ""
        lines = [f"{self._pod.queue} belongs to cluster queue {name}{at}"]
        right = f"get clusterqueues (kueue.x-k8s.io){IN_CLUSTER}"
        cluster_queue = await self.ask(read("clusterqueues", name), right, "the quota of the cluster queue")
        return lines + (describe_cluster_queue(cluster_queue, self._requests) if cluster_queue else [])

    async def _node_lines(self) -> list[str]:
        """Return the nodes with the most room, and how many have enough."""
        capacity = self._ns.capacity
        nodes, pods = await asyncio.gather(
            self.ask(capacity.nodes(), f"list nodes{IN_CLUSTER}", "the nodes"),
            self.ask(capacity.pods_on_nodes(), f"list pods{IN_CLUSTER}", "what is free on the nodes"),
        )
        if nodes is None:
            return []
        if pods is not None and not pods[1]:
            self._missing.append(f"what is free on the nodes (more than {len(pods[0]):,} pods)")
        on_nodes = pods[0] if pods is not None and pods[1] else None
        rooms = node_rooms(nodes[0], on_nodes, self._requests)
        lines = [each.describe(self._requests) for each in rooms[:MAX_NODES]]
        count = f"{len(rooms)}{'' if nodes[1] else ' or more'}"
        if on_nodes is not None:
            fitting = sum(each.fits(self._requests) for each in rooms)
            lines.insert(
                0, f"{fitting} of {count} have room for these requests; taints and labels are not compared"
            )
        if len(rooms) > MAX_NODES:
            lines.append(f"and {len(rooms) - MAX_NODES} with less room")
        return lines


def _labeled(label: str, lines: list[str]) -> list[str]:
    """Return lines with a label before the first one."""
    return [f"  {label if number == 0 else '':<{LABEL_CHARS}} {line}" for number, line in enumerate(lines)]
