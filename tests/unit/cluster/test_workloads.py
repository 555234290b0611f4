"""Workloads of Kueue: one watch for all pods in queues, missing rights are named, positions are shared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from podtask.cluster import workloads
from podtask.cluster.client import Api
from podtask.cluster.namespace import Namespace
from podtask.cluster.workloads import FollowedWorkload, Position

from tests.unit.cluster.test_watch import run_with_server, stream

GROUP = "/apis/kueue.x-k8s.io"
PATH = f"{GROUP}/v1beta2/namespaces/n/workloads"
VISIBILITY = "/apis/visibility.kueue.x-k8s.io"
POSITIONS = f"{VISIBILITY}/v1beta2/namespaces/n/localqueues/team/pendingworkloads"


def workload(pod: str, version: int) -> dict[str, Any]:
    labels = {"kueue.x-k8s.io/job-uid": pod}
    return {
        "metadata": {"name": f"pod-{pod}", "labels": labels, "resourceVersion": str(version)},
        "status": {},
    }


def line(kind: str, found: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": found}).encode()


class Server:
    """Respond like an API server with Kueue.

    Args:
        changes: What the watch reports.
        refused: Status of the answer to each verb that is refused.
        pending: Names in the queue, in their order; None if the server knows no positions.

    Attributes:
        asked: (verb, path) of each request.
    """

    def __init__(
        self, *changes: bytes, refused: dict[str, int] | None = None, pending: list[str] | None = None
    ) -> None:
        self.asked: list[tuple[str, str]] = []
        self._changes = changes
        self._refused = refused or {}
        self._pending = pending
        self._stored = [workload("a", 1), workload("b", 2)]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        verb = "watch" if "watch" in request.query else "list"
        verb = "get" if request.path != PATH else verb
        self.asked.append((verb, request.path))
        has_positions = self._pending is not None
        if request.path == GROUP or (request.path == VISIBILITY and has_positions):
            return web.json_response({"preferredVersion": {"version": "v1beta2"}})
        if request.path == POSITIONS and self._pending is not None:
            items = [
                {"metadata": {"name": name}, "positionInLocalQueue": at, "positionInClusterQueue": 2 * at}
                for at, name in enumerate(self._pending)
            ]
            return web.json_response({"items": items})
        code = self._refused.get(verb, 0 if request.path == PATH else 404)
        if code:
            return web.json_response({"message": "no"}, status=code)
        if verb == "watch":
            return await stream(request, *self._changes)
        _, _, uid = request.query.get("labelSelector", "").partition("=")
        found = [
            each for each in self._stored if uid in ("", each["metadata"]["labels"]["kueue.x-k8s.io/job-uid"])
        ]
        return web.json_response({"metadata": {"resourceVersion": "2"}, "items": found})


async def until(changed: asyncio.Event, is_reached: Callable[[], bool]) -> None:
    while not is_reached():
        changed.clear()
        await changed.wait()


def version(followed: FollowedWorkload) -> str:
    return "" if followed.found is None else str(followed.found["metadata"]["resourceVersion"])


@pytest.mark.feature("P12")
def test_pods_share_a_watch_of_the_version_that_the_server_prefers() -> None:
    """Each pod gets its own Workload, its changes and its deletion, over one watch that ends with the last pod."""
    server = Server(line("MODIFIED", workload("b", 4)), line("DELETED", workload("a", 5)))

    async def play(api: Api) -> None:
        shared, changed = Namespace(api, "n").workloads, asyncio.Event()
        first, second = (FollowedWorkload(shared, changed.set) for _ in "ab")
        first.follow("a", "")
        second.follow("b", "")
        await until(changed, lambda: version(second) == "4" and version(first) == "1")
        assert server.asked.count(("get", GROUP)) == 1
        assert [verb for verb, _ in server.asked].count("watch") == 1
        first.stop()
        second.stop()
        assert shared._runner is None

    run_with_server(server.answer, play)


@pytest.mark.parametrize(
    ("refused", "right"),
    [({"list": 403}, "list workloads"), ({"watch": 403}, "watch workloads"), ({"list": 404}, "")],
)
def test_missing_right_is_named_once(refused: dict[str, int], right: str) -> None:
    """A Workload that may not be followed is not requested forever; without Kueue there is no right to ask for."""
    server = Server(refused=refused)

    async def play(api: Api) -> None:
        shared, changed = Namespace(api, "n").workloads, asyncio.Event()
        followed = FollowedWorkload(shared, changed.set)
        followed.follow("a", "team")
        runner = shared._runner
        assert runner is not None
        await runner
        await until(
            changed, lambda: followed.is_read and followed.missing_right == right and not followed.found
        )
        followed.stop()
        assert len([verb for verb, path in server.asked if path == PATH]) <= 3

    run_with_server(server.answer, play)


@pytest.mark.feature("P12")
def test_positions_are_shared_by_the_tasks_of_a_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tasks of a queue cause one request for the positions, which count from one."""
    server = Server(pending=["pod-x", "pod-b", "pod-a"])
    monkeypatch.setattr(workloads, "POSITION_SECONDS", 3600.0)

    async def play(api: Api) -> None:
        shared, changed = Namespace(api, "n").workloads, asyncio.Event()
        first, second = (FollowedWorkload(shared, changed.set) for _ in "ab")
        first.follow("a", "team")
        second.follow("b", "team")
        await until(changed, lambda: first.position is not None and second.position is not None)
        assert (first.position, second.position) == (Position(3, 3, 5), Position(2, 3, 3))
        assert server.asked.count(("get", POSITIONS)) == 1
        first.stop()
        second.stop()

    run_with_server(server.answer, play)


def test_server_that_knows_no_positions_leaves_them_out() -> None:
    """Without Kueue's visibility API there is no position, and no error."""

    async def play(api: Api) -> None:
        assert await Namespace(api, "n").workloads.positions("team") == {}

    run_with_server(Server().answer, play)
