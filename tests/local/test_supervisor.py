"""Requests of clients to the supervisor at critical moments."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from podtask.backends.base import ByteStream
from podtask.backends.local import LocalProcess
from podtask.channel.channel import Channel
from podtask.channel.job import RunnerResult
from podtask.config.options import RunOptions
from podtask.manifest.identity import Identity
from podtask.manifest.render import render
from podtask.pickling.outputs import unpack
from podtask.runner import protocol

from tests.local.listener import Listener
from tests.local.test_channel import KEY, SECRET, Cut, T, Unreliable, job, run


@pytest.mark.parametrize("cut_after", [False, True])
def test_answer_given_while_the_connection_is_down_arrives_once(cut_after: bool) -> None:
    """An input reply during a cut is sent once, and does not answer the next request."""

    async def scene() -> list[Any]:
        identity = Identity("podtask-test", KEY, SECRET, 1)
        manifest = render(None, RunOptions()).stamped(identity)
        placement = await LocalProcess.start(manifest, Listener())
        answers = ["one", "two"]
        under_way: list[asyncio.Task[None]] = []

        async def answer() -> None:
            assert channel._link is not None
            link = channel._link
            if not cut_after:
                await link.stream.close()
            await channel.reply({"value": answers.pop(0)})
            if cut_after:
                await link.stream.close()

        def on_frame(frame: protocol.Frame) -> None:
            if frame.kind == protocol.INPUT_REQUEST:
                under_way.append(asyncio.ensure_future(answer()))

        work = job("found = [input(), input()]", ["found"])
        channel = Channel(placement, KEY, SECRET, lambda python: work, Listener(on_frame))
        try:
            verdict = await asyncio.wait_for(channel.run(), 30)
        finally:
            await placement.delete()
        [found] = unpack(verdict.parts, verdict.end["packed"])
        return list(found)

    assert asyncio.run(scene()) == ["one", "two"]


STUBBORN = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1])
while True:
    try:
        time.sleep(1000)
    except KeyboardInterrupt:
        pass
"""


def test_deleted_local_runner_ends_a_cell_that_ignores_interrupts() -> None:
    """A cell that ignores interrupts does not outlive its local runner."""

    async def scene() -> None:
        identity = Identity("podtask-test", KEY, SECRET, 1)
        manifest = render(None, RunOptions()).stamped(identity)
        placement = await LocalProcess.start(manifest, Listener())
        begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_frame(frame: protocol.Frame) -> None:
            if frame.kind == protocol.STREAM:
                begun.set_result(int(frame.data))

        channel = Channel(placement, KEY, SECRET, lambda python: job(STUBBORN, []), Listener(on_frame))
        talk = asyncio.ensure_future(channel.run())
        reader, writer = await asyncio.open_connection("127.0.0.1", await asyncio.wait_for(begun, 30))
        talk.cancel()
        await asyncio.wait([talk])
        await placement.delete(grace=0.1)
        with contextlib.suppress(ConnectionResetError):  # the process of the cell ends in this way too
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()

    asyncio.run(scene())


LONG = """
error = ValueError("\U0001f600" * 70_000)
try:
    raise error
except ValueError as first:
    raise KeyError("\u65e5" * 70_000) from first
"""


def test_errors_with_long_messages_fit_into_the_verdict() -> None:
    """A chain of errors with long messages is the error of the cell and does not kill its process."""
    verdict, _, _ = asyncio.run(run(job(LONG, []), []))
    assert verdict.end["status"] == "error"
    assert [each["type"] for each in verdict.end["error"]["errors"]] == ["KeyError", "ValueError"]
    assert all(len(each["message"]) > 1000 for each in verdict.end["error"]["errors"])


class Stopping(Cut):
    """Stream that stops the runner after some of its data."""

    def __init__(self, stream: ByteStream, stop: Callable[[], None]) -> None:
        super().__init__(stream, 1 << 30)
        self._room = 10 << 20
        self._stop = stop

    async def receive(self) -> bytes:
        data = await super().receive()
        if 0 < self._room <= len(data):
            self._stop()
        self._room -= len(data)
        return data


