"""Who knows a task's key but not its owner's secret may follow and fetch, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import socket
import subprocess
import sys
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from podtask.backends.local import LocalProcess
from podtask.channel.channel import Channel
from podtask.channel.proof import prove
from podtask.errors import TaskError
from podtask.manifest.identity import lock_of
from podtask.pickling.outputs import unpack
from podtask.runner import protocol
from podtask.runner.bundle import boot_program
from podtask.runner.supervisor.clients import MAX_UNATTACHED

from tests.local.listener import Listener
from tests.local.test_channel import KEY, SECRET, job
from tests.local.test_hostile_client import ATTACH, connected
from tests.local.test_takeover import GATED, follow, started

FLOOD = protocol.MAX_CONNECTIONS + 20
Scene = Callable[[LocalProcess, Channel, "asyncio.Future[Any]"], Awaitable[None]]


def run_with_followers(gate: Path, scene: Scene, source: str = GATED, **limits: Any) -> Any:
    """Run a cell until a scene has ended, then let it end; return its value as the owner receives it."""

    async def main() -> Any:
        backend = await started()
        work = job(source.format(str(gate)), ["value"])
        work.meta.update(limits)
        begun = asyncio.Event()
        owner = Channel(backend, KEY, SECRET, lambda _: work, Listener(lambda frame: begun.set()))
        running = asyncio.ensure_future(owner.run())
        try:
            await asyncio.wait_for(begun.wait(), 30)
            await scene(backend, owner, running)
            await asyncio.to_thread(gate.touch)
            result = await asyncio.wait_for(running, 30)
        finally:
            running.cancel()
            await backend.delete()
        [value] = unpack(result.parts, result.end["packed"])
        return value

    return asyncio.run(main())


OWNERS_FRAMES: dict[str, tuple[int, dict[str, Any]]] = {
    "interrupt": (protocol.INTERRUPT, {"exec": "x", "n": 1}),
    "answer": (protocol.INPUT_REPLY, {"to": 3, "value": "hostile"}),
    "release": (protocol.ACK, {"exec": "x", "release": True}),
    "inputs": (protocol.BLOB, {"id": "ab" * 32, "offset": 0}),
    "cell": (protocol.RUN, {"exec": "y", "source": "print('hostile')", "inputs": None, "inputs_size": 0}),
}


@pytest.mark.fault(84)
@pytest.mark.parametrize("name", OWNERS_FRAMES)
def test_client_without_the_secret_may_only_follow(name: str, tmp_path: Path) -> None:
    """What only the owner may do ends the connection of another client, and has no effect."""

    async def scene(backend: LocalProcess, owner: Channel, running: asyncio.Future[Any]) -> None:
        stream, seal = await connected(backend)
        kind, meta = OWNERS_FRAMES[name]
        decoder = protocol.Decoder(stream.runner_seal)
        await stream.send(seal.record(protocol.encode(protocol.ATTACH, ATTACH)))
        frames: list[protocol.Frame] = []
        while not any(frame.data == b"begun\n" for frame in frames):  # it follows
            frames += decoder.feed(await asyncio.wait_for(stream.receive(), 30))
        await stream.send(seal.record(protocol.encode(kind, meta)))
        while chunk := await asyncio.wait_for(stream.receive(), 30):
            frames += decoder.feed(chunk)
        await stream.close()
        assert [frame.meta.get("code") for frame in frames if frame.kind == protocol.ERROR] == ["owner"]
        assert not running.done()

    assert run_with_followers(tmp_path / "gate", scene) == 42


@pytest.mark.fault(84)
def test_followers_see_all_and_leave_the_result_to_the_owner(tmp_path: Path) -> None:
    """Followers receive the output and the values; only the owner's client releases the result."""
    gate = tmp_path / "gate"
    seen: list[protocol.Frame] = []

    async def main() -> tuple[list[Any], int | None]:
        backend = await started()
        work = job(GATED.format(str(gate)), ["value"])
        try:
            running = await follow(backend, SECRET, lambda _: work)
            running.cancel()
            await asyncio.wait([running])
            followers = [Channel(backend, KEY, None, None, Listener(seen.append)) for _ in range(2)]
            following = [asyncio.ensure_future(each.run()) for each in followers]
            for each in followers:
                await each.interrupt()
                await each.reply({"value": "x"})
            gate.touch()
            values = [unpack_result(await asyncio.wait_for(each, 30)) for each in following]
            again = Channel(backend, KEY, SECRET, None, Listener())
            values.append(unpack_result(await asyncio.wait_for(again.run(), 30)))
            ended = await asyncio.wait_for(backend.wait_until_ended(), 30)
        finally:
            await backend.delete()
        return values, ended.code

    assert asyncio.run(main()) == ([42, 42, 42], 0)
    assert [frame.data for frame in seen].count(b"begun\n") == 2


