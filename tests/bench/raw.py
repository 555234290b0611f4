"""The baseline of the transfers: the same bytes through a plain port-forward."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from podtask.cluster.client import Api

from tests.bench.cells import IMAGE, MIB

PORT = 7777
SERVER = f"""
import socket, threading
listener = socket.create_server(("127.0.0.1", {PORT}))
def serve(c):
    way = c.recv(1)
    if way == b"d":
        c.sendall(bytes({MIB} << 20))
    n = 0
    while way == b"u" and n < {MIB} << 20:
        n += len(c.recv(1 << 18))
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
        "containers": [{"name": "raw", "image": IMAGE, "command": ["python3", "-c", SERVER]}],
    },
}


async def measure(namespace: str, rounds: int) -> dict[str, list[float]]:
    """Return samples in MB/s for each transport."""
    api = await Api.for_context(None)
    path = f"/api/v1/namespaces/{namespace}/pods"
    await api.request("POST", path, POD)
    rates: dict[str, list[float]] = {"back": [], "in": []}
    try:
        await _up(api, namespace)
        for _ in range(rounds):
            rates["back"].append(await _down(api, namespace))
            rates["in"].append(await _in(api, namespace))
    finally:
        await api.request("DELETE", f"{path}/raw")
        await api.close()
    return rates


async def _up(api: Api, namespace: str) -> None:
    while True:
        try:
            stream = await api.forward(namespace, "raw", PORT)
            await stream.send(b"x")
            if await stream.receive() == b"!":
                return
        except OSError:
            await asyncio.sleep(0.1)


async def _down(api: Api, namespace: str) -> float:
    stream: Any = await api.forward(namespace, "raw", PORT)
    start = time.perf_counter()
    await stream.send(b"d")
    size = 0
    while size < MIB << 20:
        size += len(await stream.receive())
    seconds = time.perf_counter() - start
    await stream.close()
    return MIB / seconds


async def _in(api: Api, namespace: str) -> float:
    stream: Any = await api.forward(namespace, "raw", PORT)
    chunk = bytes(1 << 18)
    start = time.perf_counter()
    await stream.send(b"u")
    for _ in range((MIB << 20) // len(chunk)):
        await stream.send(chunk)
    while await stream.receive() != b"!":
        continue
    seconds = time.perf_counter() - start
    await stream.close()
    return MIB / seconds
