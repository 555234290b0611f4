"""Pods without processes: the server itself speaks the runner's protocol, for hundreds of pods at a time."""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import socket
import sys
from collections.abc import Coroutine
from typing import Any

from podtask.runner import protocol

from .pods import ended, primary_of, running
from .scripts import Script

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pretend(Script):
    """Every cell appears to have printed its first number once all pods have started.

    Args:
        wanted: Number of pods to wait for.
    """

    def __init__(self, wanted: int = 1) -> None:
        super().__init__()
        self._wanted = wanted
        self._begun: set[str] = set()
        self._all_begun = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def at_once(self) -> int:
        """Number of pods that had started when the first one was allowed to continue."""
        return len(self._begun) if self._all_begun.is_set() else 0

    async def live(self, name: str) -> None:
        await self.pods.assign_node(name)
        await self.pods.set(name, **running(primary_of(self.pods.found[name])["name"]))

    async def reach(self, name: str, port: int) -> Streams:
        """Connect a client to a scripted conversation in place of a port."""
        ours, theirs = socket.socketpair()
        self._start(self._talk(name, *await asyncio.open_connection(sock=theirs)))
        return await asyncio.open_connection(sock=ours)

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _talk(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        primary = primary_of(self.pods.found[name])
        key = next(each["value"] for each in primary["env"] if each["name"] == "PODTASK_KEY")
        try:
            client_seal, seal = await _greet(bytes.fromhex(key), reader, writer)
            decoder = protocol.Decoder(client_seal)
            job: dict[str, Any] = {}
            inputs_size = 0
            while data := await reader.read(65536):
                for frame in decoder.feed(data):
                    if frame.kind == protocol.ATTACH:
                        hello = {
                            "proto": protocol.PROTOCOL_VERSION,
                            "state": "waiting",
                            "executions": [],
                            "have": {},
                            "answered": 0,
                        }
                        writer.write(seal.record(protocol.encode(protocol.HELLO, hello)))
                    elif frame.kind in (protocol.RUN, protocol.BLOB):
                        job = frame.meta if frame.kind == protocol.RUN else job
                        inputs_size += len(frame.data)
                        if inputs_size == job["inputs_size"]:
                            self._start(self._run(name, job, writer, seal))
                    elif frame.kind == protocol.ACK:
                        await self.pods.set(name, **ended(primary["name"], 0))
                        return
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has disconnected
        finally:
            writer.close()

    async def _run(
        self, name: str, job: dict[str, Any], writer: asyncio.StreamWriter, seal: protocol.Seal
    ) -> None:
        writer.write(
            seal.record(protocol.encode(protocol.STATE, {"step": "run", "filename": "", "t": 0}, seq=1))
        )
        self._begun.add(name)
        if len(self._begun) >= self._wanted:
            self._all_begun.set()
        await self._all_begun.wait()
        number = re.search(r"\d+", job["source"])
        text = f"{number[0] if number else ''}\n".encode()
        end = {"status": "ok", "exec": job["exec"], "size": 0, "text": len(text), "seconds": 0.0}
        writer.write(seal.record(protocol.encode(protocol.STREAM, {"name": "stdout", "t": 0}, text, 2)))
        writer.write(seal.record(protocol.encode(protocol.RESULT, end, seq=3)))
        await writer.drain()


async def _greet(
    key: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[protocol.Seal, protocol.Seal]:
    def prove(who: str, *parts: str) -> str:
        return hmac.new(key, " ".join((who, *parts)).encode(), "sha256").hexdigest()

    theirs = (await reader.readline()).decode().strip()
    about = f"{os.urandom(16).hex()} {sys.version.split()[0]} 1"
    writer.write(f"{about} {prove('runner', theirs, about)}\n".encode())
    words = (await reader.readline()).decode().split()
    if len(words) != 4:
        raise ConnectionResetError("the client had another connection already")
    await reader.readexactly(int(words[1]))
    return protocol.connection_seals(prove, f"{theirs} {about}")
