"""A connection to a port inside a pod without pods/portforward: a relay that exec starts there.

Raw frames of v5.channel.k8s.io: each begins with its channel's number in one byte.
"""

from __future__ import annotations

import urllib.parse

import aiohttp

from .portforward import PortForward

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDOUT, STATUS = 1, 3
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
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                return b""
            data: bytes = message.data
            if data[:1] == bytes([STATUS]):
                raise ConnectionResetError(data[1:].decode("utf-8", "replace")[:500])
            if data[:1] == bytes([STDOUT]) and len(data) > 1:
                return data[1:]
