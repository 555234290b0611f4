"""One API server: REST in raw JSON, and one watch for all tasks of this kernel in a namespace."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
from yarl import URL

from ..errors import ClusterError
from .credentials import Access, load
from .exec import PROTOCOLS, Exec, query
from .portforward import PortForward

CONNECT_SECONDS = 10
ANSWER_SECONDS = 30
CLOSE_SECONDS = 0.5
BOOKMARK_SECONDS = 90  # the server sends a bookmark every minute: silence means a dead connection
WATCH_RETRY = (0.2, 10.0)  # seconds, first and longest
POLL_SECONDS = 1.0  # where watching is forbidden
# Names and labels of objects without what is in them: a secret's values stay where they are.
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

OnPod = Callable[[dict[str, Any] | None], None]
"""Called with each new state of a pod; None when it is gone."""


class ApiError(Exception):
    """The API server answered with a Status that is no success."""

    def __init__(self, code: int, status: dict[str, Any]) -> None:
        super().__init__(code, status.get("message", ""))
        self.code = code
        self.reason = str(status.get("reason", ""))
        self.message = str(status.get("message", ""))[:2000]
        self.details: dict[str, Any] = status.get("details") or {}


class Api:
    """A session with one API server; lives in the event loop that made it."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.round_trip = 1.0  # seconds; the quickest answer so far
        self._watches: dict[tuple[str, str], Watch] = {}
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=300, ssl=access.tls or True)
        self._session = aiohttp.ClientSession(connector=connector)

    @classmethod
    async def of(cls, context: str | None) -> Api:
        """Returns the session of a context; one per kubeconfig, context and event loop.

        Raises:
            PodtaskError: no cluster is configured, or its credentials cannot be had.
        """
        loop = asyncio.get_running_loop()
        key = (loop, os.environ.get("KUBECONFIG"), context)
        if key not in _known:
            waiting = _known[key] = loop.create_future()
            try:
                waiting.set_result(cls(await asyncio.to_thread(load, context)))
            except BaseException as error:
                del _known[key]
                waiting.set_exception(error)
                waiting.exception()
                raise
        return await _known[key]

    async def request(
        self, method: str, path: str, body: Any = None, **params: str
    ) -> dict[str, Any]:
        """Returns the JSON of an answer.

        Raises:
            ApiError: the server refuses.
            ClusterError: it is not reached.
        """
        start = time.monotonic()
        async with await self._open(method, path, body, params, ANSWER_SECONDS) as answer:
            found: dict[str, Any] = json.loads(await answer.read())
        self.round_trip = min(self.round_trip, time.monotonic() - start)
        return found

    async def names(self, path: str) -> list[str]:
        """Returns the names of the objects of a kind; their contents are not asked for.

        Raises:
            ApiError: the server refuses.
            ClusterError: it is not reached.
        """
        answer = await self._open("GET", path, None, {"limit": "500"}, ANSWER_SECONDS, METADATA)
        async with answer:
            found = json.loads(await answer.read())
        return sorted(item["metadata"]["name"] for item in found["items"])

    async def text(self, path: str, **params: str) -> str:
        """Returns a text answer (a log)."""
        return (await self.content(path, **params)).decode("utf-8", "replace")

    async def content(self, path: str, **params: str) -> bytes:
        """Returns the bytes of an answer."""
        async with await self._open("GET", path, None, params, ANSWER_SECONDS) as answer:
            return await answer.read()

    async def lines(self, path: str, **params: str) -> AsyncIterator[bytes]:
        """Yields the lines of an endless answer; TimeoutError after 90 s of silence."""
        async with await self._open("GET", path, None, params, None) as answer:
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
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port}"
        return PortForward(await self._socket(path, ("v4.channel.k8s.io",)))

    async def relay(self, namespace: str, pod: str, container: str, command: list[str]) -> Exec:
        """Returns the standard streams of a new process in a container.

        Raises:
            OSError: not possible (yet).
            ApiError: forbidden.
        """
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec?{query(container, command)}"
        return Exec(await self._socket(path, PROTOCOLS))

    async def _socket(self, path: str, protocols: tuple[str, ...]) -> Any:
        headers = await self._headers()
        try:
            return await self._session.ws_connect(
                URL(self.access.host + path, encoded=True), headers=headers, protocols=protocols,
                max_msg_size=0, proxy=self.access.proxy, server_hostname=self.access.server_name,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )  # fmt: skip
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (401, 403):
                raise ApiError(error.status, {"message": error.message}) from None
            raise ConnectionError(f"refused: {error.status}") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionError(str(error)) from None

    async def warm(self, count: int) -> None:
        """Opens connections that the next requests find ready: worth it when round trips are long."""
        await asyncio.gather(*(self.text("/version") for _ in range(count)), return_exceptions=True)

    def watch(self, namespace: str, selector: str) -> Watch:
        """Returns the watch of the pods that a label selector finds; one for all who ask."""
        key = (namespace, selector)
        if key not in self._watches:
            self._watches[key] = Watch(self, namespace, selector)
        return self._watches[key]

    async def close(self) -> None:
        """Ends all connections."""
        for watch in self._watches.values():
            watch.stop()
        await self._session.close()

    async def _headers(self) -> dict[str, str]:
        if not self.access.slow:
            return self.access.headers()
        try:
            return await asyncio.to_thread(self.access.headers)
        except RuntimeError:  # the interpreter ends, and has no threads for a last deletion
            return self.access.headers()

    async def _open(
        self, method: str, path: str, body: Any, params: dict[str, str], seconds: float | None,
        accept: str = "*/*",
    ) -> aiohttp.ClientResponse:  # fmt: skip
        timeout = aiohttp.ClientTimeout(
            total=seconds, sock_connect=CONNECT_SECONDS, sock_read=BOOKMARK_SECONDS
        )
        try:
            answer = await self._session.request(
                method, self.access.host + path, json=body, params=params, timeout=timeout,
                headers={"Accept": accept, **await self._headers()}, proxy=self.access.proxy,
                server_hostname=self.access.server_name,
            )  # fmt: skip
            if answer.status < 300:
                return answer
            raw = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            say = str(error) or type(error).__name__
            raise ClusterError(
                f"The API server of context {self.access.context!r} is not reached: {say}",
                "Is the cluster up, and the VPN? `kubectl get --raw /readyz` tells; --local needs none.",
            ) from error
        answer.release()
        raise ApiError(answer.status, _status(raw))


