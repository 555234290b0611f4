"""A session with one API server: REST requests in raw JSON, and streams to pods."""

from __future__ import annotations

import asyncio
import contextlib
import http
import io
import json
import os
import re
import textwrap
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
from yarl import URL

from ..errors import AnswerTooLarge, ClusterError
from ..event_loop import ignore_result
from .authentication import Login
from .credentials import Access
from .exec import PROTOCOLS, Exec, exec_query
from .paths import VERSION_PATH, group_path, resource_path
from .port_forward import PortForward
from .refusals import ApiError
from .unreachable import StreamRefused, Unreachable, connection_error

CONNECT_SECONDS = 10
ANSWER_SECONDS = 30  # without a byte: an answer that is slow but moving is not a failure
MAX_ANSWER_BYTES = 256 << 20
MAX_LINE_BYTES = 16 << 20  # of a watch or a log
MAX_MESSAGE_BYTES = 16 << 20  # of a WebSocket; a kubelet sends 32 KiB
CLOSE_SECONDS = 0.5
# Statuses of a stream that mean "not now": the API server, or a load balancer, cannot reach what lies behind it.
TEMPORARY_STATUSES = (500, 503, 504)
BOOKMARK_SECONDS = 90  # the server sends a bookmark every minute: silence means a dead connection
SILENT_LOG_SECONDS = 1800  # a cell may print nothing for long; the pod's status shows its end
# Metadata only: the values of secrets are never transferred.
METADATA_MEDIA_TYPE = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
OBJECT_METADATA_MEDIA_TYPE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PATCH_MEDIA_TYPE = "application/strategic-merge-patch+json"
MAX_WRITE_BYTES = 1 << 20  # of a body that is sent in one piece; aiohttp warns of larger ones
MAX_PARALLEL_REQUESTS = 32  # so that a hundred tasks do not leave a hundred idle connections


class RedirectRefused(ClusterError):
    """The API server, or what answers in its place, points to another address.

    Args:
        context: Context of the kubeconfig.
        location: The address.
    """

    def __init__(self, context: str, location: str) -> None:
        super().__init__(
            f"The API server of context {context!r} redirects to {location}. podtask does not follow.",
            "Check the server's address in the kubeconfig. A proxy or a login page may answer in its place.",
        )
        self.location = location


