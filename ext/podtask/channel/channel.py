"""The authenticated, resumable channel to a runner: byte streams become frames.

A connection may break at any byte. The next one goes on where this one was: output by its
sequence number, inputs and values by their offset.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..backends.base import Backend, ByteStream, RunnerListener
from ..errors import TaskError
from ..runner import protocol
from ..runner.bundle import runner_program
from .handshake import Handshake, who
from .job import Job, RunnerResult, frames
from .log_record import read

PING_SECONDS = 15
DEAD_SECONDS = 45
BEGIN_SECONDS = 1.0  # between two looks at a task that waits for its cell
SEND = 512 << 10
MINOR = [str(part) for part in sys.version_info[:2]]


class NotBegun(ConnectionError):
    """The runner has not been given its cell, and we have none to give."""


class TakenOver(TaskError):
    """Another notebook follows the task now; it goes on."""


@dataclass
class _Link:
    """One authenticated connection."""

    stream: ByteStream
    python: str
    fresh: bool  # the runner has just been given its program
    rest: bytes
    heard: float = field(default=0.0)


class Channel:
    """Gives a job to the runner of a placement, and takes everything that comes of it.

    Args:
        placement: where the runner is.
        key: the task's key, hex.
        job_for: returns the job for a runner of the given Python version; None for a task that has
            its job from somebody else.
        listener: Receives each spooled frame once, in order; the last one, the result, only if its
            values have to be fetched.
    """

    one_way = False

    def __init__(
        self,
        placement: Backend,
        key: str,
        job_for: Callable[[str], Job] | None,
        listener: RunnerListener,
    ) -> None:
        self.reconnects = -1
        self.python = ""
        self._placement = placement
        self._key = bytes.fromhex(key)
        self._greeting = Handshake(self._key)
        self._job_for = job_for
        self._listener = listener
        self._job: Job | None = None
        self._last = 0
        self._verdict: RunnerResult | None = None
        self._received = 0  # bytes of the values
        self._digest = hashlib.sha256()
        self._sha256 = ""
        self._link: _Link | None = None
        self._interrupts = 0
        self._name = secrets.token_hex(8)
        self._answered = 0  # number of the last question that was answered before we came
        self._asked = 0  # number of the last question's frame
        self._answer: dict[str, Any] = {}

    @property
    def connected(self) -> bool:
        """Whether the runner is heard, and its cell has not ended: what comes then may take long."""
        return self._link is not None and self._verdict is None

    async def run(self) -> RunnerResult:
        """Returns when the verdict and all values are here and the runner knows it."""
        while True:
            link = await self._placement.connect(self._greet)
            self.reconnects += 1
            self._link = link
            self.python = link.python
            try:
                return await self._converse(link)
            except NotBegun:
                await asyncio.sleep(BEGIN_SECONDS)
            except OSError:
                pass  # the connection broke: the next one resumes
            finally:
                self._link = None
                await link.stream.close()

    def read_result(self, log: bytes) -> RunnerResult | None:
        """Gives out what was not seen yet of the record in a log; returns its verdict.

        Raises:
            TaskError: the record is torn or forged.
        """
        record = read(log, self._key)
        if record is None:
            return None  # somebody has taken the result, or there never was one
        for frame in record.frames:
            if frame.kind == protocol.INPUT_REQUEST or (frame.seq <= self._last and self._last):
                continue  # nobody waits for an answer any more
            self._last = max(self._last, frame.seq)
            self._listener.on_frame(frame)
        return record.verdict

    async def interrupt(self) -> None:
        """Interrupts the cell; where the connection is down, as soon as it is up again."""
        self._interrupts += 1
        if self._link is not None:
            with contextlib.suppress(OSError):  # the next connection begins with it
                await self._send_commands(self._link)

    async def reply(self, answer: dict[str, Any]) -> None:
        """Answers the cell's question; where the connection is down, as :meth:`interrupt`."""
        self._answer = {**answer, "to": self._asked}
        if self._link is not None:
            with contextlib.suppress(OSError):
                await self._send_commands(self._link)

    async def _send_commands(self, link: _Link) -> None:
        """Sends interrupts and the last answer; the runner acts once on each number."""
        if self._interrupts:
            await link.stream.send(protocol.encode(protocol.INTERRUPT, {"n": self._interrupts}))
        if self._answer:
            await link.stream.send(protocol.encode(protocol.INPUT_REPLY, self._answer))

    # -- greeting ---------------------------------------------------------------------------------

    async def _greet(self, stream: ByteStream) -> _Link:
        """Authenticates both ways and, at a new runner, sends program and job in one go.

        Raises:
            Refused: the other side does not know the key; it was told nothing.
            OSError: the connection broke.
        """
        heard = await self._greeting.hear(stream)
        python, fresh = heard.python, heard.fresh
        if fresh and self._job_for is None:
            raise NotBegun("the runner waits for the notebook that has its cell")
        program = runner_program(python.split(".")[:2] == MINOR) if fresh else b""
        out = [self._greeting.answer(heard, program), self._attach()]
        if self._job is None and self._job_for is not None:
            self._job = self._job_for(python)
        if fresh and self._job is not None:
            if self._job.size <= SEND:
                out += frames(self._job, 0)
            else:
                fresh = False  # sent after hello, as after a break
        await stream.send(b"".join(out))
        return _Link(stream, python, fresh, heard.rest)

    def _attach(self) -> bytes:
        meta = {
            "proto": protocol.PROTOCOL_VERSION,
            "client": self._name,
            "who": who(),
            "after_seq": self._last,
            "job": self._job_for is not None,
        }
        return protocol.encode(protocol.ATTACH, meta)

    # -- conversation -----------------------------------------------------------------------------

    async def _converse(self, link: _Link) -> RunnerResult:
        now = asyncio.get_running_loop().time
        link.heard = now()
        decoder = protocol.Decoder()
        sender = asyncio.ensure_future(self._pings(link))
        uploads: list[asyncio.Task[None]] = []
        try:
            chunk = link.rest
            while True:
                for frame in decoder.feed(chunk):
                    if frame.kind == protocol.HELLO and not link.fresh:
                        self._answered = int(frame.meta["answered"])
                        if frame.meta["state"] == "waiting" and self._job is not None:
                            offset = int(frame.meta["have"].get("inputs", 0))
                            uploads.append(asyncio.ensure_future(self._upload(link, offset)))
                        elif self._verdict is not None:
                            await self._fetch(link)
                        await self._send_commands(link)
                    done = await self._take(link, frame)
                    if done is not None:
                        return done
                chunk = await link.stream.receive()
                if not chunk:
                    raise ConnectionResetError("the runner's connection ended")
                link.heard = now()
        except protocol.WireError as error:
            raise ConnectionError(str(error)) from error
        finally:
            for task in (sender, *uploads):
                task.cancel()

    async def _upload(self, link: _Link, offset: int) -> None:
        assert self._job is not None
        try:
            for frame in frames(self._job, offset):
                await link.stream.send(frame)
        except OSError:
            await link.stream.close()  # the reader sees the end, and connects again

    async def _pings(self, link: _Link) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            silent = asyncio.get_running_loop().time() - link.heard
            try:
                if silent > DEAD_SECONDS:
                    raise ConnectionAbortedError("the runner is silent")
                await link.stream.send(protocol.encode(protocol.PING, {"t": round(silent, 1)}))
            except OSError:
                await link.stream.close()
                return

    async def _take(self, link: _Link, frame: protocol.Frame) -> RunnerResult | None:
        if frame.kind == protocol.ERROR:
            raise TaskError(f"The runner gave up: {frame.meta.get('text')}", "Please report this.")
        if frame.kind == protocol.CLOSE:
            self._part(frame.meta)
        elif frame.kind == protocol.BLOB and self._verdict is not None:
            if frame.meta["offset"] == self._received:
                self._verdict.put(self._received, frame.data)
                self._received += len(frame.data)
                self._digest.update(frame.data)
                self._sha256 = frame.meta.get("sha256", "")
            return await self._release(link)
        elif frame.kind in protocol.SPOOLED and frame.seq > self._last:
            self._last = frame.seq
            if frame.kind == protocol.INPUT_REQUEST:
                self._asked = frame.seq
            if frame.kind == protocol.RESULT:
                sizes = frame.meta["sizes"] if frame.meta["size"] else []
                self._verdict = RunnerResult(frame.meta, [bytearray(size) for size in sizes])
                if frame.meta["size"] > len(frame.data):
                    self._listener.on_frame(frame)
                    await self._fetch(link)
                    return None
                self._verdict.put(0, frame.data)
                self._received = len(frame.data)
                self._digest.update(frame.data)
                self._sha256 = frame.meta.get("sha256", "")
                return await self._release(link)
            if frame.kind != protocol.INPUT_REQUEST or frame.seq > self._answered:
                self._listener.on_frame(frame)
        return None

    def _part(self, meta: dict[str, Any]) -> None:
        name, reason = self._placement.name, meta.get("reason")
        if reason == protocol.CLOSE_TAKEN_OVER:
            raise TakenOver(
                f"{name} was taken over by {meta.get('by')}. It keeps running.",
                f"%podtask attach {name} takes it back.",
            )
        if reason == protocol.CLOSE_NO_JOB:
            raise NotBegun("the runner waits for the notebook that has its cell")

    async def _fetch(self, link: _Link) -> None:
        assert self._verdict is not None
        meta = {"blob": "results", "offset": self._received}
        await link.stream.send(protocol.encode(protocol.FETCH, meta))

    async def _release(self, link: _Link) -> RunnerResult | None:
        """Tells the runner that it may go, once everything is here and right."""
        verdict = self._verdict
        assert verdict is not None
        if self._received < verdict.end["size"]:
            return None
        if verdict.end["size"] and self._digest.hexdigest() != self._sha256:
            self._received, self._digest = 0, hashlib.sha256()
            raise ConnectionError("the values came damaged")
        try:
            await link.stream.send(protocol.encode(protocol.ACK, {"seq": self._last, "taken": True}))
        except OSError:
            pass  # everything is here; the pod is deleted next, whether it knows or not
        return verdict
