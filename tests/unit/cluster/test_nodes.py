"""The devices of nodes: one watch, which large clusters and missing rights end for good."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from podtask.cluster.client import Api
from podtask.cluster.nodes import Nodes

from tests.unit.cluster.test_watch import run_with_server, stream

GPU, FPGA = "nvidia.com/gpu", "example.com/fpga"


def node(name: str, capacity: dict[str, str], **allocatable: str) -> dict[str, Any]:
    status = {"capacity": capacity, "allocatable": allocatable}
    return {"metadata": {"name": name, "resourceVersion": "2"}, "status": status}


def line(kind: str, found: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": found}).encode()


class Server:
    """Respond with two nodes, one of which has a GPU that is not healthy.

    Args:
        changes: What the watch reports.
        continues: Token of the next page; empty if the two nodes are all.

    Attributes:
        asked: The query of each request.
    """

    def __init__(self, *changes: bytes, continues: str = "") -> None:
        self.asked: list[dict[str, str]] = []
        self._changes = changes
        self._metadata = {"resourceVersion": "1", "continue": continues}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        if "watch" in request.query:
            return await stream(request, *self._changes)
        items = [node("a", {"cpu": "8", FPGA: "0"}), node("b", {"cpu": "8", GPU: "1"}, **{GPU: "0"})]
        return web.json_response({"metadata": self._metadata, "items": items})


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ((), {FPGA}),
        ((line("ADDED", node("c", {FPGA: "1"})),), set()),
        ((line("DELETED", node("b", {})),), {GPU, FPGA}),
        ((line("MODIFIED", node("a", {}, **{FPGA: "2"})), line("DELETED", node("b", {}))), {GPU}),
    ],
    ids=["at first", "added", "deleted", "changed"],
)
def test_absent_devices_follow_the_nodes(changes: tuple[bytes, ...], absent: set[str]) -> None:
    """U14: a device is absent if no node has it, also one that cannot be used at the moment; nothing is before all are read."""
    server = Server(*changes)

    async def play(api: Api) -> None:
        nodes, reports = Nodes(api), asyncio.Semaphore(0)
        assert nodes.absent_of({GPU, FPGA}) == set()

        def on_nodes(_: dict[str, Any] | None) -> None:
            reports.release()

        nodes.subscribe("pod", on_nodes)
        for _ in range(1 + len(changes)):
            await reports.acquire()
        assert nodes.absent_of({GPU, FPGA}) == absent
        nodes.unsubscribe("pod", on_nodes)
        assert nodes.absent_of({GPU, FPGA}) == set()

    run_with_server(server.answer, play)


def test_two_subscribers_wait_for_one_pod() -> None:
    """Two handles of one task are both told of the nodes; the watch ends with the second one."""
    server = Server()

    async def play(api: Api) -> None:
        nodes, told = Nodes(api), [asyncio.Semaphore(0), asyncio.Semaphore(0)]
        callbacks = [lambda _, each=each: each.release() for each in told]
        for each in callbacks:
            nodes.subscribe("pod", each)
        for reports in told:
            await reports.acquire()
        nodes.unsubscribe("pod", callbacks[0])
        assert nodes._runner is not None
        nodes.unsubscribe("pod", callbacks[1])
        assert nodes._runner is None

    run_with_server(server.answer, play)


def test_large_cluster_is_not_read() -> None:
    """U14: a cluster with more nodes than fit in one answer is not watched, and no other pod lists its nodes."""
    server = Server(continues="token")

    async def play(api: Api) -> None:
        nodes = Nodes(api)

        def ignore(_: dict[str, Any] | None) -> None:
            """Do nothing."""

        nodes.subscribe("pod", ignore)
        runner = nodes._runner
        assert runner is not None
        await runner
        nodes.unsubscribe("pod", ignore)
        nodes.subscribe("other", ignore)
        assert nodes._runner is None
        assert nodes.absent_of({GPU}) == set()

    run_with_server(server.answer, play)
    assert server.asked == [{"limit": "200"}]
