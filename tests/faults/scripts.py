"""One class for each fault: a script receives every request and simulates the life of every pod."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from .jobs import Jobs
from .pods import Object, Pods, ended, primary_of
from .streams import Forwards

Proceed = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refused(code: int, message: str, reason: str = "", **headers: str) -> web.Response:
    """Return a Status object of a failure."""
    status = {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "message": message,
        "reason": reason,
    }
    return web.json_response(status, status=code, headers=headers)


def is_create(request: web.Request) -> bool:
    """Return whether a request creates a pod."""
    return request.method == "POST" and request.path.endswith("/pods")


class Script:
    """A healthy API server without any fault."""

    pods: Pods
    jobs: Jobs
    forwards: Forwards
    username = "alice"

    def __init__(self) -> None:
        self.times = 0  # that it went wrong

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        """Respond to a request; ``proceed`` responds as a healthy server does."""
        return await proceed(request)

    async def live(self, name: str) -> None:
        """Simulate the life of a new pod from its creation to its end."""
        await self.pods.assign_node(name)
        primary = primary_of(self.pods.found[name])["name"]
        await self.pods.set(name, **ended(primary, await self.pods.run(name)))

    async def reach(self, name: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a port of a pod.

        Raises:
            OSError: No process listens on the port.
        """
        return await asyncio.open_connection("127.0.0.1", self.pods.ports.get(name, port))

    def changes(self, event: Object) -> list[Object] | None:
        """Return the bytes that a watch sends in place of an event; None ends the watch."""
        return [event]

    async def log_line(self, name: str, line: bytes) -> bytes | None:
        """Return the bytes for a line of a followed log: empty bytes end it, None breaks the connection."""
        return line

    def on_data(self, data: bytes) -> None:
        """Inspect the bytes that a runner has sent."""


class LostReply(Script):
    """The pod is stored, and the connection breaks before the response (fault 1)."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        answer = await proceed(request)
        if is_create(request) and not self.times:
            self.times += 1
            assert request.transport is not None
            request.transport.close()
        return answer


class Stranger(Script):
    """A pod of somebody else has the same name (fault 1)."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if is_create(request) and not self.times:
            self.times += 1
            sent = await request.json()
            theirs = {
                **sent,
                "metadata": {"name": sent["metadata"]["name"], "labels": {"of": "others"}},
            }
            await self.pods.add(theirs)
        return await proceed(request)


class Refuses(Script):
    """The first requests to create a pod are refused with a status code and a text."""

    code, message, reason, wanted = 500, "", "", 1
    headers: dict[str, str] = {}  # noqa: RUF012  # read only

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if is_create(request) and self.times < self.wanted:
            self.times += 1
            return refused(self.code, self.message, self.reason, **self.headers)
        return await proceed(request)


class QuotaConflict(Refuses):
    """409 because a quota has changed in the meantime, then success (fault 4)."""

    code, reason = 409, "Conflict"
    message = (
        'Operation cannot be fulfilled on resourcequotas "q": the object has been modified; please '
        "apply your changes to the latest version and try again"
    )


class Webhook(Refuses):
    """A webhook times out twice, then success (fault 6)."""

    code, wanted, reason = 500, 2, "InternalError"
    message = 'Internal error occurred: failed calling webhook "w": context deadline exceeded'


class Busy(Refuses):
    """429 with Retry-After, then success (fault 9)."""

    code, reason = 429, "TooManyRequests"
    message = "Too many requests, please try again later."
    headers = {"Retry-After": "1"}  # noqa: RUF012  # read only