class Api:
    """A session with one API server; it belongs to the event loop that created it.

    Args:
        login: Credentials of the session.

    Attributes:
        round_trip: Duration of the fastest answer so far, in seconds; 1 s before the first.
        was_reached: Whether the API server has ever answered in this session.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        self.round_trip = 1.0
        self.was_reached = False
        self._at_close: list[Callable[[], None]] = []
        self._user_info: asyncio.Task[dict[str, Any]] | None = None
        self._group_paths: dict[str, str] = {}
        self._slots = asyncio.Semaphore(MAX_PARALLEL_REQUESTS)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=300)
        tracing = aiohttp.TraceConfig()
        tracing.on_request_redirect.append(self._refuse_redirect)  # aiohttp has no such option for WebSockets
        self._session = aiohttp.ClientSession(connector=connector, trace_configs=[tracing])

    @property
    def access(self) -> Access:
        """The API server and the current credentials."""
        return self._login.access

    @classmethod
    async def for_context(cls, context: str | None) -> Api:
        """Return the session of a context; there is one per kubeconfig, context and event loop.

        Args:
            context: Name of the kubeconfig context; None for the current one.

        Raises:
            PodtaskError: No cluster is configured, or its credentials cannot be read.
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

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, **params: str
    ) -> dict[str, Any]:
        """Return the JSON of an answer.

        Args:
            method: HTTP method.
            path: Path of the URL.
            body: Body of the request, sent as JSON.
            **params: Parameters of the URL's query.

        Raises:
            ApiError: The API server refused the request.
            ClusterError: The API server cannot be reached.
        """
        start = time.monotonic()
        async with self._slots, self._answer(method, path, body, params, ANSWER_SECONDS) as answer:
            document = self._json(await self._read(answer))
        self.round_trip = min(self.round_trip, time.monotonic() - start)
        return document

    async def names(self, path: str) -> list[str]:
        """Return the names of the objects in a collection, without reading their contents.

        Raises:
            ApiError: The API server refused the request.
            ClusterError: The API server cannot be reached.
        """
        return sorted(each["name"] for each in await self.metadata_list(path, limit="500"))

    async def metadata_list(self, path: str, **params: str) -> list[dict[str, Any]]:
        """Return the metadata of the objects in a collection, without reading their contents.

        Raises:
            ApiError: The API server refused the request.
            ClusterError: The API server cannot be reached.
        """
        async with (
            self._slots,
            self._answer("GET", path, None, params, ANSWER_SECONDS, METADATA_MEDIA_TYPE) as answer,
        ):
            document = self._json(await self._read(answer))
        return [item["metadata"] for item in document["items"]]

    async def patch_metadata(self, path: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Change the metadata of an object by a strategic merge patch; return all of it, without the contents.

        Args:
            path: Path of the object.
            metadata: The changes; with ``resourceVersion`` they are made to this version only.

        Raises:
            ApiError: The API server refused the request.
            ClusterError: The API server cannot be reached.
        """
        body = {"metadata": metadata}
        asked = self._answer(
            "PATCH", path, body, {}, ANSWER_SECONDS, OBJECT_METADATA_MEDIA_TYPE, PATCH_MEDIA_TYPE
        )
        async with self._slots, asked as answer:
            found: dict[str, Any] = self._json(await self._read(answer))["metadata"]
        return found

    async def text(self, path: str, **params: str) -> str:
        """Return an answer as text."""
        return (await self.content(path, **params)).decode("utf-8", "replace")

    async def content(self, path: str, **params: str) -> bytes:
        """Return an answer as bytes."""
        async with self._slots, self._answer("GET", path, None, params, ANSWER_SECONDS) as answer:
            return await self._read(answer)

    async def stream_lines(self, path: str, **params: str) -> AsyncGenerator[bytes, None]:
        """Yield the lines of an answer that does not end, such as a watch; a line of more than 16 MiB in pieces.

        Raises:
            ApiError: The API server refused the request.
            ClusterError: The connection cannot be made, breaks, or is silent for 90 s (half an hour
                for a log).
        """
        silence = SILENT_LOG_SECONDS if "follow" in params else BOOKMARK_SECONDS
        async with self._answer("GET", path, None, params, silence) as answer:
            parts: list[bytes] = []  # of the line that is incomplete
            size = 0
            async for chunk in answer.content.iter_any():
                *ends, begun = chunk.split(b"\n")
                for end in ends:
                    parts.append(end)
                    yield b"".join(parts)
                    parts.clear()
                    size = 0
                parts.append(begun)
                size += len(begun)
                if size > MAX_LINE_BYTES:  # a container may write without end and without line feeds
                    yield b"".join(parts)
                    parts.clear()
                    size = 0

    async def forward(self, namespace: str, pod: str, port: int) -> PortForward:
        """Open a connection to a port on a pod's loopback interface.

        Raises:
            StreamRefused: The API server or a proxy does not open it.
            OSError: It cannot be opened, at least not yet.
            ApiError: It is forbidden.
        """
        path = resource_path("pods", namespace, pod, "portforward")
        return PortForward(await self._socket(f"{path}?ports={port}", ("v4.channel.k8s.io",)))

    async def exec(self, namespace: str, pod: str, container: str, command: list[str]) -> Exec:
        """Start a process in a container and return its standard streams.

        Raises:
            StreamRefused: The API server or a proxy does not open it.
            OSError: It cannot be opened, at least not yet.
            ApiError: It is forbidden.
        """
        path = resource_path("pods", namespace, pod, "exec")
        return Exec(await self._socket(f"{path}?{exec_query(container, command)}", PROTOCOLS))

    async def user_info(self) -> dict[str, Any]:
        """Return the UserInfo of a SelfSubjectReview; empty if the API server has none. It is asked once.

        Raises:
            ApiError: The API server cannot answer now.
            ClusterError: The API server cannot be reached.
        """
        asked = self._user_info
        if asked is None or (asked.done() and (asked.cancelled() or asked.exception())):
            asked = self._user_info = ignore_result(asyncio.ensure_future(self._review_user()))
        return await asyncio.shield(asked)

    async def group_path(self, group: str) -> str:
        """Return the path of the version of an API group that the API server prefers. It is asked once.

        Args:
            group: Name of the group, such as "kueue.x-k8s.io".

        Raises:
            ApiError: The API server does not have the group.
            ClusterError: The API server cannot be reached.
        """
        if group not in self._group_paths:
            found = await self.request("GET", group_path(group))
            self._group_paths[group] = group_path(group, str(found["preferredVersion"]["version"]))
        return self._group_paths[group]

    async def _review_user(self) -> dict[str, Any]:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer = await self.request("POST", resource_path("selfsubjectreviews"), review)
        except ApiError as error:
            if error.code in (400, 403, 404, 405):  # older than Kubernetes 1.28, or not allowed
                return {}
            raise
        status = answer.get("status")
        user_info = status.get("userInfo") if isinstance(status, dict) else None
        return user_info if isinstance(user_info, dict) else {}

    async def _socket(self, path: str, protocols: tuple[str, ...]) -> aiohttp.ClientWebSocketResponse:
        access = self.access
        try:
            headers = await self._login.headers()
        except ClusterError as error:  # treated as expired: there may be valid ones later
            raise ApiError(401, {"message": error.message}) from error
        try:
            return await self._session.ws_connect(
                URL(access.host + path, encoded=True),
                headers=headers,
                protocols=protocols,
                max_msg_size=MAX_MESSAGE_BYTES,
                proxy=access.proxy,
                server_hostname=access.server_name,
                ssl=access.tls or True,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 401:
                if await self._login.renew(access):
                    raise ConnectionError("new credentials are there") from None
                raise ApiError(401, self._login.refusal_status()) from None
            if error.status == 403:
                raise ApiError(403, {"message": error.message}) from None
            if error.status in TEMPORARY_STATUSES:
                raise ConnectionError(_status_text(error.status)) from None
            raise StreamRefused(_status_text(error.status)) from None
        except RedirectRefused as error:
            raise StreamRefused(f"a redirect to {error.location}") from None
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            reason = connection_error(error, access)
            if isinstance(reason, Unreachable) and reason.connected:
                raise StreamRefused("the connection is closed") from None
            raise ConnectionError(str(error)) from None

    async def open_connections(self, count: int) -> None:
        """Open connections for the next requests; this saves time if round trips are long."""
        await asyncio.gather(*(self.text(VERSION_PATH) for _ in range(count)), return_exceptions=True)

    async def _refuse_redirect(
        self, session: object, context: object, params: aiohttp.TraceRequestRedirectParams
    ) -> None:
        """Refuse to follow a redirect: the request may contain a pod with its key."""
        location = params.response.headers.get("Location", "another address")
        raise RedirectRefused(self.access.context, location)

    def call_at_close(self, stop: Callable[[], None]) -> None:
        """Call a function when this session is closed."""
        self._at_close.append(stop)

    async def close(self) -> None:
        """Close all connections."""
        for stop in self._at_close:
            stop()
        await self._session.close()

    @contextlib.asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        params: dict[str, str],
        silence: float,
        accept: str = "*/*",
        content_type: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        sent = None if body is None else json.dumps(body).encode()
        of_body = {} if body is None else {"Content-Type": content_type}
        try:
            for again in (True, False):
                access = self.access
                async with self._session.request(
                    method,
                    access.host + path,
                    data=io.BytesIO(sent) if sent and len(sent) > MAX_WRITE_BYTES else sent,
                    params=params,
                    timeout=timeout,
                    headers={"Accept": accept, **of_body, **await self._login.headers()},
                    proxy=access.proxy,
                    server_hostname=access.server_name,
                    ssl=access.tls or True,
                ) as answer:
                    self.was_reached = True
                    if answer.status == 401:
                        if again and await self._login.renew(access):
                            continue
                        raise ApiError(401, self._login.refusal_status())
                    if answer.status >= 300:
                        wait = answer.headers.get("Retry-After", "")
                        raise ApiError(answer.status, _status(await self._read(answer)), wait)
                    yield answer  # errors while it is read are handled below, too
                    return
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise connection_error(error, self.access) from error

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        """Return a whole answer.

        Raises:
            AnswerTooLarge: It has more than ``MAX_ANSWER_BYTES``.
        """
        parts, size = [], 0
        async for chunk in answer.content.iter_any():
            parts.append(chunk)
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise AnswerTooLarge(
                    f"The API server of context {self.access.context!r} sends more than "
                    f"{MAX_ANSWER_BYTES >> 20} MiB for {answer.url.path}.",
                    "Read it with kubectl, for example the end of a log with `kubectl logs --tail`.",
                )
        return b"".join(parts)

    def _json(self, raw: bytes) -> dict[str, Any]:
        return decode_answer(raw, self.access.context)


def decode_answer(raw: bytes, context: str | None) -> dict[str, Any]:
    """Return the object in an answer of the API server.

    Args:
        raw: The answer.
        context: Name of the kubeconfig context, for the error.

    Raises:
        ClusterError: The answer is not an object.
    """
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ClusterError(
            f"The answer for context {context!r} is not from an API server: {_words(raw)}",
            "It may be the login page of a proxy; `kubectl get --raw /readyz` shows it.",
        )
    if "items" in document and document["items"] is None:  # an empty list of Go, in lists of metadata
        document["items"] = []
    return document


_known: dict[tuple[asyncio.AbstractEventLoop, str | None, str | None], asyncio.Future[Api]] = {}


def _status_text(code: int) -> str:
    """Return a status code of HTTP with its name."""
    try:
        return f"{code} {http.HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def _status(raw: bytes) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return {"message": _words(raw)}
    return document if isinstance(document, dict) else {}


def _words(raw: bytes) -> str:
    """Return the text of an answer that is not JSON; of an HTML page, the text between its tags."""
    text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", raw[:20_000].decode("utf-8", "replace"))
    return textwrap.shorten(text, 200, placeholder=" ...")
