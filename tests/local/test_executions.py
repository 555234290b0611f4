"""One runner executes many cells: each with its own worker, result and values, until it is released."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from podtask.backends.local import LocalProcess
from podtask.channel.handshake import Handshake
from podtask.channel.job import job_frames
from podtask.runner import protocol
from podtask.runner.bundle import runner_program

from tests.local.test_channel import KEY, SECRET, job
from tests.local.test_takeover import started


class Client:
    """A connection of the owner, which sends and receives single frames."""

    def __init__(self, stream: Any, handshake: Handshake, hello: Any) -> None:
        self._stream = stream
        self._seal, runner_seal = handshake.seals(hello)
        self._decoder = protocol.Decoder(runner_seal)
        self._frames = list(self._decoder.feed(hello.rest))

    @classmethod
    async def attach(cls, stream: Any, after_seq: int = 0) -> Client:
        """Return a client on a stream; send the runner its program if it needs it."""
        handshake = Handshake(bytes.fromhex(KEY), SECRET)
        hello = await handshake.receive_hello(stream)
        await stream.send(handshake.reply_to(hello, runner_program(True) if hello.fresh else b""))
        client = cls(stream, handshake, hello)
        await client.send(
            protocol.ATTACH, {"proto": protocol.PROTOCOL_VERSION, "client": "a", "after_seq": after_seq}
        )
        return client

    async def send(self, kind: int, meta: dict[str, Any]) -> None:
        """Send a frame."""
        await self._stream.send(self._seal.record(protocol.encode(kind, meta)))

    async def send_parts(self, *parts: bytes | memoryview) -> None:
        """Send an encoded frame."""
        await self._stream.send(self._seal.record(*parts))

    async def run(self, name: str, source: str, values: dict[str, Any] | None = None) -> None:
        """Send an execution with the output ``value``, and ask for its values."""
        work = job(source, ["value"], values)
        work.meta["exec"] = name
        for frame in job_frames(work, 0):
            await self.send_parts(*frame)
        await self.send(protocol.FETCH, {"exec": name, "attempt": 1, "offset": 0})

    async def receive(self, kind: int, **meta: Any) -> protocol.Frame:
        """Return the next frame of a kind with these fields; skip all others."""
        while True:
            while self._frames:
                frame = self._frames.pop(0)
                if frame.kind == kind and meta.items() <= frame.meta.items():
                    return frame
            chunk = await asyncio.wait_for(self._stream.receive(), 30)
            assert chunk, "the runner has closed the connection"
            self._frames += self._decoder.feed(chunk)

    async def release(self, name: str) -> None:
        """Acknowledge an execution, release the runner, and close the connection."""
        await self.send(protocol.ACK, {"exec": name, "release": True})
        await self.receive(protocol.CLOSE, reason=protocol.CLOSE_RELEASED)
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._stream.close()


def with_runner(scene: Callable[[LocalProcess, Client], Awaitable[None]]) -> int | None:
    """Run a scene with a client of a new runner; return the exit code of the runner."""

    async def main() -> int | None:
        backend = await started()
        try:
            await scene(backend, await backend.connect(Client.attach))
            return (await asyncio.wait_for(backend.wait_until_ended(), 30)).code
        finally:
            await backend.delete()

    return asyncio.run(main())


def result_of(frame: protocol.Frame) -> tuple[str, str]:
    return frame.meta["exec"], frame.meta["status"]


LARGE = "value = bytes(range(256)) * 8000"  # too large for the result frame


def test_executions_run_one_after_another() -> None:
    """Executions that are sent while another one runs wait for it; none sees the variables of those before."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await client.run("first", "value = input('go on?')")
        await client.run("second", "print('begins')\nvalue = given", {"given": 7})
        await client.run("third", "value")
        question = await client.receive(protocol.INPUT_REQUEST, exec="first")
        await client.send(protocol.INPUT_REPLY, {"to": question.seq, "value": "yes"})
        assert result_of(await client.receive(protocol.RESULT)) == ("first", "ok")
        assert (await client.receive(protocol.STREAM, exec="second")).data == b"begins\n"
        assert result_of(await client.receive(protocol.RESULT)) == ("second", "ok")
        assert result_of(await client.receive(protocol.RESULT)) == ("third", "error")
        await client.release("third")

    assert with_runner(scene) == 1  # how the last cell has ended


