"""Rights and servers that are unavailable while a cell runs, and return later."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from .scripts import Proceed, Script, refused
from .scripts_end import Idle

STREAMS = ("/portforward", "/exec")
FORBIDDEN = 'pods "x" is forbidden: User "u" cannot create resource "pods/portforward"'
TRIES = 4  # that are refused


class TakenAway(Idle):
    """The connection is closed at "cut here", and the next streams are forbidden."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith(STREAMS) and 0 < self.times <= TRIES:
            self.times += 1
            return refused(403, FORBIDDEN, "Forbidden")
        return await proceed(request)


class NoNewStreams(Script):
    """New streams are forbidden after ``forbidden`` is set; open streams continue.

    Attributes:
        forbidden: Whether new streams are forbidden.
    """

    forbidden = False

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith(STREAMS) and self.forbidden:
            return refused(403, FORBIDDEN, "Forbidden")
        return await proceed(request)


class BatchLogAway(Script):
    """The log of a batch task is refused after its first line was read; the cell ends later.

    Args:
        code: Status code of the responses; 0 closes the connection.
        gate: File that lets the cell end.
    """

    def __init__(self, code: int = 401, gate: Path = Path("/nonexistent/gate")) -> None:
        super().__init__()
        self._code, self._gate = code, gate
        self._read = False

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if not request.path.endswith("/log") or not self._read or self.times == TRIES:
            return await proceed(request)
        self.times += 1
        if self.times == TRIES:
            self._gate.touch()
        if self._code:
            return refused(self._code, "no")
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def log_line(self, name: str, line: bytes) -> bytes | None:
        if self._read and self.times < TRIES:
            return b""
        self._read = True
        return line


class NeedsToken(Script):
    """Requests without the current token receive 401.

    Args:
        token: The first token.
    """

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return refused(401, "Unauthorized", "Unauthorized")
        return await proceed(request)