def unpack_result(result: Any) -> Any:
    [value] = unpack(result.parts, result.end["packed"])
    return value


@pytest.mark.fault(84)
def test_fifth_follower_is_turned_away(tmp_path: Path) -> None:
    """At most four clients follow; another one gets an error, and nobody is displaced."""

    async def scene(backend: LocalProcess, owner: Channel, running: asyncio.Future[Any]) -> None:
        following = [await follow(backend, None) for _ in range(4)]
        fifth = Channel(backend, KEY, None, None, Listener())
        with pytest.raises(TaskError, match="Too many notebooks"):
            await asyncio.wait_for(fifth.run(), 30)
        assert not any(each.done() for each in (*following, running))
        for each in following:
            each.cancel()

    assert run_with_followers(tmp_path / "gate", scene) == 42


@pytest.mark.fault(84)
def test_follower_that_reads_no_answers_is_turned_away(tmp_path: Path) -> None:
    """The runner does not keep answers without end: a client that never reads them loses its connection."""
    ping = protocol.encode(protocol.PING, {"t": "x" * (32 << 10)})

    async def scene(backend: LocalProcess, owner: Channel, running: asyncio.Future[Any]) -> None:
        stream, seal = await connected(backend)

        async def send_pings() -> None:
            for _ in range(2000):  # 64 MB
                await asyncio.wait_for(stream.send(seal.record(ping)), 30)

        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await send_pings()
        await stream.close()
        assert not running.done()

    assert run_with_followers(tmp_path / "gate", scene) == 42


@pytest.mark.fault(84)
def test_record_of_a_follower_is_small(tmp_path: Path) -> None:
    """A client without the secret sends no inputs, so the runner buffers little of what it sends."""
    size = protocol.RECORD.pack(1 << 20)

    async def scene(backend: LocalProcess, owner: Channel, running: asyncio.Future[Any]) -> None:
        stream, _ = await connected(backend)
        await stream.send(size)
        decoder = protocol.Decoder(stream.runner_seal)
        [error] = decoder.feed(await asyncio.wait_for(stream.receive(), 30))
        assert error.meta["code"] == "wire"
        assert await asyncio.wait_for(stream.receive(), 30) == b""
        await stream.close()

    assert run_with_followers(tmp_path / "gate", scene) == 42


@pytest.mark.fault(84)
def test_connections_that_do_not_attach_are_few(tmp_path: Path) -> None:
    """Clients that prove the key and then wait cannot use up the descriptors and the memory of the runner."""

    async def scene(backend: LocalProcess, owner: Channel, running: asyncio.Future[Any]) -> None:
        streams = [(await connected(backend))[0] for _ in range(MAX_UNATTACHED + 1)]
        assert await asyncio.wait_for(streams[0].receive(), 30) == b""
        for stream in streams:
            await stream.close()
        assert not running.done()

    assert run_with_followers(tmp_path / "gate", scene) == 42


