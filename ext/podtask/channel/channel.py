"""The authenticated, resumable channel to a runner: byte streams become frames.

A connection may break at any byte. The next one resumes: output by its sequence number, inputs and
values by their offset.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..backends.base import Backend, ByteStream, RunnerListener
from ..errors import TaskError
from ..pickling.arriving_values import ArrivingValues
from ..pickling.outputs import EarlyUnpacking
from ..runner import protocol
from ..runner.bundle import MINOR, runner_program
from .frame_check import check_frame
from .handshake import Handshake, user_and_host
from .job import Job, RunnerResult, job_frames
from .record_reader import read_record

log = logging.getLogger(__name__)
_unfinished: set[asyncio.Task[None]] = set()  # receive what comes after the result
runner_log = logging.getLogger("podtask.runner")  # the debug log of all runners
PING_INTERVAL_SECONDS = 15
MAX_SILENCE_SECONDS = 45  # then the connection counts as dead
NO_JOB_PAUSE_SECONDS = 1.0  # between two connections to a runner that waits for its job
MAX_STACKS_SECONDS = 10.0  # until the runner has sent the stacks of its worker
MAX_EAGER_BYTES = 512 << 10  # of inputs that are sent with the handshake, before the runner's hello


class NoJob(ConnectionError):
    """The runner waits for its job, and this notebook does not have it."""


class TakenOver(TaskError):
    """Another notebook follows the task now. The task keeps running."""


@dataclass
class _Link:
    """One authenticated connection."""

    stream: ByteStream
    seal: protocol.Seal  # for what is sent
    decoder: protocol.Decoder
    python: str
    fresh: bool  # whether this handshake has sent the job, too
    rest: bytes  # received after the handshake
    last_received: float = field(default=0.0)
    is_paused: bool = False  # whether nothing is received, because what came before is not shown yet

    async def send(self, *frame: bytes | memoryview) -> None:
        """Send a frame, given in one or more parts."""
        await self.stream.send(self.seal.record(*frame))


class Channel:
    """The channel to a runner: sends the job, and receives the frames, the result and the values.

    Args:
        backend: Connects to the runner.
        key: Key of the task, in hexadecimal digits.
        secret: The owner's secret; None if this notebook does not have it, and may only follow and fetch.
        job_for: Returns the job for a runner of the given Python version; None for a task whose job
            another notebook sends.
        listener: Receives each spooled frame once, in order; the last one, the result, only if its
            values have to be fetched.
        unpickles: Whether values may be unpickled, which is done while they arrive.
    """

    one_way = False

    def __init__(
        self,
        backend: Backend,
        key: str,
        secret: str | None,
        job_for: Callable[[str], Job] | None,
        listener: RunnerListener,
        unpickles: bool = False,
    ) -> None:
        self.reconnects = -1  # the first connection is not counted
        self.found_ended = True
        self.python = ""
        self._backend = backend
        self._key = bytes.fromhex(key)
        self._handshake_client = Handshake(self._key, secret)
        self.follows_only = secret is None
        self._job_for = job_for
        self._listener = listener
        self._job: Job | None = None
        self._last_seq = 0
        self._unpickles = unpickles
        self._execution = ""  # its name, once it is known
        self._end: dict[str, Any] | None = None  # the metadata of the result frame
        self._values: ArrivingValues | None = None
        self._early: EarlyUnpacking | None = None
        self._link: _Link | None = None
        self._interrupts = 0
        self._client_id = secrets.token_hex(8)
        self._stack_dumps: dict[int, asyncio.Future[str]] = {}  # those that were asked for, by number
        self._stack_numbers = itertools.count(1)
        self._answered_seq = 0  # of the last question that was answered before this channel connected
        self._asked_seq = 0  # of the last question
        self._answer: dict[str, Any] = {}
        self._notes: set[str] = set()  # that were passed on: each connection begins with them
        self._last_notes: asyncio.Task[None] | None = None  # receives what comes after the result

    @property
    def connected(self) -> bool:
        """Whether the runner is connected and its cell has not ended.

        Fetching large values after the end may take long; that time does not count.
        """
        return self._link is not None and self._end is None

    async def run(self) -> RunnerResult:
        """Receive frames until the result and all values have arrived; acknowledge and return the result."""
        try:
            return await self._follow()
        finally:
            if self._values is not None:
                self._values.discard()  # unless they are complete

    async def _follow(self) -> RunnerResult:
        while True:
            link = await self._backend.connect(self._handshake)
            self.reconnects += 1
            self._link = link
            self.python = link.python
            try:
                return await self._receive_frames(link)
            except NoJob:
                await asyncio.sleep(NO_JOB_PAUSE_SECONDS)
            except OSError as error:
                log.debug("%s: the connection broke, reconnecting: %s", self._backend.name, error)
            finally:
                self._link = None
                if self._last_notes is None:
                    await link.stream.close()

    def read_result(self, log: bytes) -> RunnerResult | None:
        """Pass on the frames of the record in a log that are new, and return its result.

        Raises:
            TaskError: The record is damaged or forged.
        """
        record = read_record(log, self._key)
        if record is None:
            return None  # another notebook has fetched the result, or there never was one
        for frame in record.frames:
            if frame.kind == protocol.INPUT_REQUEST or (frame.seq <= self._last_seq and self._last_seq):
                continue  # it was received before, or asks a question that needs no answer any more
            self._last_seq = max(self._last_seq, frame.seq)
            self._listener.on_frame(frame)
        if self._values is not None:
            self._values.discard()
        record.result.early = self._early  # what it has unpickled is forgotten first
        return record.result

    async def interrupt(self) -> None:
        """Interrupt the cell; without a connection, as soon as there is one."""
        self._interrupts += 1
        if self._link is not None:
            with contextlib.suppress(OSError):  # the next connection sends it
                await self._send_commands(self._link)

    async def reply(self, answer: dict[str, Any]) -> None:
        """Answer the cell's ``input()``; without a connection, as soon as there is one."""
        self._answer = {**answer, "to": self._asked_seq}
        if self._link is not None:
            with contextlib.suppress(OSError):
                await self._send_commands(self._link)

    async def read_stacks(self) -> str:
        """Return the stacks of all threads of the cell, as ``faulthandler`` prints them; empty if it does not answer.

        Raises:
            TaskError: The runner cannot be reached, or the task is not this user's.
        """
        link = self._link
        if self.follows_only:
            raise TaskError("Only the owner of a task reads its stacks.", "Ask the owner.")
        number, answer = next(self._stack_numbers), asyncio.get_running_loop().create_future()
        self._stack_dumps[number] = answer
        try:
            if link is None:
                raise ConnectionError("it is not connected")
            await link.send(protocol.encode(protocol.STACKS, {"n": number}))
            return await asyncio.wait_for(answer, MAX_STACKS_SECONDS)
        except (OSError, asyncio.TimeoutError) as error:
            why = str(error) or f"no answer in {MAX_STACKS_SECONDS:g} s"
            raise TaskError(
                f"The stacks of {self._backend.name} were not read: {why}.", "Try again."
            ) from None
        finally:
            del self._stack_dumps[number]

    def free_values(self) -> None:
        """Free the job and the result: the task has ended."""
        self._job = self._job_for = self._values = self._early = None

    async def _send_commands(self, link: _Link) -> None:
        """Send interrupts and the last answer; the runner acts on each number once."""
        if self.follows_only:
            return  # the runner would close the connection
        if self._interrupts:
            meta = {"exec": self._execution, "n": self._interrupts}
            await link.send(protocol.encode(protocol.INTERRUPT, meta))
        if self._answer:
            await link.send(protocol.encode(protocol.INPUT_REPLY, self._answer))

    # -- handshake --------------------------------------------------------------------------------

    async def _handshake(self, stream: ByteStream) -> _Link:
        """Authenticate both sides; send a new runner its program and small jobs at once.

        Raises:
            NotOurRunner: The other side does not know the key. Nothing but a nonce was sent to it.
            OSError: The connection broke.
        """
        hello = await self._handshake_client.receive_hello(stream)
        python, fresh = hello.python, hello.fresh
        if fresh and self._job_for is None:
            raise NoJob("the runner waits for the notebook that has its job")
        program = runner_program(".".join(python.split(".")[:2]) == MINOR) if fresh else b""
        seal, runner_seal = self._handshake_client.seals(hello)
        out = [self._handshake_client.reply_to(hello, program), seal.record(self._attach_frame())]
        if self._job is None and self._job_for is not None:
            self._job = self._job_for(python)
            self._execution = self._job.meta["exec"]
        if fresh and self._job is not None:
            if self._job.size <= MAX_EAGER_BYTES:
                out += [seal.record(*frame) for frame in job_frames(self._job, 0)]
                out.append(seal.record(self._fetch_frame()))
            else:
                fresh = False  # the job is uploaded after the runner's hello, as after a reconnect
        await stream.send(b"".join(out))
        return _Link(stream, seal, protocol.Decoder(runner_seal), python, fresh, hello.rest)

    def _attach_frame(self) -> bytes:
        meta = {
            "proto": protocol.PROTOCOL_VERSION,
            "client": self._client_id,
            "who": user_and_host(),
            "after_seq": self._last_seq,
            "job": self._job_for is not None,
            "log": runner_log.isEnabledFor(logging.DEBUG),
        }
        return protocol.encode(protocol.ATTACH, meta)

    # -- frames -----------------------------------------------------------------------------------

    async def _receive_frames(self, link: _Link) -> RunnerResult:
        now = asyncio.get_running_loop().time
        link.last_received = now()
        pings = asyncio.ensure_future(self._send_pings(link))
        uploads: list[asyncio.Task[None]] = []
        try:
            chunk = link.rest
            while True:
                is_output = False
                for frame in link.decoder.feed(chunk):
                    is_output = is_output or frame.kind in protocol.SPOOLED
                    if frame.kind == protocol.HELLO and not link.fresh:
                        uploads += await self._resume(link, frame.meta)
                    result = await self._handle_frame(link, frame)
                    if result is not None:
                        return result
                if is_output:
                    link.is_paused = True
                    await self._listener.wait_for_room()
                    link.is_paused = False
                    link.last_received = now()
                chunk = await link.stream.receive()
                if not chunk:
                    raise ConnectionResetError("the runner's connection ended")
                link.last_received = now()
        except protocol.WireError as error:
            raise ConnectionError(str(error)) from error
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError) as error:
            raise TaskError(
                f"{self._backend.name} sent a frame that podtask cannot read: {error!r}.",
                "Another version of podtask may have started it. Install that version to attach to it.",
            ) from error
        finally:
            for task in (pings, *uploads):
                task.cancel()

    async def _resume(self, link: _Link, hello: dict[str, Any]) -> list[asyncio.Task[None]]:
        """Continue where the last connection broke off; return the upload, if one is necessary."""
        uploads = []
        self._answered_seq = int(hello["answered"])
        if hello["state"] != protocol.RUNNER_DONE:
            self.found_ended = False
        if not self._execution and hello["executions"]:
            self._execution = str(hello["executions"][-1]["exec"])
        if hello["state"] == protocol.RUNNER_WAITING and self._job is not None:
            offset = int(hello["have"].get(self._job.inputs_id, 0))
            uploads.append(asyncio.ensure_future(self._upload(link, offset)))
        else:
            await link.send(self._fetch_frame())
        await self._send_commands(link)
        return uploads

    async def _upload(self, link: _Link, offset: int) -> None:
        assert self._job is not None
        try:
            for frame in job_frames(self._job, offset):
                await link.send(*frame)
            await link.send(self._fetch_frame())
        except OSError as error:
            log.debug("%s: the upload broke off: %s", self._backend.name, error)
            await link.stream.close()  # the reader sees the end, and reconnects

    async def _send_pings(self, link: _Link) -> None:
        while True:
            await asyncio.sleep(PING_INTERVAL_SECONDS)
            now = asyncio.get_running_loop().time()
            silent = 0.0 if link.is_paused else now - link.last_received
            try:
                if silent > MAX_SILENCE_SECONDS:
                    raise ConnectionAbortedError(f"the runner has been silent for {silent:.0f} s")
                meta = {"t": round(silent, 1), "log": runner_log.isEnabledFor(logging.DEBUG)}
                await link.send(protocol.encode(protocol.PING, meta))
            except OSError as error:
                log.debug("%s: closing the connection: %s", self._backend.name, error)
                await link.stream.close()
                return

    async def _handle_frame(self, link: _Link, frame: protocol.Frame) -> RunnerResult | None:
        if frame.kind in (protocol.ERROR, protocol.CLOSE):
            self._handle_close(frame)
        elif frame.kind == protocol.LOG:
            self._log_line(frame.meta)
        elif frame.kind in (protocol.USAGE, protocol.NOTE, protocol.STACK_DUMP):
            self._receive_report(frame)
        elif frame.kind == protocol.BLOB:
            self._store_values(frame)
            return await self._finish(link)
        elif frame.kind in protocol.SPOOLED and frame.seq > self._last_seq:
            self._last_seq = frame.seq
            if frame.kind == protocol.RESULT:
                return await self._handle_result(link, frame)
            if frame.kind == protocol.INPUT_REQUEST:
                self._asked_seq = frame.seq
            if frame.kind != protocol.INPUT_REQUEST or frame.seq > self._answered_seq:
                self._listener.on_frame(frame)
        return None

    def _receive_report(self, frame: protocol.Frame) -> None:
        """Receive what is said beside the output of the cell."""
        if frame.kind == protocol.USAGE:
            self._listener.on_usage(frame)
        elif frame.kind == protocol.NOTE:
            self._pass_on_note(frame)
        else:
            self._receive_stacks(frame)

    def _receive_stacks(self, frame: protocol.Frame) -> None:
        answer = self._stack_dumps.get(int(frame.meta["n"]))
        if answer is not None and not answer.done():
            answer.set_result(frame.data.decode("utf-8", "replace"))

    async def _handle_result(self, link: _Link, frame: protocol.Frame) -> RunnerResult | None:
        self._end = frame.meta
        if frame.meta["size"] > len(frame.data):
            self._listener.on_frame(frame)
            return await self._finish(link)
        result = RunnerResult.announced(frame.meta)
        result.put(0, frame.data)
        if self._values is not None:  # what has arrived of them is not part of the result
            self._values.discard()
            result.early = self._early
        await self._acknowledge(link)
        return result

    def _store_values(self, frame: protocol.Frame) -> None:
        """Store the next bytes of the values, and unpickle them while the rest arrives."""
        attempt, offset = int(frame.meta["attempt"]), int(frame.meta["offset"])
        if self._values is None or self._values.attempt < attempt:
            if self._values is not None:
                self._values.discard()
            self._values = ArrivingValues(attempt)
            if self._unpickles and self._early is None:
                self._early = EarlyUnpacking(self._values)
        if (attempt, offset) == (self._values.attempt, self._values.received):
            self._values.put(frame.meta, frame.data)

    async def _finish(self, link: _Link) -> RunnerResult | None:
        """Acknowledge and return the result if it has arrived with all values."""
        end, values = self._end, self._values
        if end is None or values is None or values.attempt != end["attempt"] or not values.complete(end):
            return None
        await self._acknowledge(link)
        return RunnerResult(end, values.parts, early=self._early)

    def _handle_close(self, frame: protocol.Frame) -> None:
        """Raise the reason for which the runner closes the connection, unless a new connection may succeed."""
        meta = frame.meta
        if frame.kind == protocol.ERROR:
            raise TaskError(
                f"The runner reported an internal error: {meta.get('text')}", "Please report this."
            )
        name, reason = self._backend.name, meta.get("reason")
        log.debug("%s: the runner closed the connection: %s", name, reason)
        if reason == protocol.CLOSE_TAKEN_OVER:
            raise TakenOver(
                f"{name} was taken over by {meta.get('by')}. It keeps running.",
                f"%podtask attach {name} takes it over again.",
            )
        if reason == protocol.CLOSE_FULL:
            raise TaskError(
                f"Too many notebooks that do not own {name} follow it already. It keeps running.",
                f"%podtask logs {name} shows its output.",
            )
        if reason == protocol.CLOSE_NO_JOB:
            raise NoJob("the runner waits for the notebook that has its job")

    def _log_line(self, meta: dict[str, Any]) -> None:
        """Write a line of the runner's debug log to the log of this notebook."""
        age = float(meta.get("age", 0))
        ago = f" ({age:.0f} s ago)" if age >= 1 else ""
        runner_log.debug("%s: %s%s", self._backend.name, meta.get("text"), ago)

    def _fetch_frame(self) -> bytes:
        """Return the frame that asks for the values: from where they have broken off, while they are pickled."""
        values = self._values
        attempt, offset = (1, 0) if values is None else (values.attempt, values.received)
        meta = {"exec": self._execution, "attempt": attempt, "offset": offset}
        return protocol.encode(protocol.FETCH, meta)

    async def _acknowledge(self, link: _Link) -> None:
        """Acknowledge the complete result, so that the runner can exit."""
        if self.follows_only:
            return
        with contextlib.suppress(OSError):  # everything is here, and the pod is deleted next in any case
            meta = {"exec": self._execution, "release": True}
            await link.send(protocol.encode(protocol.ACK, meta))
            if self._end is not None and self._end.get("notifies"):
                self._last_notes = asyncio.ensure_future(self._receive_last_notes(link))
                # The event loop holds tasks weakly, and the channel may be dropped before this one has ended.
                _unfinished.add(self._last_notes)
                self._last_notes.add_done_callback(_unfinished.discard)

    async def _receive_last_notes(self, link: _Link) -> None:
        """Pass on the notes of a runner that was released, until it closes the connection: it calls a webhook."""
        try:
            chunk = b""
            while True:
                for frame in link.decoder.feed(chunk):
                    if frame.kind == protocol.NOTE:
                        self._pass_on_note(frame)
                chunk = await link.stream.receive()
                if not chunk:
                    return
        except (OSError, TaskError, protocol.WireError) as error:
            log.debug("%s: no further notes: %s", self._backend.name, error)
        finally:
            await link.stream.close()

    def _pass_on_note(self, frame: protocol.Frame) -> None:
        """Pass on a line of the runner for the user, once.

        Raises:
            TaskError: The frame is malformed.
        """
        check_frame(frame)
        text = str(frame.meta["text"])
        if text not in self._notes:
            self._notes.add(text)
            self._listener.on_runner_note(text)
