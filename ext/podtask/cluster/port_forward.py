"""A connection to a port of a pod: frames of v4.channel.k8s.io over a WebSocket.

Channel 0 carries data, channel 1 errors; each starts with the number of the port in two bytes.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ and the API server's code.
"""

from __future__ import annotations

import asyncio

import aiohttp

DATA, ERROR = 0, 1


class PortForward:
    """One TCP connection to a port of a pod, as a ByteStream."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._headers = {DATA: 2, ERROR: 2}  # bytes of the port number that are still to come

    async def send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            OSError: The connection broke.
        """
        try:
            await self._socket.send_bytes(b"\0" + data)
        except (aiohttp.ClientError, RuntimeError) as error:
            raise ConnectionResetError(str(error)) from None

    async def receive(self) -> bytes:
        """Return the next bytes; empty at the end.

        Raises:
            OSError: The connection broke, or no process listens on the port.
        """
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                return b""
            data: bytes = message.data
            if not data:
                continue
            channel, start = data[0], 1
            skip = min(self._headers.get(channel, 0), len(data) - 1)
            if skip:
                self._headers[channel] -= skip
                start += skip
            if len(data) == start:
                continue
            if channel == ERROR:
                raise ConnectionRefusedError(data[start:].decode("utf-8", "replace")[:500])
            return data[start:]

    async def close(self) -> None:
        """Close the connection; the closing handshake continues in the background."""
        closing = asyncio.ensure_future(self._socket.close())
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)


_closing: set[asyncio.Task[bool]] = set()
