"""Notebook and runner prove to each other that they know the task's key (HMAC over both nonces).

A sidecar may listen on the runner's port. It receives nothing but a nonce. The owner's secret is sent only
after the runner has proven that it knows the key.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import hmac
import os
import socket
from dataclasses import dataclass

from ..backends.base import ByteStream
from ..runner.protocol import NOT_OWNER, Seal, connection_seals
from .proof import prove

MAX_LINE_BYTES = 4096


class NotOurRunner(ConnectionError):
    """The process that answers on the runner's port does not know the task's key."""


@dataclass(frozen=True)
class RunnerHello:
    """The hello of a runner that has proven that it knows the key.

    Args:
        python: Version of the runner's Python.
        fresh: Whether the runner still needs its program.
        challenge: What both proofs sign: the notebook's nonce, and the runner's line with its nonce.
        rest: Bytes received after the hello.
    """

    python: str
    fresh: bool
    challenge: str
    rest: bytes


class Handshake:
    """The notebook's side of the handshake.

    Args:
        key: Key of the task.
        secret: The owner's secret; None for a client that may only follow.
    """

    def __init__(self, key: bytes, secret: str | None) -> None:
        self._key = key
        self._secret = secret or NOT_OWNER

    async def receive_hello(self, stream: ByteStream) -> RunnerHello:
        """Send a nonce, and check the proof in the answer.

        Raises:
            NotOurRunner: The other side does not know the key.
            OSError: The connection broke.
        """
        nonce = os.urandom(16).hex()
        await stream.send(nonce.encode() + b"\n")
        line, rest = await _receive_line(stream)
        words = line.split()
        signed = " ".join(words[:3])
        expected = prove(self._key, "runner", nonce, signed)
        if len(words) != 4 or not hmac.compare_digest(words[3].encode(), expected.encode()):
            raise NotOurRunner("the process that answers on the runner's port does not know the task's key")
        return RunnerHello(words[1], words[2] == "1", f"{nonce} {signed}", rest)

    def seals(self, hello: RunnerHello) -> tuple[Seal, Seal]:
        """Return the seals for what the notebook sends, and for what the runner sends."""
        return connection_seals(functools.partial(prove, self._key), hello.challenge)

    def reply_to(self, hello: RunnerHello, program: bytes) -> bytes:
        """Return the notebook's line, whose proof covers the program, followed by the program."""
        about = (str(len(program)), hashlib.sha256(program).hexdigest(), self._secret)
        proof = prove(self._key, "client", hello.challenge, *about)
        return f"{' '.join((proof, *about))}\n".encode() + program


async def _receive_line(stream: ByteStream) -> tuple[str, bytes]:
    data = b""
    while b"\n" not in data:
        part = await stream.receive()
        if not part:
            raise ConnectionResetError("the connection ended during the handshake")
        data += part
        if len(data) > MAX_LINE_BYTES:
            raise NotOurRunner("the process that answers on the runner's port is not a runner")
    line, rest = data.split(b"\n", 1)
    return line.decode("ascii", "replace"), rest


def user_and_host() -> str:
    """Return user and host of this process, to be shown in a notebook that this one takes a task over from."""
    try:
        return f"{getpass.getuser()} on {socket.gethostname()}"
    except (OSError, KeyError):  # the user id has no name
        return f"an unknown user on {socket.gethostname()}"
