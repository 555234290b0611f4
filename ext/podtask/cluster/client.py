"""One API server: REST in raw JSON, streams to pods, and its watches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import aiohttp
from yarl import URL

from ..errors import ClusterError
from .authentication import Login
from .credentials import Access
from .exec import PROTOCOLS, Exec, query
from .paths import VERSION, resource_path
from .port_forward import PortForward
from .refusals import ApiError

CONNECT_SECONDS = 10
ANSWER_SECONDS = 30
CLOSE_SECONDS = 0.5
BOOKMARK_SECONDS = 90  # the server sends a bookmark every minute: silence means a dead connection
SILENT_LOG = 1800  # a cell may print nothing for long; the pod's status tells of its end
# Names and labels of objects without what is in them: a secret's values stay where they are.
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
AT_ONCE = 32  # requests: a hundred tasks are to leave no hundred idle connections


class Broken(ClusterError):
    """The connection broke before the answer: whether the request was done is not known."""


class Api:
    """A session with one API server; lives in the event loop that made it."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self.round_trip = 1.0  # seconds; the quickest answer so far
        self._at_close: list[Callable[[], None]] = []
        self._turn = asyncio.Semaphore(AT_ONCE)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=300)
        self._session = aiohttp.ClientSession(connector=connector)

    @property
    def access(self) -> Access:
        """The API server, and the credentials that are used now."""
        return self._login.access

    @classmethod
    async def for_context(cls, context: str | None) -> Api:
        """Returns the session of a context; one per kubeconfig, context and event loop.

        Raises:
            PodtaskError: no cluster is configured, or its credentials cannot be had.
        """
        loop = asyncio.get_running_loop()
        key = (loop, os.environ.get("KUBECONFIG"), context)
        if key not in _known:
            waiting = _known[key] = loop.create_future()
            try:
                waiting.set_result(cls(await Login.for_context(context)))
            except BaseException as error:
                del _known[key]
                waiting.set_exception(error)
                waiting.exception()
                raise
        return await _known[key]

    async def request(self, method: str, path: str, body: Any = None, **params: str) -> dict[str, Any]:
        """Returns the JSON of an answer.

        Raises:
            ApiError: the server refuses.
            ClusterError: it is not reached.
        """
        start = time.monotonic()
        async with self._turn, self._answer(method, path, body, params, ANSWER_SECONDS) as answer:
            found = self._json(await answer.read())
        self.round_trip = min(self.round_trip, time.monotonic() - start)
        return found

    async def names(self, path: str) -> list[str]:
        """Returns the names of the objects of a kind; their contents are not asked for.

        Raises:
            ApiError: the server refuses.
            ClusterError: it is not reached.
        """
        params = {"limit": "500"}
        async with (
            self._turn,
            self._answer("GET", path, None, params, ANSWER_SECONDS, METADATA) as answer,
        ):
            found = self._json(await answer.read())
        return sorted(item["metadata"]["name"] for item in found["items"])

    async def text(self, path: str, **params: str) -> str:
        """Returns a text answer (a log)."""
        return (await self.content(path, **params)).decode("utf-8", "replace")

    async def content(self, path: str, **params: str) -> bytes:
        """Returns the bytes of an answer."""
        async with self._turn, self._answer("GET", path, None, params, ANSWER_SECONDS) as answer:
            return await answer.read()

    async def lines(self, path: str, **params: str) -> AsyncGenerator[bytes, None]:
        """Yields the lines of an endless answer.

        Raises:
            ApiError: the server refuses.
            ClusterError: it is not reached, it broke off, or was silent for 90 s (a log: half an hour).
        """
        silence = SILENT_LOG if "follow" in params else BOOKMARK_SECONDS
        async with self._answer("GET", path, None, params, None, silence=silence) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line

    async def forward(self, namespace: str, pod: str, port: int) -> PortForward:
        """Returns a new connection to a port of a pod's loopback.

        Raises:
            OSError: not possible (yet).
            ApiError: forbidden.
        """
        path = resource_path("pods", namespace, pod, "portforward")
        return PortForward(await self._socket(f"{path}?ports={port}", ("v4.channel.k8s.io",)))

    async def exec(self, namespace: str, pod: str, container: str, command: list[str]) -> Exec:
        """Returns the standard streams of a new process in a container.

        Raises:
            OSError: not possible (yet).
            ApiError: forbidden.
        """
        path = resource_path("pods", namespace, pod, "exec")
        return Exec(await self._socket(f"{path}?{query(container, command)}", PROTOCOLS))

    async def _socket(self, path: str, protocols: tuple[str, ...]) -> Any:
        access = self.access
        try:
            headers = await self._login.headers()
        except ClusterError as error:  # as good as expired: others may be there later
            raise ApiError(401, {"message": error.message}) from error
        try:
            return await self._session.ws_connect(
                URL(access.host + path, encoded=True),
                headers=headers,
                protocols=protocols,
                max_msg_size=0,
                proxy=access.proxy,
                server_hostname=access.server_name,
                ssl=access.tls or True,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 401:
                if await self._login.renew(access):
                    raise ConnectionError("new credentials are there") from None
                raise ApiError(401, self._login.refused()) from None
            if error.status == 403:
                raise ApiError(403, {"message": error.message}) from None
            raise ConnectionError(f"refused: {error.status}") from None
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            raise ConnectionError(str(error)) from None

    async def open_connections(self, count: int) -> None:
        """Opens connections that the next requests find ready: worth it when round trips are long."""
        await asyncio.gather(*(self.text(VERSION) for _ in range(count)), return_exceptions=True)

    def call_at_close(self, stop: Callable[[], None]) -> None:
        """Have something stopped when this session is closed."""
        self._at_close.append(stop)

    async def close(self) -> None:
        """End all connections."""
        for stop in self._at_close:
            stop()
        await self._session.close()

    @contextlib.asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        body: Any,
        params: dict[str, str],
        seconds: float | None,
        accept: str = "*/*",
        silence: float = BOOKMARK_SECONDS,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS, sock_read=silence)
        try:
            for again in (True, False):
                access = self.access
                async with self._session.request(
                    method,
                    access.host + path,
                    json=body,
                    params=params,
                    timeout=timeout,
                    headers={"Accept": accept, **await self._login.headers()},
                    proxy=access.proxy,
                    server_hostname=access.server_name,
                    ssl=access.tls or True,
                ) as answer:
                    if answer.status == 401:
                        if again and await self._login.renew(access):
                            continue
                        raise ApiError(401, self._login.refused())
                    if answer.status >= 300:
                        wait = answer.headers.get("Retry-After", "")
                        raise ApiError(answer.status, _status(await answer.read()), wait)
                    yield answer  # an answer that breaks off is as good as none
                    return
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            broke = isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError))
            raise (Broken if broke else ClusterError)(
                f"Cannot reach the API server of context {self.access.context!r}: {reason}",
                "Check the cluster and the VPN with `kubectl get --raw /readyz`, or run on this machine with --local.",
            ) from error

    def _json(self, raw: bytes) -> dict[str, Any]:
        try:
            found = json.loads(raw)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ClusterError(
                f"The answer for context {self.access.context!r} is not from an API server: {_words(raw)}",
                "It may be the login page of a proxy; `kubectl get --raw /readyz` shows it.",
            )
        return found


_known: dict[tuple[asyncio.AbstractEventLoop, str | None, str | None], asyncio.Future[Api]] = {}


def _status(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {"message": _words(raw)}
    return found if isinstance(found, dict) else {}


def _words(raw: bytes) -> str:
    """Returns the words of what is no JSON: of a page, those between its tags."""
    text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", raw[:20_000].decode("utf-8", "replace"))
    return " ".join(text.split())[:200]