def test_terminated_runner_still_sends_the_values() -> None:
    """A client that fetches values during the termination gets all of them on the same connection."""

    async def scene() -> Any:
        identity = Identity("podtask-test", KEY, SECRET, 1)
        manifest = render(None, RunOptions()).stamped(identity)
        placement = await LocalProcess.start(manifest, Listener())

        class Watched(Unreliable):
            async def connect(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
                stop = functools.partial(placement._process.send_signal, signal.SIGTERM)
                return await placement.connect(lambda stream: greet(Stopping(stream, stop)))

        work = job("value = bytes(100 << 20)", ["value"])
        channel = Channel(Watched(placement, []), KEY, SECRET, lambda python: work, Listener())
        try:
            verdict = await asyncio.wait_for(channel.run(), 30)
        finally:
            await placement.delete()
        assert channel.reconnects == 0
        [value] = unpack(verdict.parts, verdict.end["packed"])
        return value

    assert asyncio.run(scene()) == bytes(100 << 20)


SCRIBBLED = """
import os, stat, time
for fd in range(3, 64):
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.pwrite(fd, b"x" * 100, 0)
    except OSError:
        pass
try:
    print("done", flush=True)
    while True:  # a signal just before a single long wait would not end that wait
        time.sleep(0.05)
except KeyboardInterrupt:
    pass
"""


def test_cell_cannot_write_to_the_runners_files() -> None:
    """After a cell has written to all open files, a new client still receives every frame."""

    async def scene() -> list[protocol.Frame]:
        identity = Identity("podtask-test", KEY, SECRET, 1)
        manifest = render(None, RunOptions()).stamped(identity)
        placement = await LocalProcess.start(manifest, Listener())
        scribbled = asyncio.Event()

        def on_frame(frame: protocol.Frame) -> None:
            if frame.kind == protocol.STREAM:
                scribbled.set()

        work = job(SCRIBBLED, [])
        first = asyncio.ensure_future(
            Channel(placement, KEY, SECRET, lambda _: work, Listener(on_frame)).run()
        )
        await asyncio.wait_for(scribbled.wait(), 30)
        first.cancel()
        frames: list[protocol.Frame] = []
        second = Channel(placement, KEY, SECRET, None, Listener(frames.append))
        await second.interrupt()
        try:
            verdict = await asyncio.wait_for(second.run(), 30)
        finally:
            await placement.delete()
        assert verdict.end["status"] == "ok"
        return frames

    frames = asyncio.run(scene())
    assert [(frame.seq, frame.kind) for frame in frames] == [(1, protocol.STATE), (2, protocol.STREAM)]


def test_runner_without_a_cell_exits() -> None:
    """--wait also applies if the notebook dies while it sends the inputs."""

    async def scene() -> int | None:
        identity = Identity("podtask-test", KEY, SECRET, 1)
        manifest = render(None, RunOptions.of(wait="1s")).stamped(identity)
        placement = await LocalProcess.start(manifest, Listener())
        came: list[ByteStream] = []

        class Dying(Unreliable):
            async def connect(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
                if came:
                    await asyncio.Event().wait()
                return await placement.connect(lambda stream: greet(dying(stream)))

        def dying(stream: ByteStream) -> ByteStream:
            came.append(Cut(stream, 1 << 20))
            return came[0]

        work = job("len(big)", [], {"big": bytes(50 << 20)})
        channel = Channel(Dying(placement, []), KEY, SECRET, lambda python: work, Listener())
        talk = asyncio.ensure_future(channel.run())
        try:
            return (await asyncio.wait_for(placement.wait_until_ended(), 30)).code
        finally:
            talk.cancel()
            await placement.delete()

    assert asyncio.run(scene()) == protocol.EXIT_NO_CLIENT


@pytest.mark.feature("N15")
def test_verdict_contains_the_usage() -> None:
    """The verdict contains the CPU seconds and the peak memory, including child processes."""
    source = """
import subprocess, sys, time
burn = "import time\\nwhile time.process_time() < 0.3: pass"
subprocess.run([sys.executable, "-c", burn], check=True)
exec(burn)
held = b"x" * (150 << 20)
"""
    verdict, _, _ = asyncio.run(run(job(source, []), []))
    used = verdict.end["usage"]
    assert used["cpu"] >= 0.6
    assert used["process"] >= 150 << 20


@pytest.mark.fault(101)
def test_interrupt_ends_a_line_without_an_end() -> None:
    """A cell that writes one endless line is interrupted like any other."""

    async def scene() -> RunnerResult:
        identity = Identity("podtask-test", KEY, SECRET, 1)
        manifest = render(None, RunOptions()).stamped(identity)
        placement = await LocalProcess.start(manifest, Listener())
        under_way: list[asyncio.Task[None]] = []

        def on_frame(frame: protocol.Frame) -> None:
            if frame.kind == protocol.STREAM and not under_way:
                under_way.append(asyncio.ensure_future(channel.interrupt()))

        work = job("while True: print('x' * (16 << 20), end='')", [])
        channel = Channel(placement, KEY, SECRET, lambda python: work, Listener(on_frame))
        try:
            return await asyncio.wait_for(channel.run(), 30)
        finally:
            await placement.delete()

    verdict = asyncio.run(scene())
    assert verdict.end["error"]["errors"][0]["type"] == "KeyboardInterrupt"
