"""The standard streams of a process in a container: a command, or a relay to a port of the pod.

The relay replaces port-forward where that is not allowed. The frames are those of v5.channel.k8s.io:
each begins with the number of its channel in one byte.
"""

from __future__ import annotations

import contextlib
import json
import urllib.parse
from collections.abc import AsyncIterator

import aiohttp

from .port_forward import PortForward

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDOUT, STDERR, STATUS, CLOSE = 1, 2, 3, 255
# Runs in the image's Python. It retries the connection: the runner may listen a moment after the
# container has started. When the exec connection breaks, standard input ends and the relay exits.
RELAY_PROGRAM = """
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


def exec_query(container: str, command: list[str]) -> str:
    """Return the query of an exec URL; standard input is open because Kata needs it.

    Args:
        container: Name of the container.
        command: Words of the command.
    """
    parameters = [("container", container), ("stdin", "1"), ("stdout", "1"), ("stderr", "1")]
    return urllib.parse.urlencode(parameters + [("command", word) for word in command])


class Exec(PortForward):
    """The standard streams of a process; :meth:`send` and :meth:`receive` make it a ByteStream."""

    async def receive(self) -> bytes:
        """Return the next bytes of standard output; empty at the end.

        Raises:
            OSError: The connection broke, or the relay ended.
        """
        async for channel, data in self._messages():
            if channel == STATUS:
                raise ConnectionResetError(data.decode("utf-8", "replace")[:500])
            if channel == STDOUT:
                return data
        return b""

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the output of a process that gets no input, as (STDOUT or STDERR, bytes).

        The last item is (STATUS, exit code in digits), or (STATUS, reason) if it was not started.

        Raises:
            OSError: The connection broke.
        """
        if self._socket.protocol == PROTOCOLS[0]:  # the older protocol cannot close standard input
            with contextlib.suppress(ConnectionResetError):  # the process has ended; its output is still read
                await self._socket.send_bytes(bytes([CLOSE, 0]))
        async for channel, data in self._messages():
            if channel == STATUS:
                yield STATUS, _exit_code(data).encode()
                return
            yield channel, data
        raise ConnectionResetError("the connection to the process broke")

    async def _messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield each message that is not empty, as (channel, bytes)."""
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                return
            if len(message.data) > 1:
                yield message.data[0], message.data[1:]


def _exit_code(raw: bytes) -> str:
    """Return the exit code of a Status in digits, or its message."""
    status = json.loads(raw)
    if status.get("status") == "Success":
        return "0"
    causes = (status.get("details") or {}).get("causes") or []
    codes = [each["message"] for each in causes if each.get("reason") == "ExitCode"]
    return str(codes[0] if codes else status.get("message", ""))
