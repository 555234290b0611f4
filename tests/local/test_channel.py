"""The channel against a real runner on this machine: cut connections, impostors, large values."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
import random
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from podtask.backends.base import Backend, ByteStream, Snapshot, StopReason, Termination
from podtask.backends.local import LocalProcess, SocketStream
from podtask.channel.channel import Channel
from podtask.channel.handshake import NotOurRunner
from podtask.channel.job import Job, RunnerResult
from podtask.config.options import RunOptions
from podtask.manifest.identity import Identity
from podtask.manifest.render import render
from podtask.pickling.inputs import pack_inputs
from podtask.pickling.outputs import unpack
from podtask.runner import protocol
from podtask.runner.bundle import runner_program

from tests.local.listener import Listener

T = TypeVar("T")
KEY = "ab" * 32
SECRET = "cd" * 32


class Cut:
    """A stream that breaks after a number of bytes, counted in both directions."""

    def __init__(self, stream: ByteStream, budget: int) -> None:
        self._stream = stream
        self._budget = budget

    async def send(self, data: bytes) -> None:
        if len(data) > self._budget:
            await self._stream.send(data[: self._budget])
            self._budget = 0
            raise ConnectionResetError("cut")
        self._budget -= len(data)
        await self._stream.send(data)

    async def receive(self) -> bytes:
        data = await self._stream.receive()
        if len(data) > self._budget:
            raise ConnectionResetError("cut")
        self._budget -= len(data)
        return data

    async def close(self) -> None:
        await self._stream.close()


class Unreliable:
    """A backend whose first connections break after the given numbers of bytes."""

    def __init__(self, backend: LocalProcess, budgets: list[int]) -> None:
        self.name = backend.name
        self.url = backend.url
        self.transport = backend.transport
        self._backend = backend
        self._budgets = budgets

    async def connect(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
        return await self._backend.connect(functools.partial(self._cut_and, greet))

    async def _cut_and(self, greet: Callable[[ByteStream], Awaitable[T]], stream: ByteStream) -> T:
        return await greet(Cut(stream, self._budgets.pop(0)) if self._budgets else stream)

    async def wait_until_ended(self) -> Termination:
        return await self._backend.wait_until_ended()

    async def drain_notes(self) -> None:
        """Do nothing."""

    async def delete_read_secrets(self) -> None:
        """Do nothing."""

    async def stop_reason(self) -> StopReason:
        return await self._backend.stop_reason()

    async def why(self) -> str:
        return await self._backend.why()

    async def events(self) -> list[dict[str, Any]]:
        return await self._backend.events()

    async def snapshot(self) -> Snapshot:
        return await self._backend.snapshot()

    async def delete(self, grace: float | None = None) -> None:
        await self._backend.delete(grace)

    def release(self) -> None:
        self._backend.release()

    async def whole_log(self) -> bytes:
        return await self._backend.whole_log()

    async def logs(self, container: str | None) -> str:
        return await self._backend.logs(container)


def job(source: str, outputs: list[str], values: dict[str, Any] | None = None) -> Job:
    inputs = pack_inputs(values or {}, {})
    meta: dict[str, Any] = {
        "exec": "x",
        "source": source,
        "filename": "<cell>",
        "quiet": False,
        **inputs.about,
        "outputs": outputs,
        "env": {},
        "timeout": 60,
        "linger": 60,
        "grace": 5,
    }
    return Job(meta, inputs.parts, inputs.sha256)


async def run(work: Job, budgets: list[int]) -> tuple[RunnerResult, bytes, Channel]:
    identity = Identity("podtask-test", KEY, SECRET, 1)
    manifest = render(None, RunOptions()).stamped(identity)
    backend = await LocalProcess.start(manifest, Listener())
    frames: list[protocol.Frame] = []
    wrapped: Backend = Unreliable(backend, budgets)
    channel = Channel(wrapped, KEY, SECRET, lambda python: work, Listener(frames.append))
    try:
        result = await asyncio.wait_for(channel.run(), 60)
    finally:
        await backend.delete()
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
    assert {frame.meta["exec"] for frame in frames} == {"x"}
    text = b"".join(frame.data for frame in frames if frame.kind == protocol.STREAM)
    return result, text, channel


@pytest.mark.parametrize("seed", range(4))
def test_cuts_at_any_byte_lose_and_repeat_nothing(seed: int) -> None:
    """Wherever the connection breaks, each line arrives once and in order, and the value is intact."""
    chance = random.Random(seed)
    budgets = [
        chance.choice([chance.randrange(200), chance.randrange(40_000), chance.randrange(2_000_000)])
        for _ in range(8)
    ]
    source = "for n in range(20_000): print(n)\nvalue = bytes(range(256)) * 8000\n"
    result, text, _ = asyncio.run(run(job(source, ["value"]), budgets))
    assert text == b"".join(b"%d\n" % n for n in range(20_000))
    assert result.end["status"] == "ok"
    assert sum(map(len, result.parts)) == result.end["size"]
    assert unpack(result.parts, result.end["packed"]) == [bytes(range(256)) * 8000]


def test_upload_resumes_after_a_cut() -> None:
    """Inputs of several MiB arrive complete although the connection is cut during the upload."""
    value = random.Random(1).randbytes(5 << 20)
    source = "import hashlib\ndigest = hashlib.sha256(value).hexdigest()\n"
    work = job(source, ["digest"], {"value": value})
    result, _, channel = asyncio.run(run(work, [1_000_000, 2_000_000, 300]))
    assert result.end["status"] == "ok"
    assert hashlib.sha256(value).hexdigest().encode() in bytes(result.parts[0])
    assert channel.reconnects >= 1


class Relay:
    """A process that the traffic of the pod's loopback goes through, as a container with NET_ADMIN can arrange.

    Args:
        port: Port of the runner.
        changed: Number of connections in which it changes the output.
    """

    def __init__(self, port: int, changed: int) -> None:
        self.seen = bytearray()
        self._port = port
        self._changed = changed

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what both sides send, and remember it."""
        self._changed -= 1
        change = self._changed >= 0
        runner_reader, runner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(
            self._pump(reader, runner_writer, change=False), self._pump(runner_reader, writer, change)
        )

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                self.seen += data
                writer.write(data.replace(b"honest", b"forged") if change else data)
                await writer.drain()
        writer.close()