def test_end_of_an_execution_is_not_the_end_of_the_runner() -> None:
    """After an acknowledged result the runner executes the next cell; the same execution sent again is ignored."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await client.run("first", "value = 1 / 0")
        assert result_of(await client.receive(protocol.RESULT)) == ("first", "error")
        await client.send(protocol.ACK, {"exec": "first"})
        await client.run("first", "value = 'again'")
        await client.run("second", "value = 2")
        assert result_of(await client.receive(protocol.RESULT)) == ("second", "ok")
        await client.release("second")

    assert with_runner(scene) == 0


def test_acknowledged_execution_is_freed() -> None:
    """A client that connects later finds the executions that were not acknowledged, with their frames and values.

    What was acknowledged is gone: no gap is reported for its frames, and its files are closed.
    """

    async def scene(backend: LocalProcess, client: Client) -> None:
        await client.run("first", "print('of the first')\n" + LARGE)
        first = await client.receive(protocol.RESULT, exec="first")
        await client.run("second", "print('of the second')\n" + LARGE)
        await client.receive(protocol.RESULT, exec="second")
        before = open_files(backend)
        await client.send(protocol.ACK, {"exec": "first"})
        await client.send(protocol.PING, {"t": 1})
        await client.receive(protocol.PONG)
        assert open_files(backend) == before - 2
        await client.close()
        client = await backend.connect(Client.attach)
        hello = (await client.receive(protocol.HELLO)).meta
        [second] = hello["executions"]
        assert (second["exec"], second["state"]) == ("second", "done")
        assert hello["first_seq"] == second["first_seq"] == first.seq + 1
        assert (await client.receive(protocol.STATE)).seq == second["first_seq"]
        assert (await client.receive(protocol.STREAM)).data == b"of the second\n"
        await client.send(protocol.FETCH, {"exec": "second", "attempt": 1, "offset": 2_000_000})
        blob = await client.receive(protocol.BLOB)
        assert (blob.meta["exec"], blob.meta["offset"], blob.meta["part"]) == ("second", 2_000_000, 0)
        await client.release("second")

    assert with_runner(scene) == 0


def test_inputs_are_sent_once() -> None:
    """The runner keeps inputs by their hash: an execution with the same inputs as another one needs no upload."""
    data = bytes(range(256)) * 4000

    async def scene(backend: LocalProcess, client: Client) -> None:
        await client.run("first", "value = len(data)", {"data": data})
        await client.receive(protocol.RESULT, exec="first")
        await client.close()
        client = await backend.connect(Client.attach)
        work = job("value = data[300] / 0", ["value"], {"data": data})
        have = (await client.receive(protocol.HELLO)).meta["have"]
        assert have == {work.inputs_id: work.size}
        run, *blobs = job_frames(work, have[work.inputs_id])
        assert blobs == []
        await client.send_parts(*run)
        await client.receive(protocol.STATE, exec="x")
        assert result_of(await client.receive(protocol.RESULT, exec="x")) == ("x", "error")
        await client.send(protocol.ACK, {"exec": "first"})
        await client.send(protocol.ACK, {"exec": "x"})
        await client.close()
        client = await backend.connect(Client.attach)
        assert (await client.receive(protocol.HELLO)).meta["have"] == {}
        await client.release("x")

    assert with_runner(scene) == 1


def test_interrupt_names_its_execution() -> None:
    """An interrupt of an execution that has ended does not interrupt the next one."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await client.run("first", "value = 1")
        await client.receive(protocol.RESULT, exec="first")
        await client.run("second", "value = input('still here?')")
        question = await client.receive(protocol.INPUT_REQUEST, exec="second")
        await client.send(protocol.INTERRUPT, {"exec": "first", "n": 1})
        await client.send(protocol.INPUT_REPLY, {"to": question.seq, "value": "yes"})
        assert result_of(await client.receive(protocol.RESULT)) == ("second", "ok")
        await client.run("third", "input()")
        await client.receive(protocol.INPUT_REQUEST, exec="third")
        await client.send(protocol.INTERRUPT, {"exec": "third", "n": 1})
        assert result_of(await client.receive(protocol.RESULT)) == ("third", "error")
        await client.release("third")

    assert with_runner(scene) == 1


def test_process_that_dies_does_not_end_the_runner() -> None:
    """After an execution whose process was killed, the next one has a process of its own."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await client.run("first", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
        assert result_of(await client.receive(protocol.RESULT)) == ("first", "crashed")
        await client.run("second", "value = 2")
        assert result_of(await client.receive(protocol.RESULT)) == ("second", "ok")
        await client.release("second")

    assert with_runner(scene) == 0


def test_runner_whose_results_are_fetched_leaves_nothing_in_its_log() -> None:
    """A runner that is left after its last result was acknowledged ends with the cell's code, without a record."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await client.run("first", "value = 1")
        await client.receive(protocol.RESULT, exec="first")
        await client.send(protocol.ACK, {"exec": "first"})
        await client.close()
        backend._process.terminate()
        await asyncio.wait_for(backend.wait_until_ended(), 30)
        assert protocol.RECORD_LINE_PREFIX.encode() not in await backend.whole_log()

    assert with_runner(scene) == 0


def open_files(backend: LocalProcess) -> int:
    """Return the number of files that a runner has open."""
    return len(list(Path(f"/proc/{backend._process.pid}/fd").iterdir()))


pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="reads /proc")
