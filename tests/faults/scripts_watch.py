"""Faults between the creation of a pod and its start."""

from __future__ import annotations

import asyncio

from aiohttp import web

from .pods import Object
from .scripts import Proceed, Script, is_create, refused


class Invisible(Script):
    """Watching is forbidden, and the first requests do not find a new pod (fault 27)."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.query.get("watch"):
            return refused(403, "pods is forbidden", "Forbidden")
        name = request.path.rpartition("/")[2]
        if request.method == "GET" and name in self.pods.found and self.times < 2:
            self.times += 1
            return refused(404, f'pods "{name}" not found', "NotFound")
        return await proceed(request)


class Muddled(Script):
    """A watch loses events, ends with 410 and repeats old events (fault 81)."""

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
    """Watches end after a moment without any event; only lists are correct (fault 81)."""

    def changes(self, event: Object) -> list[Object] | None:
        return None


class Slow(Script):
    """A pod waits for a node until the event that explains the wait has been read (fault 83)."""

    def __init__(self) -> None:
        super().__init__()
        self._watched, self._read = asyncio.Event(), asyncio.Event()

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith("/events"):
            if request.query.get("watch"):
                self._watched.set()
            elif "fieldSelector" in request.query:
                self._read.set()
        return await proceed(request)

    async def live(self, name: str) -> None:
        for _ in range(2):
            await self.pods.report(name, "FailedScheduling", "0/1 nodes are available: 1 Too many pods.")
        await self._watched.wait()
        await self._read.wait()
        await super().live(name)


class Sandboxed(Script):
    """Forwarded ports lead to a different loopback than the runner's, as in gVisor and Kata."""

    async def reach(self, name: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.times += 1
        raise ConnectionRefusedError(f"connect to 127.0.0.1:{port}")


class Silent(Script):
    """The first connection to a port is accepted, and the server never responds."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith("/portforward") and not self.times:
            self.times += 1
            await asyncio.Event().wait()
        return await proceed(request)


class Unready(Script):
    """For a while, all requests except the creation receive 503, as from a restarting server (fault 81)."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if self.pods.found and self.times < 4 and not is_create(request):
            self.times += 1
            return refused(503, "the server is currently unable to handle the request")
        return await proceed(request)
