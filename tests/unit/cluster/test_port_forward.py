"""Connections to pods by WebSocket: messages without data, and messages without bound."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from podtask.cluster.client import MAX_MESSAGE_BYTES, Api
from podtask.cluster.exec import PROTOCOLS
from podtask.cluster.port_forward import PortForward

from tests.unit.cluster.test_watch import run_with_server

Send = Callable[[web.WebSocketResponse], Awaitable[None]]
Receive = Callable[[Api], Awaitable[bytes]]


async def receive_forwarded(api: Api) -> bytes:
    return await receive_and_close(await api.forward("n", "p", 1))


async def receive_executed(api: Api) -> bytes:
    return await receive_and_close(await api.exec("n", "p", "primary", ["relay"]))


async def receive_and_close(stream: PortForward) -> bytes:
    try:
        return await stream.receive()
    finally:
        await stream._socket.close()


TRANSPORTS = pytest.mark.parametrize("receive", [receive_forwarded, receive_executed])


def received(send: Send, receive: Receive) -> bytes:
    """Return what the client receives first from an API server that sends messages; empty at the end."""
    found = []

    async def answer(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io", *PROTOCOLS))
        await socket.prepare(request)
        await send(socket)
        await socket.receive()  # until the client closes the connection
        return socket

    async def play(api: Api) -> None:
        found.append(await receive(api))

    run_with_server(answer, play)
    return found[0]


@pytest.mark.fault(90)
@TRANSPORTS
def test_message_without_data_is_skipped(receive: Receive) -> None:
    """An empty message has no channel."""

    async def send(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"")
        await socket.send_bytes(b"\0\0\0" if receive is receive_forwarded else b"\1")
        await socket.send_bytes(b"\0data" if receive is receive_forwarded else b"\1data")

    assert received(send, receive) == b"data"


async def send_whole(socket: web.WebSocketResponse) -> None:
    await socket.send_bytes(bytes(MAX_MESSAGE_BYTES + 1))


async def send_fragments(socket: web.WebSocketResponse) -> None:
    """Send the fragments of a message that does not end."""
    assert socket._req is not None
    transport = socket._req.transport
    assert transport is not None
    piece = bytes(1 << 20)
    for number in range(2 * MAX_MESSAGE_BYTES // len(piece)):
        opcode = aiohttp.WSMsgType.CONTINUATION if number else aiohttp.WSMsgType.BINARY
        transport.write(bytes([opcode, 127]) + len(piece).to_bytes(8, "big") + piece)


@pytest.mark.fault(90)
@TRANSPORTS
@pytest.mark.parametrize("send", [send_whole, send_fragments])
def test_message_over_the_limit_ends_the_connection(send: Send, receive: Receive) -> None:
    """An API server that sends a message without bound does not fill the memory of the notebook."""
    assert received(send, receive) == b""
