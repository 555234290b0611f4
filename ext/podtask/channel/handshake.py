"""How notebook and runner convince each other that they know the task's key (HMAC over both nonces).

What answers at the runner's port may be a sidecar: it is told nothing but a nonce.
"""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import hmac
import os
import socket
from dataclasses import dataclass

from ..backends.base import ByteStream

GREETING_SECONDS = 10
LONGEST = 4096


class NotOurRunner(ConnectionError):
    """What answers at the runner's port does not know the task's key."""


@dataclass(frozen=True)
class RunnerHello:
    """A runner that has shown that it knows the key.

    Args:
        python: its version.
        fresh: it has no program yet.
        about: what both nonces are part of.
        rest: what came behind its line.
    """

    python: str
    fresh: bool
    about: tuple[str, str]
    rest: bytes


class Handshake:
    """The client's side.

    Args:
        key: the task's.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    async def hear(self, stream: ByteStream) -> RunnerHello:
        """Sends a nonce, and checks the answer.

        Raises:
            Refused: the other side does not know the key.
            OSError: the connection broke.
        """
        nonce = os.urandom(16).hex()
        await stream.send(nonce.encode() + b"\n")
        line, rest = await asyncio.wait_for(_line(stream), GREETING_SECONDS)
        words = line.split()
        about = " ".join(words[:3])
        expected = self._prove("runner", nonce, about)
        if len(words) != 4 or not hmac.compare_digest(words[3].encode(), expected.encode()):
            raise NotOurRunner("what answers at the runner's port does not know the task's key")
        return RunnerHello(words[1], words[2] == "1", (nonce, about), rest)

    def answer(self, heard: RunnerHello, program: bytes) -> bytes:
        """Returns our line, whose proof covers the program, and the program."""
        proof = self._prove("client", *heard.about, hashlib.sha256(program).hexdigest())
        return f"{proof} {len(program)}\n".encode() + program

    def _prove(self, who: str, *parts: str) -> str:
        return hmac.new(self._key, " ".join((who, *parts)).encode(), "sha256").hexdigest()


async def _line(stream: ByteStream) -> tuple[str, bytes]:
    data = b""
    while b"\n" not in data:
        part = await stream.receive()
        if not part:
            raise ConnectionResetError("the connection ended in the greeting")
        data += part
        if len(data) > LONGEST:
            raise NotOurRunner("what answers at the runner's port is no runner")
    line, rest = data.split(b"\n", 1)
    return line.decode("ascii", "replace"), rest


def who() -> str:
    """Returns who we are, for the person whose notebook loses the task."""
    try:
        return f"{getpass.getuser()} on {socket.gethostname()}"
    except (OSError, KeyError):  # a user id without a name
        return f"somebody on {socket.gethostname()}"
