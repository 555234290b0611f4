"""A connection to a port inside a pod without pods/portforward: a relay that exec starts there.

Raw frames of v5.channel.k8s.io: each begins with its channel's number in one byte.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import AsyncIterator

import aiohttp

from .port_forward import PortForward

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDOUT, STDERR, STATUS, CLOSE = 1, 2, 3, 255
# Runs in the image's Python. The runner may listen a moment later than the container runs; when
# the exec's connection breaks, standard input ends, and the relay with it.
RELAY = """
import os, socket, sys, threading, time
for rest in reversed(range(100)):
    try:
        sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        break
    except OSError:
        if not rest:
            raise
        time.sleep(0.05)
def up():
    try:
        while True:
            data = os.read(0, 65536)
            if not data:
                break
            sock.sendall(data)
    finally:
        os._exit(0)
threading.Thread(target=up, daemon=True).start()
while True:
    data = sock.recv(65536)
    if not data:
        break
    while data:
        data = data[os.write(1, data):]
"""


def query(container: str, command: list[str]) -> str:
    """Returns the query of an exec's URL; standard input is open, for Kata stops without it."""
    words = [("container", container), ("stdin", "1"), ("stdout", "1"), ("stderr", "1")]
    return urllib.parse.urlencode(words + [("command", word) for word in command])


class Exec(PortForward):
    """The relay's standard streams as a ByteStream; what is sent goes to channel 0 here too."""

    async def receive(self) -> bytes:
        """Returns the next bytes, empty at the end.

        Raises:
            OSError: the connection broke, or the relay ended.
        """
        async for channel, data in self._messages():
            if channel == STATUS:
                raise ConnectionResetError(data.decode("utf-8", "replace")[:500])
            if channel == STDOUT:
                return data
        return b""

    async def written(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yields what a process writes that nobody has input for: (STDOUT or STDERR, bytes).

        Last comes STATUS with the exit code in digits, or with why it was not started, in words.

        Raises:
            OSError: the connection broke.
        """
        if self._socket.protocol == PROTOCOLS[0]:  # the older one cannot say that there is no more
            await self._socket.send_bytes(bytes([CLOSE, 0]))
        async for channel, data in self._messages():
            if channel == STATUS:
                yield STATUS, _exit(data).encode()
                return
            yield channel, data
        raise ConnectionResetError("the connection to the process broke")

    async def _messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yields each message that has something in it: channel, bytes."""
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                return
            if len(message.data) > 1:
                yield message.data[0], message.data[1:]


def _exit(raw: bytes) -> str:
    """Returns the exit code of a Status in digits, or its message."""
    status = json.loads(raw)
    if status.get("status") == "Success":
        return "0"
    causes = (status.get("details") or {}).get("causes") or []
    codes = [each["message"] for each in causes if each.get("reason") == "ExitCode"]
    return str(codes[0] if codes else status.get("message", ""))
