"""A proxy without TLS in front of the API server that records the requests on each connection."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml


class RecordingProxy:
    """Forward connections to the API server of a kubeconfig, with its credentials.

    Args:
        kubeconfig: Kubeconfig of the administrator, with a certificate; the first cluster and user are used.
        target: File that receives the proxy's kubeconfig.
        namespace: Namespace of that kubeconfig.

    Attributes:
        kubeconfig: Kubeconfig that goes through the proxy.
        requests: The last request line of each open connection.
    """

    def __init__(self, kubeconfig: Path, target: Path, namespace: str) -> None:
        given = yaml.safe_load(kubeconfig.read_text())
        cluster, user = given["clusters"][0]["cluster"], given["users"][0]["user"]
        url = urlsplit(cluster["server"])
        self._server = (url.hostname, url.port or 443)
        self._tls = ssl.create_default_context(cadata=_text(cluster, "certificate-authority"))
        with tempfile.NamedTemporaryFile("w") as file:  # the library accepts only a file
            file.write(_text(user, "client-certificate") + "\n" + _text(user, "client-key"))
            file.flush()
            self._tls.load_cert_chain(file.name)
        self.requests: dict[object, str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="recording-proxy")
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        cluster = {"server": f"http://127.0.0.1:{port}"}
        context = {"cluster": "c", "user": "", "namespace": namespace}
        target.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "recorded",
                    "users": [],
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "contexts": [{"name": "recorded", "context": context}],
                }
            )
        )
        self.kubeconfig = target

    def watches(self, resource: str) -> list[str]:
        """Return the requests of the open watches of a resource."""
        return [
            line for line in list(self.requests.values()) if f"/{resource}?" in line and "watch=1" in line
        ]

    @property
    def connections(self) -> int:
        """Number of open connections, without those that ended before the call."""
        return asyncio.run_coroutine_threadsafe(self._count(), self._loop).result(10)

    def close(self) -> None:
        """Close all connections."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> int:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=200)
        return int(self._listener.sockets[0].getsockname()[1])

    async def _count(self) -> int:
        await asyncio.sleep(0)  # an aborted transport is closed one iteration of the loop later
        return len(self.requests)

    async def _end(self) -> None:
        self._listener.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests[writer] = ""
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection(*self._server, ssl=self._tls)
            directions = [
                asyncio.ensure_future(self._forward(reader, upstream, writer)),
                asyncio.ensure_future(self._forward(answers, writer, None)),
            ]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for direction in directions:
                direction.cancel()
        finally:
            del self.requests[writer]
            for each in (writer, upstream):
                if each is not None:
                    each.transport.abort()

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, connection: object | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                line = data.split(b"\r\n", 1)[0]
                if connection is not None and line.endswith(
                    b" HTTP/1.1"
                ):  # no other line of a client ends like this
                    self.requests[connection] = line.decode()
                sink.write(data)
                await sink.drain()


def _text(entry: dict[str, Any], name: str) -> str:
    """Return PEM data of a kubeconfig, either inline or from the file that it names."""
    inside = entry.get(f"{name}-data")
    return base64.b64decode(inside).decode() if inside else Path(entry[name]).read_text()
