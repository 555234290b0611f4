"""The channel to the runner of a session: it stays connected between cells, which run one after another."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

from ..backends.base import Backend, RunnerListener
from ..errors import TaskError
from ..event_loop import ignore_result
from ..runner import protocol
from .channel import Channel, TakenOver, _Link
from .job import Job, RunnerResult, job_frames

KILL_SECONDS = 5.0  # for the report of a process that was killed
ENDS = {
    protocol.CLOSE_IDLE: "no cell ran in it for its idle time (--idle)",
    protocol.CLOSE_OLD: "it has reached the greatest age of a session, 24 h",
    protocol.CLOSE_RELEASED: "it was ended",
}


class SessionEnded(TaskError):
    """The runner has ended the session."""


class Turn:
    """The turn of a cell, in the order of submission: a start that takes longer does not change it.

    Args:
        previous: The turn before it; None for the first one.

    Attributes:
        previous: The turn before it, until that has been waited for.
        passed: Set when the cell runs, or gives its turn up.
    """

    def __init__(self, previous: Turn | None) -> None:
        self.previous = previous
        self.passed = asyncio.Event()

    async def wait(self) -> None:
        """Wait until all cells before have had their turn, or have given it up."""
        previous = self.previous
        while previous is not None:
            await previous.passed.wait()
            previous = previous.previous  # of a cell that gave up its turn while it waited
        self.previous = None

    def leave(self) -> None:
        """Let the next cell come: this one has its turn, or does not need it."""
        self.passed.set()


class SessionChannel(Channel):
    """The channel of a session. Each cell has a :class:`CellChannel`; the cells take turns.

    Args:
        backend: Connects to the runner.
        key: Key of the session, in hexadecimal digits.
        secret: The owner's secret.
        listener: Receives what concerns no cell.
        on_state: Receives the meta of each SESSION frame.
        session: The session's name.
        on_failure: Called when nothing can be run any more.
    """

    def __init__(
        self,
        backend: Backend,
        key: str,
        secret: str,
        listener: RunnerListener,
        on_state: Callable[[dict[str, Any]], None],
        session: str,
        on_failure: Callable[[BaseException, bool], None],
    ) -> None:
        super().__init__(backend, key, secret, None, listener)
        self.failure: BaseException | None = None  # why nothing can be run any more
        self._idle_listener = listener
        self._on_state = on_state
        self._session = session
        self._on_failure = on_failure
        self._turn = asyncio.Lock()  # serves those that wait in their order
        self._current: asyncio.Future[RunnerResult] | None = None
        self._following: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)

    def next_execution(self) -> str:
        """Return a name for an execution."""
        return f"{self._client_id[:8]}-{next(self._numbers)}"

    @property
    def is_idle(self) -> bool:
        """Whether it is connected, and no cell runs or waits for its turn."""
        return self._link is not None and self.failure is None and not self.is_busy

    @property
    def is_busy(self) -> bool:
        """Whether a cell runs or waits for its turn."""
        return self._turn.locked()

    async def execute(
        self,
        job_for: Callable[[str], Job],
        listener: RunnerListener,
        turn: Turn,
        began: Callable[[str], None],
        answer: Callable[[dict[str, Any]], None],
    ) -> RunnerResult:
        """Run a cell when those before it have ended, and return its result.

        Args:
            job_for: Returns the job for the runner's version of Python.
            listener: Receives the frames of the cell.
            turn: Its turn.
            began: Called with the name of the execution when its turn has come.
            answer: Called with the metadata of a result if the session needs more values; the next job has them.

        Raises:
            PodtaskError: The job cannot be made, or the session has ended.
        """
        await turn.wait()
        async with self._turn:
            turn.leave()
            while True:
                result = await self._execute(job_for, listener, began)
                if result.end["status"] != protocol.STATUS_NOT_RUN:
                    return result
                answer(result.end)

    async def _execute(
        self, job_for: Callable[[str], Job], listener: RunnerListener, began: Callable[[str], None]
    ) -> RunnerResult:
        if self.failure is not None:
            raise self.failure
        self._begin(listener)
        result: asyncio.Future[RunnerResult] = asyncio.get_running_loop().create_future()
        self._current = result
        try:
            if self._link is None:
                self._job_for = job_for
                if self._following is None:
                    self._following = asyncio.ensure_future(self._follow_session())
                elif self.python:  # it is reconnecting: the next connection sends the job
                    self._set_job(job_for(self.python))
            else:
                self._job_for = job_for
                self._set_job(job_for(self.python))
                self._sending = asyncio.ensure_future(self._upload(self._link, 0))
            began(self._execution)
            return await result
        finally:
            self._current = None
            self._listener = self._idle_listener
            self._job = self._job_for = self._values = self._early = None

    async def extend(self, seconds: float) -> None:
        """Let the session live for a time at least, although no cell runs.

        Raises:
            OSError: The runner cannot be reached at the moment.
        """
        if self._link is None:
            raise ConnectionError("the session is not connected")
        await self._link.send(protocol.encode(protocol.EXTEND, {"seconds": seconds}))

    async def kill(self, execution: str) -> None:
        """End the process of the session if this execution runs in it; its variables are lost."""
        if self._link is not None and self._execution == execution and self._current is not None:
            self._interrupts += 1
            meta = {"exec": execution, "n": self._interrupts, "kill": True}
            with contextlib.suppress(OSError):  # the pod is out of reach; its time limits end it
                await self._link.send(protocol.encode(protocol.INTERRUPT, meta))

    async def close(self) -> None:
        """Close the connection: nothing runs any more, or another notebook goes on."""
        for task in (self._following, self._sending):
            if task is not None:
                task.cancel()
                ignore_result(task)
        if self._link is not None:
            await self._link.stream.close()

    def _begin(self, listener: RunnerListener) -> None:
        self._listener = listener
        self._execution = ""
        self._end = None
        self._interrupts = 0
        self._answer = {}

    def _store_values(self, frame: protocol.Frame) -> None:
        """Store the next bytes of a cell's values; unpickle them meanwhile only if its results may be unpickled."""
        self._unpickles = self._job is not None and not self._job.meta.get("plain")
        super()._store_values(frame)

    def _set_job(self, job: Job) -> None:
        self._job = job
        self._execution = job.meta["exec"]

    async def _follow_session(self) -> None:
        """Receive frames until the session ends; tell whoever waits."""
        try:
            await self._follow()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 -- raised where the cell waits
            self.failure = error
            self._on_failure(error, self._current is not None)
            if self._current is not None and not self._current.done():
                self._current.set_exception(error)

    async def _resume(self, link: _Link, hello: dict[str, Any]) -> list[asyncio.Task[None]]:
        self._answered_seq = int(hello["answered"])
        states = {each["exec"]: each["state"] for each in hello["executions"]}
        if self._job is None:
            return []
        if states.get(self._execution, protocol.RUNNER_WAITING) == protocol.RUNNER_WAITING:
            offset = int(hello["have"].get(self._job.inputs_id, 0))
            return [asyncio.ensure_future(self._upload(link, offset))]
        await link.send(self._fetch_frame())
        await self._send_commands(link)
        return []

    async def _upload(self, link: _Link, offset: int) -> None:
        if self._job is not None and not self._job.size:  # most cells: one write
            frames = [link.seal.record(*frame) for frame in job_frames(self._job, 0)]
            frames.append(link.seal.record(self._fetch_frame()))
            try:
                await link.stream.send(b"".join(frames))
            except OSError:
                await link.stream.close()  # the reader sees the end, and reconnects
            return
        await super()._upload(link, offset)

    async def _handle_frame(self, link: _Link, frame: protocol.Frame) -> RunnerResult | None:
        if frame.kind == protocol.SESSION:
            self._on_state(frame.meta)
            return None
        if frame.kind == protocol.CLOSE and frame.meta.get("reason") in ENDS:
            raise SessionEnded(
                f"{self._backend.name} has ended: {ENDS[frame.meta['reason']]}.",
                "The next cell begins a new session.",
            )
        if frame.meta.get("exec", self._execution) != self._execution or self._current is None:
            if frame.kind in protocol.SPOOLED:  # of a cell that nobody here waits for
                self._last_seq = max(self._last_seq, frame.seq)
                return None
            if frame.kind == protocol.BLOB:
                return None
        result = await super()._handle_frame(link, frame)
        if result is not None and self._current is not None and not self._current.done():
            self._current.set_result(result)
        return None

    def _handle_close(self, frame: protocol.Frame) -> None:
        if frame.kind == protocol.CLOSE and frame.meta.get("reason") == protocol.CLOSE_TAKEN_OVER:
            raise TakenOver(
                f"Session {self._session} ({self._backend.name}) was taken over by {frame.meta.get('by')}. It goes on.",
                f"%%podtask --session {self._session} takes it over again.",
            )
        super()._handle_close(frame)

    async def _acknowledge(self, link: _Link) -> None:
        """Acknowledge the complete result, so that the runner frees its values."""
        with contextlib.suppress(OSError):  # the next acknowledgment frees them, too
            await link.send(protocol.encode(protocol.ACK, {"exec": self._execution}))