def test_relay_reads_everything_and_changes_nothing() -> None:
    """What goes through another process is not encrypted, the owner's secret included; a change ends the connection."""
    shown: list[bytes] = []

    async def main() -> tuple[RunnerResult, bytes]:
        manifest = render(None, RunOptions()).stamped(Identity("podtask-test", KEY, SECRET, 1))
        backend = await LocalProcess.start(manifest, Listener())
        relay = Relay(backend._port, changed=2)
        async with await asyncio.start_server(relay.serve, "127.0.0.1", 0) as server:
            backend._port = server.sockets[0].getsockname()[1]
            work = job("print('hon' + 'est')\nvalue = 6 * 7", ["value"])
            channel = Channel(backend, KEY, SECRET, lambda _: work, Listener(lambda f: shown.append(f.data)))
            try:
                result = await asyncio.wait_for(channel.run(), 60)
            finally:
                await backend.delete()
        assert channel.reconnects == 2
        return result, bytes(relay.seen)

    result, seen = asyncio.run(main())
    assert unpack(result.parts, result.end["packed"]) == [42]
    assert b"honest\n" in shown
    assert not any(b"forged" in data for data in shown)
    assert SECRET.encode() in seen
    assert b"value = 6 * 7" in seen
    assert KEY.encode() not in seen


