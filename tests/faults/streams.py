"""Long-lived responses of a scripted API server: watches and connections to ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

from .jobs import Jobs
from .pods import Object, Pods, version_number

Selects = Callable[[Object], bool]
Connect = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def selector(query: str) -> Selects:
    """Return whether labels match a selector; it supports only the forms ``a=b`` and ``a``."""
    wanted = [part.split("=", 1) for part in query.split(",") if part]

    def selects(pod: Object) -> bool:
        labels = pod["metadata"].get("labels", {})
        return all(labels.get(each[0]) == each[1] if each[1:] else each[0] in labels for each in wanted)

    return selects


async def watch(
    request: web.Request, pods: Pods | Jobs, changes: Callable[[Object], list[Object] | None]
) -> web.StreamResponse:
    """Send the events since a version, then new ones, until either side closes the connection.

    Args:
        request: Request of the client.
        pods: Pods or Jobs to watch.
        changes: Returns the bytes to send in place of an event; None ends the watch.
    """
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    selects = selector(request.query.get("labelSelector", ""))
    version = version_number(request.query.get("resourceVersion", ""))
    if not version:
        version = pods.version
        backlog: list[Object] = [{"type": "ADDED", "object": pod} for pod in pods.found.values()]
    else:
        backlog = []
    while True:
        for seen, kind, pod in pods.history:
            if seen > version:
                backlog.append({"type": kind, "object": pod})
        version = max(version, pods.version)
        for event in backlog:
            if selects(event["object"]):
                told = changes(event)
                if told is None:
                    return answer
                for each in told:
                    await answer.write(json.dumps(each).encode() + b"\n")
        backlog = []
        async with pods.state_changed:
            if pods.version == version:
                await pods.state_changed.wait()


CUT = b"cut here"  # printed by a cell where a script acts; also part of the source of the cell
PRINTED = CUT + b"\n"  # only in the output, because the source is sent as JSON


class Forwards:
    """Connections to ports of pods, which are ports of this machine.

    Attributes:
        opened: Number of connections that were opened.
    """

    def __init__(self) -> None:
        self.opened = 0
        self._cuts = 0
        self._held: set[int] = set()
        self._let_go = asyncio.Event()
        self._open: set[web.WebSocketResponse] = set()

    def cut(self) -> asyncio.Future[Any]:
        """Close all connections, as a proxy does with idle ones, and those that are being opened.

        Returns:
            A future that is done when the connections are closed.
        """
        self._cuts += 1
        sockets = list(self._open)
        self._open.clear()
        return asyncio.gather(*(socket.close() for socket in sockets))

    def hold(self) -> None:
        """Hold the data on all open connections from now on, without closing them."""
        self._let_go.clear()
        self._held |= {id(socket) for socket in self._open}

    def let_go(self) -> None:
        """Release the held data."""
        self._held.clear()
        self._let_go.set()

    async def serve(
        self, request: web.Request, connect: Connect, on_data: Callable[[bytes], Any]
    ) -> web.StreamResponse:
        """Transfer data between a client and a port.

        Args:
            request: Request of the client.
            connect: Function that connects to the port.
            on_data: Called with the bytes that the runner has sent.
        """
        port, cuts = int(request.query["ports"]), self._cuts
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",), max_msg_size=0)
        await socket.prepare(request)
        for channel in (0, 1):
            await socket.send_bytes(bytes([channel]) + struct.pack("<H", port))
        try:
            reader, writer = await connect(port)
        except OSError as error:
            await socket.send_bytes(b"\1" + f"connection refused: {error}".encode())
            await socket.close()
            return socket
        if self._cuts != cuts:
            writer.close()
            await socket.close()
            return socket
        self._open.add(socket)
        self.opened += 1
        down = asyncio.ensure_future(self._down(socket, reader, on_data))
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY and message.data[:1] == b"\0":
                    if id(socket) in self._held:
                        await self._let_go.wait()
                    writer.write(message.data[1:])
                    await writer.drain()
        except OSError:
            pass  # the runner has disconnected
        finally:
            self._open.discard(socket)
            down.cancel()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return socket

    async def _down(
        self,
        socket: web.WebSocketResponse,
        reader: asyncio.StreamReader,
        on_data: Callable[[bytes], Any],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                # A script acts at the mark, so bytes after the mark in the same chunk must wait for the script.
                end = data.find(PRINTED) + len(PRINTED) if PRINTED in data else len(data)
                for part in filter(None, (data[:end], data[end:])):
                    if id(socket) in self._held:
                        await self._let_go.wait()
                    if socket not in self._open:
                        break
                    await socket.send_bytes(b"\0" + part)
                    on_data(part)
        await socket.close()


async def execute(request: web.Request, pods: Pods) -> web.StreamResponse:
    """Run a Python program as the command of an exec; the response is its standard streams."""
    socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",), max_msg_size=0)
    await socket.prepare(request)
    command = request.query.getall("command")
    process = await pods.start(*command[1:], stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
    assert process.stdin is not None
    assert process.stdout is not None
    up = asyncio.ensure_future(_up(socket, process.stdin))
    try:
        while data := await process.stdout.read(65536):
            await socket.send_bytes(b"\1" + data)
        await socket.close()
    except OSError:
        pass  # the client has disconnected
    finally:
        up.cancel()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.wait()
    return socket


async def _up(socket: web.WebSocketResponse, into: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        async for message in socket:
            if message.type is WSMsgType.BINARY and message.data[:1] == b"\0":
                into.write(message.data[1:])
                await into.drain()
    into.close()