class CellChannel:
    """The channel of one cell of a session; see ``lifecycle.interfaces.RunnerChannel``.

    Args:
        channel: Channel of the session.
        job_for: Returns the job for a version of Python and a name of the execution.
        listener: Receives the frames of the cell.
        turn: Its turn.
        on_result: Called with the metadata of the result, which it may change.
        answer: Called with the metadata of the result of a cell that has not run, for want of values.
    """

    one_way = False
    follows_only = False
    found_ended = False

    def __init__(
        self,
        channel: SessionChannel,
        job_for: Callable[[str, str], Job],
        listener: RunnerListener,
        turn: Turn,
        on_result: Callable[[dict[str, Any]], None],
        answer: Callable[[dict[str, Any]], None],
    ) -> None:
        self._answer = answer
        self._channel = channel
        self._job_for: Callable[[str, str], Job] | None = job_for
        self._listener = listener
        self._own_turn = turn
        self._on_result = on_result
        self._name = channel.next_execution()
        self.session_ended = False  # then no result comes any more
        self._has_begun = False
        self._has_ended = False
        self._work: asyncio.Task[RunnerResult] | None = None

    @property
    def connected(self) -> bool:
        """Whether the runner is connected and has not reported the end of the cell."""
        return self._channel.connected

    @property
    def reconnects(self) -> int:
        """-1 before the first connection of the session."""
        return self._channel.reconnects

    async def run(self) -> RunnerResult:
        """Run the cell when its turn has come; return the result with all values."""
        self._work = asyncio.ensure_future(self._execute())
        try:
            return await asyncio.shield(self._work)
        except asyncio.CancelledError:
            if not self._has_begun:
                self._work.cancel()  # it gives up its place; a cell that runs keeps its turn until it has ended
            ignore_result(self._work)
            raise

    async def _execute(self) -> RunnerResult:
        result = await self._channel.execute(
            self._next_job, self._listener, self._own_turn, self._on_begin, self._answer
        )
        self._has_ended = True
        self._on_result(result.end)
        return result

    async def interrupt(self) -> None:
        """Interrupt the cell."""
        if self._has_begun:
            await self._channel.interrupt()

    async def kill(self) -> None:
        """End the process of the session if the cell runs in it, and wait for the report of its end."""
        if self._has_begun and not self._has_ended and self._work is not None:
            await self._channel.kill(self._name)
            await asyncio.wait({self._work}, timeout=KILL_SECONDS)

    async def read_stacks(self) -> str:
        """Return the stacks of all threads of the session; empty before the cell has begun."""
        return await self._channel.read_stacks() if self._has_begun else ""

    async def reply(self, answer: dict[str, Any]) -> None:
        """Answer the cell's ``input()``."""
        if self._has_begun:
            await self._channel.reply(answer)

    def read_result(self, log: bytes) -> RunnerResult | None:
        """Return nothing: the log of a session has no results."""
        return None

    def free_values(self) -> None:
        """Free the job: the task has ended. A cell that still runs keeps its turn, unless its session has ended."""
        self._job_for = None
        if self.session_ended and self._work is not None:
            self._work.cancel()
            ignore_result(self._work)

    def _next_job(self, python: str) -> Job:
        """Return the job, for an execution with a name of its own."""
        assert self._job_for is not None
        self._name = self._channel.next_execution()
        return self._job_for(python, self._name)

    def _on_begin(self, execution: str) -> None:
        self._has_begun = True
