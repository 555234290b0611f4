"""What goes wrong between a pod's creation and its start."""

from __future__ import annotations

import asyncio

from aiohttp import web

from .pods import Object
from .scripts import Proceed, Script, is_create, refused


class Invisible(Script):
    """Watching is forbidden, and a new pod is not there for the first who ask (fault 27)."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.query.get("watch"):
            return refused(403, "pods is forbidden", "Forbidden")
        name = request.path.rpartition("/")[2]
        if request.method == "GET" and name in self.pods.found and self.times < 2:
            self.times += 1
            return refused(404, f'pods "{name}" not found', "NotFound")
        return await proceed(request)


class Muddled(Script):
    """A watch that loses events, ends in 410, and tells old news again (fault 81)."""

    def changes(self, event: Object) -> list[Object] | None:
        self.times += 1
        if self.times == 1:
            return [{"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}]
        old = [
            each
            for _, _, each in self.pods.history
            if each["metadata"]["name"] == event["object"]["metadata"]["name"]
        ]
        return [event, {"type": "MODIFIED", "object": old[0]}]


class Deaf(Script):
    """No watch ever tells of anything, but ends after a moment: the list alone is true (fault 81)."""

    def changes(self, event: Object) -> list[Object] | None:
        return None


class Slow(Script):
    """A pod waits for a node, with an event that says why, until that was read (fault 83)."""

    def __init__(self) -> None:
        super().__init__()
        self._watched, self._read = asyncio.Event(), asyncio.Event()

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith("/events"):
            if request.query.get("watch"):
                self._watched.set()
            elif "limit" not in request.query:
                self._read.set()
        return await proceed(request)

    async def live(self, name: str) -> None:
        for _ in range(2):
            await self.pods.report(name, "FailedScheduling", "0/1 nodes are available: 1 Too many pods.")
        await self._watched.wait()
        await self._read.wait()
        await super().live(name)


class Sandboxed(Script):
    """Forwarded ports lead to a loopback that is not the runner's, as in gVisor and Kata."""

    async def reach(self, name: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.times += 1
        raise ConnectionRefusedError(f"connect to 127.0.0.1:{port}")


class Silent(Script):
    """The first connection to a port is taken and never answered."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith("/portforward") and not self.times:
            self.times += 1
            await asyncio.Event().wait()
        return await proceed(request)


class Unready(Script):
    """All but the creation is answered with 503 for a while, as by a server that restarts (81)."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if self.pods.found and self.times < 4 and not is_create(request):
            self.times += 1
            return refused(503, "the server is currently unable to handle the request")
        return await proceed(request)