@pytest.mark.fault(84)
def test_follower_does_not_hold_the_runner() -> None:
    """A finished runner ends after its linger time although somebody follows it."""

    async def main() -> int | None:
        backend = await started()
        work = job("value = bytes(1 << 20)", ["value"])
        work.meta["linger"] = 1
        ended = asyncio.Event()

        def on_frame(frame: protocol.Frame) -> None:
            if frame.kind == protocol.RESULT:
                ended.set()
                raise asyncio.CancelledError  # before the values are complete

        owner = asyncio.ensure_future(Channel(backend, KEY, SECRET, lambda _: work, Listener(on_frame)).run())
        ended_later = asyncio.ensure_future(ended.wait())
        await asyncio.wait_for(ended_later, 30)
        await asyncio.wait([owner])
        stream, seal = await connected(backend)
        await stream.send(seal.record(protocol.encode(protocol.ATTACH, ATTACH)))
        try:
            found = await asyncio.wait_for(backend.wait_until_ended(), 30)
            return found.code
        finally:
            await stream.close()
            await backend.delete()

    assert asyncio.run(main()) == protocol.EXIT_NO_CLIENT


@pytest.mark.fault(84)
@pytest.mark.parametrize("sent", [b"", b"half a line", b"aa\n"], ids=["nothing", "half", "nonce"])
def test_connections_that_wait_do_not_delay_the_owner(sent: bytes) -> None:
    """A runner that waits for its cell serves its owner, however many connections say nothing more."""

    async def main() -> Any:
        backend = await started()
        waiting = [await asyncio.open_connection("127.0.0.1", backend._port) for _ in range(FLOOD)]
        for _, writer in waiting:
            writer.write(sent)
        owner = Channel(backend, KEY, SECRET, lambda _: job("value = 42", ["value"]), Listener())
        try:
            return unpack_result(await asyncio.wait_for(owner.run(), protocol.CONNECTION_SECONDS))
        finally:
            for _, writer in waiting:
                writer.close()
            await backend.delete()

    assert asyncio.run(main()) == 42


@pytest.mark.fault(84)
def test_flood_of_connections_does_not_end_the_owners() -> None:
    """The runner closes other connections before that of the owner, who sends a program slowly."""
    program = zlib.compress(b"print('ours')")
    with (
        boot_process() as (process, port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as owner,
    ):
        owner.sendall(greeting_line(owner, program, SECRET) + program[:5])
        others = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(FLOOD)]
        assert others[0].recv(1) == b""
        owner.sendall(program[5:])
        assert process.communicate(timeout=20)[0] == "ours\n"
        for other in others:
            other.close()


@pytest.mark.fault(84)
@pytest.mark.parametrize("secret", [protocol.NOT_OWNER, "ef" * 32, lock_of(SECRET)])
def test_program_of_a_client_without_the_secret_is_not_executed(secret: str) -> None:
    """The key alone chooses no program: the runner waits for its owner."""
    programs = [zlib.compress(f"print({text!r})".encode()) for text in ("hostile", "ours")]
    with boot_process() as (process, port):
        for program, shown in zip(programs, (secret, SECRET), strict=True):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                client.sendall(greeting_line(client, program, shown) + program)
        assert process.communicate(timeout=20)[0] == "ours\n"


@contextlib.contextmanager
def boot_process() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield the first program of a container, which waits for its owner, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        env = {**os.environ, "PODTASK_KEY": KEY, "PODTASK_LOCK": lock_of(SECRET)}
        env |= {"PODTASK_PORT": f"fd:{fd}", "PODTASK_WAIT": "60"}
        command = [sys.executable, "-I", "-c", boot_program()]
        process = subprocess.Popen(command, env=env, pass_fds=[fd], stdout=subprocess.PIPE, text=True)
        port = listener.getsockname()[1]
    with process:
        try:
            yield process, port
        finally:
            process.kill()


def greeting_line(client: socket.socket, program: bytes, secret: str) -> bytes:
    """Return the line of a client that knows the key and shows a secret, before its program."""
    client.sendall(b"aa\n")
    hello, _, proof = client.recv(4096).decode().strip().rpartition(" ")
    key = bytes.fromhex(KEY)
    assert hmac.compare_digest(proof, prove(key, "runner", "aa", hello))
    words = str(len(program)), hashlib.sha256(program).hexdigest(), secret
    return " ".join((prove(key, "client", "aa", hello, *words), *words)).encode() + b"\n"