class Watch:
    """The pods of this kernel, by one list and one watch; a hint, with the list as the truth."""

    def __init__(self, api: Api, namespace: str, selector: str) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._selector = selector
        self._pods: dict[str, OnPod] = {}
        self._seen: set[str] = set()
        self._runner: asyncio.Task[None] | None = None

    def subscribe(self, name: str, on_pod: OnPod) -> None:
        """Calls ``on_pod`` with each state of a pod from now on."""
        self._pods[name] = on_pod
        if self._runner is None or self._runner.done():
            self._runner = asyncio.ensure_future(self._run())

    def unsubscribe(self, name: str) -> None:
        """Ends that."""
        self._pods.pop(name, None)
        self._seen.discard(name)

    def stop(self) -> None:
        """Ends the watch."""
        if self._runner is not None:
            self._runner.cancel()

    async def _run(self) -> None:
        version = ""  # no list first: the watch begins with what there is
        pause, longest = WATCH_RETRY
        while True:
            try:
                if version == "again":
                    version = await self._list()
                version = await self._follow(version)
                pause = WATCH_RETRY[0]
            except ApiError as error:
                if error.code == 403:
                    await self._poll()
                version = "again"
            except (ClusterError, aiohttp.ClientError, OSError, TimeoutError):
                version = "again"
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)

    async def _follow(self, version: str) -> str:
        params = {"watch": "1", "allowWatchBookmarks": "true", "labelSelector": self._selector}
        if version:
            params["resourceVersion"] = version
        async for line in self._api.lines(self._path, **params):
            event = json.loads(line)
            if event["type"] == "ERROR":  # 410: too old
                return "again"
            pod = event["object"]
            version = pod["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                self._tell(pod["metadata"]["name"], pod if event["type"] != "DELETED" else None)
        return version or "again"

    async def _list(self) -> str:
        found = await self._api.request("GET", self._path, labelSelector=self._selector)
        names = set()
        for pod in found["items"]:
            names.add(pod["metadata"]["name"])
            self._tell(pod["metadata"]["name"], pod)
        for name in self._seen - names:
            self._tell(name, None)
        return str(found["metadata"]["resourceVersion"])

    async def _poll(self) -> None:
        """Asks for each pod by name, for who may get but not watch."""
        while True:
            for name in list(self._pods):
                try:
                    self._tell(name, await self._api.request("GET", f"{self._path}/{name}"))
                except ApiError as error:
                    if error.code == 404 and name in self._seen:
                        self._tell(name, None)
            await asyncio.sleep(POLL_SECONDS)

    def _tell(self, name: str, pod: dict[str, Any] | None) -> None:
        on_pod = self._pods.get(name)
        if on_pod is not None:
            self._seen.add(name)
            on_pod(pod)


_known: dict[tuple[asyncio.AbstractEventLoop, str | None, str | None], asyncio.Future[Api]] = {}


def _status(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {"message": raw.decode("utf-8", "replace")}
    return found if isinstance(found, dict) else {}
