"""A plain way to the API server that sees what is asked on each connection."""

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


class Tap:
    """Passes connections on to a kubeconfig's API server, with its credentials.

    Args:
        kubeconfig: of the administrator, with a certificate; its first cluster and user.
        target: where the kubeconfig of the way through is written.
        namespace: that one's namespace.

    Attributes:
        kubeconfig: the way through.
        asked: the last request line of each connection that is open.
    """

    def __init__(self, kubeconfig: Path, target: Path, namespace: str) -> None:
        given = yaml.safe_load(kubeconfig.read_text())
        cluster, user = given["clusters"][0]["cluster"], given["users"][0]["user"]
        url = urlsplit(cluster["server"])
        self._server = (url.hostname, url.port or 443)
        self._tls = ssl.create_default_context(cadata=_text(cluster, "certificate-authority"))
        with tempfile.NamedTemporaryFile("w") as file:  # the library takes a file only
            file.write(_text(user, "client-certificate") + "\n" + _text(user, "client-key"))
            file.flush()
            self._tls.load_cert_chain(file.name)
        self.asked: dict[object, str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tap")
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        cluster = {"server": f"http://127.0.0.1:{port}"}
        context = {"cluster": "c", "user": "", "namespace": namespace}
        target.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "tapped",
                    "users": [],
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "contexts": [{"name": "tapped", "context": context}],
                }
            )
        )
        self.kubeconfig = target

    def watches(self, what: str) -> list[str]:
        """Returns the requests of the watches of a resource that are open."""
        return [line for line in list(self.asked.values()) if f"/{what}?" in line and "watch=1" in line]

    @property
    def connections(self) -> int:
        """How many are open; those that ended before are closed here too by then."""
        return asyncio.run_coroutine_threadsafe(self._count(), self._loop).result(10)

    def close(self) -> None:
        """Ends all connections."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> int:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=200)
        return int(self._listener.sockets[0].getsockname()[1])

    async def _count(self) -> int:
        await asyncio.sleep(0)  # a transport is closed a turn after its abort
        return len(self.asked)

    async def _end(self) -> None:
        self._listener.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked[writer] = ""
        there = None
        try:
            back, there = await asyncio.open_connection(*self._server, ssl=self._tls)
            ways = [
                asyncio.ensure_future(self._pass(reader, there, writer)),
                asyncio.ensure_future(self._pass(back, writer, None)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        finally:
            del self.asked[writer]
            for each in (writer, there):
                if each is not None:
                    each.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, notes: object | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                line = data.split(b"\r\n", 1)[0]
                if notes is not None and line.endswith(b" HTTP/1.1"):  # a client sends no other line so
                    self.asked[notes] = line.decode()
                sink.write(data)
                await sink.drain()


def _text(entry: dict[str, Any], name: str) -> str:
    """Returns a kubeconfig's PEM, which is in it or in a file."""
    inside = entry.get(f"{name}-data")
    return base64.b64decode(inside).decode() if inside else Path(entry[name]).read_text()