@pytest.mark.parametrize(
    "answer", [b"", b"hello\n", b"a 3.11.2 1 " + b"b" * 64 + b"\n", b"x" * 10_000, b"\0\xff\n"]
)
def test_impostor_receives_only_a_nonce(answer: bytes) -> None:
    """A server that does not know the key is refused, and has received only one line of 32 hex digits."""

    async def scene() -> bytes:
        heard = bytearray()
        done = asyncio.Event()

        async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.extend(await reader.readline())
            writer.write(answer)
            if not answer:
                writer.close()
            heard.extend(await reader.read())
            writer.close()
            done.set()

        server = await asyncio.start_server(impostor, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        stream = SocketStream(*await asyncio.open_connection("127.0.0.1", port))
        backend: Any = None
        channel = Channel(backend, KEY, SECRET, lambda python: job("secret", []), Listener())
        with pytest.raises((NotOurRunner, ConnectionResetError)):
            await channel._handshake(stream)
        await stream.close()
        await asyncio.wait_for(done.wait(), 10)
        server.close()
        return bytes(heard)

    heard = asyncio.run(scene())
    assert len(heard) == 33
    assert bytes.fromhex(heard.decode().strip())


@pytest.mark.parametrize("proof", [f"{'f' * 64} 5 {'f' * 64}\nhello", "f 5\nhello", "é 5 é\nhello", "no\n"])
def test_runner_refuses_a_client_without_the_key(proof: str) -> None:
    """The runner closes a connection with a wrong proof, and serves the right client afterwards."""

    async def scene() -> bytes:
        identity = Identity("podtask-test", KEY, SECRET, 1)
        manifest = render(None, RunOptions()).stamped(identity)
        backend = await LocalProcess.start(manifest, Listener())
        sock = socket.create_connection(("127.0.0.1", backend._port))
        sock.settimeout(10)
        sock.sendall(b"0" * 32 + b"\n")
        challenge = await asyncio.to_thread(sock.recv, 4096)
        assert len(challenge.split()) == 4
        sock.sendall(proof.encode())
        with contextlib.suppress(ConnectionResetError):  # if the runner has not read all
            assert await asyncio.to_thread(sock.recv, 4096) == b""
        sock.close()
        frames: list[protocol.Frame] = []
        work = job("print('served')", [])
        channel = Channel(backend, KEY, SECRET, lambda python: work, Listener(frames.append))
        await asyncio.wait_for(channel.run(), 30)
        await backend.delete()
        return b"".join(frame.data for frame in frames)

    assert asyncio.run(scene()) == b"served\n"


IDLE = """
import os, time
def ticks():
    with open(f"/proc/{os.getppid()}/stat") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))
print("x" * 100_000)
before = ticks()
time.sleep(1)
used = ticks() - before
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("cuts", [0, 1, 2])
def test_runner_is_idle_while_the_cell_sleeps(cuts: int) -> None:
    """While the cell sleeps, the supervisor uses no CPU time, not even after cut connections."""
    budgets = [len(runner_program(True)) + 20_000, 40_000][:cuts]  # in the middle of the output
    result, text, channel = asyncio.run(run(job(IDLE, ["used"]), budgets))
    assert (len(text), channel.reconnects) == (100_001, cuts)
    [used] = unpack(result.parts, result.end["packed"])
    assert used <= 0.1 * os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("size", [300_000, 2_000_000, 40_000_000])
def test_large_value_is_sent_completely(size: int) -> None:
    """A value larger than the buffer of the socket is sent completely without any other event."""
    result, _, channel = asyncio.run(run(job(f"value = bytes({size})", ["value"]), []))
    assert [len(each) for each in unpack(result.parts, result.end["packed"])] == [size]
    assert channel.reconnects == 0


KILLED = """
import os, signal, time
for turn in range(10):
    pid = os.fork()
    if not pid:
        while True:
            print("y" * 400_000)
    time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
print("end of the cell")
value = 1
"""


def test_killed_forked_process_does_not_damage_a_frame() -> None:
    """The cell keeps running, and its output and its value arrive."""
    result, text, _ = asyncio.run(run(job(KILLED, ["value"]), []))
    assert unpack(result.parts, result.end["packed"]) == [1]
    assert text.endswith(b"end of the cell\n")


DESTROYED = """
import os
for fd in range(3, 64):
    try:
        os.write(fd, b"x" * 100)
    except OSError:
        pass
os._exit(3)
"""


def test_garbage_among_the_frames_ends_the_cell_not_the_runner() -> None:
    """Garbage in the runner's pipes gives status "crashed"; the runner survives."""
    result, _, _ = asyncio.run(run(job(DESTROYED, []), []))
    assert result.end["status"] == "crashed"
