"""A submitted cell: three loops that follow it (status, channel, deadline), and its handle."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

from .backend import Ending, Placement
from .channel import Channel
from .errors import InputError, StartError, TaskTimeout
from .job import Job, Verdict
from .local import LocalProcess, ignored
from .loop import Loop, loop
from .manifest import PORT_TAKEN, Rendered, render, without_key
from .outcome import Outcome, Raw, decode, lost
from .pickles import MINOR
from .race import race
from .runner import wire
from .work import Work, new_identity

PORT_TRIES = 3
UNHEARD_SECONDS = 10


class Update(NamedTuple):
    """Something to show: kind is phase, frame, note or done."""

    kind: str
    text: str = ""
    frame: wire.Frame | None = None


class Task:
    """The handle of a submitted cell, shaped as a ``concurrent.futures.Future``, and awaitable.

    Attributes:
        name: of the pod.
        status: Pending, Running, ok, error, ... in the words of Kubernetes and of the runner.
        phase: what the backend last said, with its time.
    """

    def __init__(self, work: Work, port: int | None = None) -> None:
        self.status = "Pending"
        self.name = ""
        self.url = ""
        self.phase = "Pending"
        self.began = self.phase_since = time.monotonic()
        self._ended: float | None = None
        self.where = ""
        self.updates: queue.SimpleQueue[Update] = queue.SimpleQueue()
        self._work = work
        self._port = port
        self._rendered: Rendered | None = None
        self._placement: Placement | None = None
        self._channel: Channel | None = None
        self._outcome: Outcome | None = None
        self._output: list[bytes] = []
        self._cancelled = asyncio.Event()
        self._loop: Loop = loop()
        self._done: concurrent.futures.Future[Outcome] = concurrent.futures.Future()
        self._loop.start(self._run())

    # -- what a user calls ---------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<Task {self.name or 'not created yet'}: {self.status}>"

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.wrap_future(self._done).__await__()
        return self.result()

    @property
    def manifest(self) -> dict[str, Any]:
        """The pod as it was sent, but for the task's key; empty before that."""
        return without_key(self._rendered.pod) if self._rendered else {}

    @property
    def seconds(self) -> float:
        """Its age, or how long it took."""
        return (self._ended or time.monotonic()) - self.began

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """What was sent: name -> (type's name, bytes)."""
        return self._work.inputs.sizes

    @property
    def values(self) -> dict[str, Any]:
        """What came back by name."""
        return self.outcome().values

    @property
    def error(self) -> BaseException | None:
        """What :meth:`result` would raise; None while it runs."""
        return self._outcome.error if self._outcome else None

    @property
    def raw(self) -> Raw | None:
        """The values that could not be decoded here; ``load()`` tries again."""
        return self.outcome().raw

    def done(self) -> bool:
        """Whether the task has ended."""
        return self._done.done()

    def running(self) -> bool:
        """Whether the cell has begun and not ended."""
        return self.status == "Running"

    def cancelled(self) -> bool:
        """Whether it was ended by :meth:`cancel`."""
        return self.status == "cancelled"

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Returns what :meth:`result` would raise; waits for the end.

        Raises:
            TaskTimeout: not ended within ``timeout`` seconds.
        """
        return self.outcome(timeout).error

    def add_done_callback(self, call: Callable[[Task], object]) -> None:
        """Calls ``call(task)`` from the background thread when the task has ended."""
        self._done.add_done_callback(lambda _: call(self))

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the end, at most ``timeout`` seconds; returns whether it has come."""
        concurrent.futures.wait([self._done], timeout)
        return self._done.done()

    def outcome(self, timeout: float | None = None) -> Outcome:
        """Returns what came of the task, an error of the cell among it; waits for it.

        Raises:
            TaskTimeout: it has not ended within ``timeout`` seconds; it goes on.
        """
        if not self.wait(timeout):
            raise TaskTimeout(f"{self.name} has not ended in {timeout} s; it goes on.",
                              "Wait again, or cancel() it.")  # fmt: skip
        return self._done.result()

    def result(self, timeout: float | None = None) -> Any:
        """Returns the value of the last expression (of a function, what it returned).

        Raises:
            TaskTimeout: not ended within ``timeout`` seconds.
            BaseException: the cell's own error, or a PodtaskError.
        """
        outcome = self.outcome(timeout)
        if outcome.error is not None:
            raise outcome.error
        return outcome.result

    def logs(self, container: str | None = None) -> str:
        """Returns the output so far; with a container's name, that container's log in the pod."""
        if container is None:
            return b"".join(self._output).decode("utf-8", "replace")
        if self._placement is None:
            raise InputError("The pod does not exist yet.", "Ask again when it does.")
        return self._loop.start(self._placement.logs(container)).result()

    def why(self) -> str:
        """Returns in a line where the pod is and what to change; after the end, what came of it."""
        if self._placement is None or self._done.done():
            return f"{self.status}: {self.error}" if self.error else self.phase
        return self._loop.start(self._placement.why()).result()

    def events(self) -> list[dict[str, Any]]:
        """Returns the pod's events as the API has them, oldest first."""
        return self._loop.start(self._placement.events()).result() if self._placement else []

    def interrupt(self) -> None:
        """Raises KeyboardInterrupt in the cell; a task that has not begun is deleted."""
        self._loop.start(self._interrupt())

    def abandon(self) -> None:
        """Ends the task, as :meth:`cancel` does, without waiting."""
        self._loop.asyncio.call_soon_threadsafe(self._cancelled.set)

    def cancel(self) -> None:
        """Ends the task and deletes its pod; waits until the API server has taken that."""
        self.abandon()
        self._done.exception()

    def delete(self) -> None:
        """Deletes the pod, of a finished task too."""
        if not self._done.done():
            self.cancel()
        elif self._placement is not None:
            self._loop.start(self._placement.delete()).result()

    def reply(self, answer: dict[str, Any]) -> None:
        """Answers a question of the cell: ``{"value": ...}`` or ``{"eof": True}``."""
        if self._channel is not None:
            self._loop.start(self._channel.reply(answer)).result()

    # -- following -------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            outcome = await self._follow()
        except BaseException as error:  # noqa: BLE001 -- everything ends up at who waits
            status = "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
            outcome = Outcome(status, error=error)
        self._outcome = outcome
        self._ended = time.monotonic()
        self.status = outcome.status
        self._done.set_result(outcome)
        self.updates.put(Update("done"))

    async def _follow(self) -> Outcome:
        for _ in range(PORT_TRIES):
            placement = await self._start()
            assert self._channel is not None
            ending: Ending | None = None
            try:
                found = await race(placement, self._channel, self._cancelled, self._deadline())
                if found is None:
                    raise KeyboardInterrupt(f"{self.name} was cancelled and its pod deleted.")
                if isinstance(found, Verdict):
                    return await asyncio.to_thread(decode, found, self.where, self._work.hint)
                ending = found
            finally:
                self._loop.background(placement.delete())
            if ending.code != PORT_TAKEN:
                raise lost(self.name, ending)
            self._note("The runner's port was taken by another container; trying another one.")
            self._port = None
        raise StartError("Another container of the pod takes every port the runner chooses.",
                         "Look at what the sidecars listen on.")  # fmt: skip

    async def _start(self) -> Placement:
        options = self._work.options
        identity = new_identity(self._port)
        rendered = render(self._work.template, options, identity, MINOR)
        self._rendered = rendered
        for notice in rendered.notices:
            self._note(notice)
        self.name = identity.name
        if options.local:
            left_out = ignored(rendered)
            if left_out:
                self._note(f"Runs on this machine: {', '.join(left_out)} of the template ignored.")
            self._placement = await LocalProcess.start(rendered, identity, self._on_phase)
            self.where = "a process on this machine"
        else:
            from .pods import Pod  # only here: a local run needs no client library

            self._placement = await Pod.create(rendered, options, self._on_phase, self._note)
            self.where = f"pod {identity.name}, container {rendered.primary}"
        self.url = self._placement.url
        self._channel = Channel(self._placement, identity.key, self._job_for, self._on_frame)
        return self._placement

    async def _deadline(self) -> None:
        """Raises when the cell has not begun in time, or has not ended long after its timeout."""
        options = self._work.options
        while self.status == "Pending":
            left = self.began + options.start_timeout - time.monotonic()
            if left <= 0:
                raise StartError(f"{self.name} has not started in {options.start_timeout:g} s ({self.phase}).",
                                 "Raise --start-timeout, or see why with kubectl describe pod.")  # fmt: skip
            await asyncio.sleep(left)
        await asyncio.sleep(options.timeout + options.grace + 60)
        raise TaskTimeout(f"{self.name} ran past its --timeout, and nothing was heard of it.",
                          "The pod was deleted; raise --timeout, or let the cell do less.")  # fmt: skip

    async def _interrupt(self) -> None:
        if self.status == "Pending" or self._channel is None:
            self._cancelled.set()
            return
        await self._channel.interrupt()
        await asyncio.sleep(UNHEARD_SECONDS)
        if not self._done.done():
            self._note(f"The cell has not reacted in {UNHEARD_SECONDS} s; "
                       "interrupt again to delete the pod.")  # fmt: skip

    def _job_for(self, python: str) -> Job:
        return self._work.job_for(python, self.name, self._note)

    def _on_phase(self, phase: str, say: str) -> None:
        text = f"{phase}: {say}" if say else phase
        if text != self.phase:
            self.phase, self.phase_since = text, time.monotonic()
            self.updates.put(Update("phase", text))

    def _on_frame(self, frame: wire.Frame) -> None:
        if frame.kind == wire.STATE:
            self.status = "Running"
            self._on_phase("Running", "")
        elif frame.kind == wire.STREAM:
            self._output.append(frame.data)
        self.updates.put(Update("frame", frame=frame))

    def _note(self, text: str) -> None:
        self.updates.put(Update("note", text))
