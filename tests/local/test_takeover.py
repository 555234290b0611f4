"""Several clients of one runner, and a runner that is terminated before its result was fetched."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from podtask.backends.base import ByteStream
from podtask.backends.local import LocalProcess
from podtask.channel.channel import Channel, TakenOver
from podtask.channel.job import Job, RunnerResult
from podtask.channel.record_reader import read_record
from podtask.config.options import RunOptions
from podtask.manifest.identity import Identity
from podtask.manifest.render import render
from podtask.pickling.outputs import unpack
from podtask.runner import protocol

from tests.local.listener import Listener
from tests.local.test_channel import KEY, SECRET, T, Unreliable, job

GATED = """
import pathlib, time
print("begun", flush=True)
while not pathlib.Path({!r}).exists():
    time.sleep(0.01)
value = 42
"""


async def started() -> LocalProcess:
    identity = Identity("podtask-test", KEY, SECRET, 1)
    manifest = render(None, RunOptions()).stamped(identity)
    return await LocalProcess.start(manifest, Listener())


async def follow(
    backend: LocalProcess, secret: str | None, job_for: Callable[[str], Job] | None = None
) -> asyncio.Task[RunnerResult]:
    """Start a client of a runner, and wait until it has received a frame.

    Args:
        backend: The runner.
        secret: The owner's secret; None for a client that only follows.
        job_for: Returns the job for a version of Python; None for a client that has no cell.
    """
    begun = asyncio.Event()
    channel = Channel(backend, KEY, secret, job_for, Listener(lambda frame: begun.set()))
    following = asyncio.ensure_future(channel.run())
    await asyncio.wait_for(begun.wait(), 30)
    return following


class Asleep(Unreliable):
    """Backend that opens only its first stream until ``awake`` is set."""

    def __init__(self, backend: LocalProcess) -> None:
        super().__init__(backend, [])
        self.awake = asyncio.Event()
        self.streams: list[ByteStream] = []

    async def connect(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
        async def kept(stream: ByteStream) -> T:
            self.streams.append(stream)
            return await greet(stream)

        if self.streams:
            await self.awake.wait()
        return await super().connect(kept)


def test_suspended_client_does_not_take_a_task_back(tmp_path: Any) -> None:
    """A suspended client that reconnects is informed of the takeover; the newer client gets the result."""
    gate = tmp_path / "gate"

    async def scene() -> list[Any]:
        backend = await started()
        asleep = Asleep(backend)
        work = job(GATED.format(str(gate)), ["value"])
        begun, followed = asyncio.Event(), asyncio.Event()
        older = Channel(asleep, KEY, SECRET, lambda _: work, Listener(lambda frame: begun.set()))
        newer = Channel(backend, KEY, SECRET, None, Listener(lambda frame: followed.set()))
        talks = [asyncio.ensure_future(older.run())]
        try:
            await asyncio.wait_for(begun.wait(), 30)
            await asleep.streams[0].close()
            talks.append(asyncio.ensure_future(newer.run()))
            await asyncio.wait_for(followed.wait(), 30)
            asleep.awake.set()
            with pytest.raises(TakenOver, match=r"was taken over by .*It keeps running"):
                await asyncio.wait_for(talks[0], 30)
            gate.touch()
            result = await asyncio.wait_for(talks[1], 30)
        finally:
            await backend.delete()
        return list(unpack(result.parts, result.end["packed"]))

    assert asyncio.run(scene()) == [42]


def test_new_client_takes_a_task_back(tmp_path: Any) -> None:
    """Each new attach takes the task over, and the previous client is informed."""
    gate = tmp_path / "gate"

    async def scene() -> list[Any]:
        backend = await started()
        work = job(GATED.format(str(gate)), ["value"])
        talks: list[asyncio.Task[Any]] = []
        try:
            for job_for in (lambda _: work, None, None):
                talks.append(await follow(backend, SECRET, job_for))
            gate.touch()
            for talk in talks[:2]:
                with pytest.raises(TakenOver):
                    await asyncio.wait_for(talk, 30)
            result = await asyncio.wait_for(talks[2], 30)
        finally:
            await backend.delete()
        return list(unpack(result.parts, result.end["packed"]))

    assert asyncio.run(scene()) == [42]


def test_exit_code_of_a_terminated_runner_marks_an_unfetched_result() -> None:
    """The runner exits with the code that marks an unfetched result for `gc` and `list`."""

    async def scene() -> tuple[int | None, bytes]:
        backend = await started()
        # These values are too large for the result frame, which arrives before they are complete.
        work = job("value = bytes(1 << 20)", ["value"])

        def on_frame(frame: protocol.Frame) -> None:
            if frame.kind == protocol.RESULT:
                raise asyncio.CancelledError

        talk = asyncio.ensure_future(Channel(backend, KEY, SECRET, lambda _: work, Listener(on_frame)).run())
        try:
            await asyncio.wait([talk], timeout=30)
            assert talk.cancelled()
            backend._process.send_signal(signal.SIGTERM)
            found = await asyncio.wait_for(backend.wait_until_ended(), 30)
            return found.code, await backend.whole_log()
        finally:
            await backend.delete()

    code, log = asyncio.run(scene())
    assert code == protocol.EXIT_NO_CLIENT
    record = read_record(log, bytes.fromhex(KEY))
    assert record is not None
    [value] = unpack(record.result.parts, record.result.end["packed"])
    assert value == bytes(1 << 20)
