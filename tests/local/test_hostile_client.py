"""Clients that know the key and send what they should not: the runner and the cell survive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from typing import Any

import pytest
from podtask.backends.local import LocalProcess, SocketStream
from podtask.channel.channel import Channel
from podtask.channel.handshake import Handshake
from podtask.config.options import RunOptions
from podtask.manifest.identity import Identity
from podtask.manifest.render import render
from podtask.pickling.outputs import unpack
from podtask.runner import protocol

from tests.local.listener import Listener
from tests.local.test_channel import KEY, SECRET, job

MANY = int(os.environ.get("PODTASK_FUZZ", "1"))
ODD: list[Any] = [
    None,
    -1,
    0,
    1,
    1 << 70,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "1",
    [],
    {},
    [1],
    True,
    False,
]
NAMES = [
    "proto",
    "client",
    "who",
    "after_seq",
    "job",
    "log",
    "t",
    "id",
    "offset",
    "blob",
    "seq",
    "n",
    "to",
    "value",
    "eof",
    "exec",
    "source",
    "filename",
    "inputs",
    "inputs_size",
    "timeout",
    "linger",
    "grace",
    "env",
    "mode",
    "outputs",
    "local_modules",
    "folder",
]
CLIENT_KINDS = [
    protocol.ATTACH,
    protocol.FETCH,
    protocol.ACK,
    protocol.INTERRUPT,
    protocol.INPUT_REPLY,
    protocol.PING,
    protocol.BLOB,
    protocol.RUN,
]
ATTACH = {"proto": protocol.PROTOCOL_VERSION, "client": "hostile", "after_seq": 0, "job": False, "log": False}
GATED = """
import pathlib, time
print("begun", flush=True)
while not pathlib.Path({!r}).exists():
    time.sleep(0.01)
value = input()
"""


class Connected(SocketStream):
    """A connection whose handshake is done."""

    runner_seal: protocol.Seal


async def connected(backend: LocalProcess) -> tuple[Connected, protocol.Seal]:
    """Return a connection of a client that knows the key only, and the seal for what it sends."""
    stream = Connected(*await asyncio.open_connection("127.0.0.1", backend._port))
    handshake = Handshake(bytes.fromhex(KEY), None)
    hello = await handshake.receive_hello(stream)
    await stream.send(handshake.reply_to(hello, b""))
    seal, stream.runner_seal = handshake.seals(hello)
    return stream, seal


def odd_meta(chance: random.Random, kind: int) -> dict[str, Any]:
    """Return meta with fields that are missing, superfluous or of a wrong type."""
    meta: dict[str, Any] = dict(ATTACH) if kind == protocol.ATTACH else {}
    for name in chance.sample(NAMES, chance.randrange(6)):
        meta[name] = chance.choice(ODD)
    if chance.random() < 0.3:
        meta["id"] = chance.choice(["ab" * 32, protocol.BLOB_RESULTS])
    return meta


def hostile_bytes(chance: random.Random, seal: protocol.Seal) -> bytes:
    """Return what an attacker sends after the handshake."""
    kind = chance.choice([*CLIENT_KINDS, chance.randrange(256)])
    text = json.dumps(odd_meta(chance, kind)).encode()
    data = chance.randbytes(chance.choice([0, 1, 300]))
    frame = protocol.HEADER.pack(kind, chance.randrange(1 << 64), len(text), len(data)) + text + data
    record = seal.record(protocol.encode(protocol.ATTACH, ATTACH)) if chance.random() < 0.5 else b""
    attack = chance.randrange(9)
    if attack == 0:
        return record + frame
    if attack == 1:
        return record + seal.record(chance.randbytes(chance.randrange(1, 60)))
    if attack == 2:
        return record + protocol.RECORD.pack(chance.randrange(1 << 32)) + chance.randbytes(50)
    if attack == 3:
        return record + seal.record(protocol.HEADER.pack(kind, 0, 2, 0) + b"[]")
    good = seal.record(frame)
    if attack == 4:
        return record + good + good
    if attack == 5:
        return record + good[:-1] + bytes([good[-1] ^ 1])
    return record + good


@pytest.mark.fault(89)
@pytest.mark.timeout(120 + 60 * MANY)
def test_hostile_frames_end_their_client_only(tmp_path: Any) -> None:
    """Whatever a client sends after the handshake, the runner lives, and the cell runs and returns its value.

    The client knows the task's key, but not the owner's secret: it takes nothing over and interrupts nothing.
    """
    gate = tmp_path / "gate"
    chance = random.Random(0 if MANY == 1 else None)

    async def attack(backend: LocalProcess) -> None:
        for _ in range(80 * MANY):
            stream, seal = await connected(backend)
            with contextlib.suppress(OSError):
                await stream.send(hostile_bytes(chance, seal))
                stream._writer.write_eof()
                while await asyncio.wait_for(stream.receive(), 30):
                    pass
            await stream.close()
            assert backend._process.poll() is None

    async def scene() -> list[Any]:
        manifest = render(None, RunOptions()).stamped(Identity("podtask-test", KEY, SECRET, 1))
        backend = await LocalProcess.start(manifest, Listener())
        begun = asyncio.Event()

        async def answer() -> None:
            await channel.reply({"value": "the answer"})

        answers: list[asyncio.Task[None]] = []

        def on_frame(frame: protocol.Frame) -> None:
            if frame.kind == protocol.STREAM:
                begun.set()
            if frame.kind == protocol.INPUT_REQUEST:
                answers.append(asyncio.ensure_future(answer()))

        work = job(GATED.format(str(gate)), ["value"])
        channel = Channel(backend, KEY, SECRET, lambda _: work, Listener(on_frame))
        running = asyncio.ensure_future(channel.run())
        try:
            await asyncio.wait_for(begun.wait(), 30)
            await attack(backend)
            assert not running.done()
            gate.touch()
            result = await asyncio.wait_for(running, 30)
        finally:
            running.cancel()
            await backend.delete()
        return unpack(result.parts, result.end["packed"])

    assert asyncio.run(scene()) == ["the answer"]
