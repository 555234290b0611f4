"""Nodes that lack the device that a pod requests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from .scripts import Proceed, Script, refused

DEVICE = "example.com/fpga"


def node(version: int, **resources: str) -> dict[str, Any]:
    """Return the only node of the cluster, with these resources beside its CPUs."""
    amounts = {"cpu": "8", **resources}
    return {
        "metadata": {"name": "node", "resourceVersion": str(version)},
        "status": {"capacity": amounts, "allocatable": amounts},
    }


class DeviceMissing(Script):
    """Pods wait for a device, which the node does not have at first.

    Args:
        refused_verb: "list" or "watch", which the user may not do with nodes; empty if both are allowed.

    Attributes:
        has_device: Set by a test; then the node has the device.
        is_free: Set by a test; then the pods get the node.
    """

    def __init__(self, refused_verb: str = "") -> None:
        super().__init__()
        self.has_device, self.is_free = asyncio.Event(), asyncio.Event()
        self._refused_verb = refused_verb

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if not request.path.endswith("/nodes"):
            return await proceed(request)
        if self._refused_verb == ("watch" if request.query.get("watch") else "list"):
            return refused(403, "nodes is forbidden", "Forbidden")
        if not request.query.get("watch"):
            return web.json_response({"metadata": {"resourceVersion": "7"}, "items": [node(7)]})
        answer = web.StreamResponse()
        await answer.prepare(request)
        await self.has_device.wait()
        change = {"type": "MODIFIED", "object": node(8, **{DEVICE: "1"})}
        await answer.write(json.dumps(change).encode() + b"\n")
        await asyncio.Event().wait()
        return answer

    async def live(self, name: str) -> None:
        message = f"0/1 nodes are available: 1 Insufficient {DEVICE}. preemption: 0/1 nodes are available."
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        await self.pods.set(name, conditions=[condition])
        await self.is_free.wait()
        await super().live(name)
