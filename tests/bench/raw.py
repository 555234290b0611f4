"""The baselines of the transfers: the same bytes through a plain port-forward, alone and between two pickles."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import queue
import time
from typing import Any

from podtask.cluster.client import Api
from podtask.cluster.pods import Pods

from tests.bench.cells import IMAGE

PORT = 7777
PIECE = 1 << 18
# d and u carry bytes; D and U carry the pickle of a value, which one side makes and the other side loads meanwhile.
SERVER = f"""
import pickle, socket, threading
listener = socket.create_server(("127.0.0.1", {PORT}))
open("/tmp/listens", "w").close()
def serve(c):
    way, size = c.recv(1), int.from_bytes(c.recv(8, socket.MSG_WAITALL), "big")
    if way == b"d":
        c.sendall(bytes(size))
    elif way == b"D":
        with c.makefile("wb", 0) as file:
            pickle.dump(bytes(size), file, 5)
    elif way == b"u":
        n = 0
        while n < size:
            n += len(c.recv({PIECE}))
    elif way == b"U":
        with c.makefile("rb") as file:
            pickle.load(file)
    c.sendall(b"!")
    c.recv(1)
while True:
    c = listener.accept()[0]
    threading.Thread(target=serve, args=(c,), daemon=True).start()
"""
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "raw"},
    "spec": {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "raw",
                "image": IMAGE,
                "command": ["python3", "-c", SERVER],
                "startupProbe": {"exec": {"command": ["cat", "/tmp/listens"]}, "periodSeconds": 1},
            }
        ],
    },
}
WAYS = ("back", "in", "back pickled", "in pickled")


class Rates:
    """A pod that measures the baselines.

    Args:
        namespace: Where the pod is created.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._loop = asyncio.new_event_loop()
        self._api: Api = self._loop.run_until_complete(self._start())

    def measure(self, mib: int) -> dict[str, float]:
        """Return one sample in MB/s for each way."""
        return self._loop.run_until_complete(self._measure(mib))

    def close(self) -> None:
        """Delete the pod."""
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/pods"

    async def _start(self) -> Api:
        api = await Api.for_context(None)
        await api.request("POST", self._pods, POD)
        async with contextlib.aclosing(
            Pods(api, self._namespace).watch(fieldSelector="metadata.name=raw")
        ) as lines:
            async for line in lines:
                statuses = json.loads(line)["object"].get("status", {}).get("containerStatuses", [])
                if any(each.get("started") for each in statuses):
                    return api
        raise ConnectionResetError("the watch of the pod ended")

    async def _stop(self) -> None:
        await self._api.request("DELETE", f"{self._pods}/raw")
        await self._api.close()

    async def _measure(self, mib: int) -> dict[str, float]:
        size = mib << 20
        found = {}
        for way, transfer in zip(WAYS, (_down, _up, _down_pickled, _up_pickled), strict=True):
            stream: Any = await self._api.forward(self._namespace, "raw", PORT)
            value = bytes(size)
            start = time.perf_counter()
            await transfer(stream, value)
            found[way] = mib / (time.perf_counter() - start)
            await stream.close()
        return found


async def _down(stream: Any, value: bytes) -> None:
    await stream.send(b"d" + len(value).to_bytes(8, "big"))
    size = 0
    while size < len(value):
        size += len(await stream.receive())


async def _up(stream: Any, value: bytes) -> None:
    chunk = bytes(PIECE)
    await stream.send(b"u" + len(value).to_bytes(8, "big"))
    for _ in range(len(value) // PIECE):
        await stream.send(chunk)
    while await stream.receive() != b"!":
        continue


async def _down_pickled(stream: Any, value: bytes) -> None:
    file = Pieces()
    loading = asyncio.ensure_future(asyncio.to_thread(pickle.load, file))
    await stream.send(b"D" + len(value).to_bytes(8, "big"))
    while not loading.done():
        receiving = asyncio.ensure_future(stream.receive())
        await asyncio.wait({loading, receiving}, return_when=asyncio.FIRST_COMPLETED)
        if receiving.done():
            file.put(receiving.result())
        else:
            receiving.cancel()
    if len(await loading) != len(value):
        raise RuntimeError("not all bytes have arrived")


async def _up_pickled(stream: Any, value: bytes) -> None:
    await stream.send(b"U" + len(value).to_bytes(8, "big"))
    file = Sender(stream, asyncio.get_running_loop())
    await asyncio.to_thread(pickle.dump, value, file, 5)
    while await stream.receive() != b"!":
        continue


class Pieces:
    """A file that waits for the pieces that are read."""

    def __init__(self) -> None:
        self._pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._rest = memoryview(b"")

    def put(self, piece: bytes) -> None:
        """Add a piece."""
        self._pieces.put(piece)

    def read(self, size: int) -> bytes:
        """Return this number of bytes."""
        data = bytearray(size)
        self.readinto(data)
        return bytes(data)

    def readinto(self, target: Any) -> int:
        """Fill a buffer."""
        view = memoryview(target)
        while view:
            self._rest = self._rest or memoryview(self._pieces.get())
            count = min(len(view), len(self._rest))
            view[:count] = self._rest[:count]
            view, self._rest = view[count:], self._rest[count:]
        return len(target)

    def readline(self) -> bytes:
        """Fail: a pickle of this protocol has no lines."""
        raise NotImplementedError


class Sender:
    """A file that sends what is written from another thread."""

    def __init__(self, stream: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._stream = stream
        self._loop = loop

    def write(self, data: Any) -> int:
        """Send bytes."""
        view = memoryview(data)
        for start in range(0, len(view), PIECE):
            piece = bytes(view[start : start + PIECE])
            asyncio.run_coroutine_threadsafe(self._stream.send(piece), self._loop).result()
        return len(view)
