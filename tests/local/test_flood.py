"""A notebook that follows a flood of output: bounded memory, back pressure, questions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from podtask.backends.base import ByteStream
from podtask.backends.local import LocalProcess
from podtask.channel import channel as channel_module
from podtask.channel.channel import Channel, _Link
from podtask.config.options import RunOptions
from podtask.lifecycle.updates import MAX_AHEAD_BYTES, Update, UpdateLog
from podtask.manifest.identity import Identity
from podtask.manifest.render import render
from podtask.runner import protocol

from tests.local.listener import Listener
from tests.local.test_channel import KEY, SECRET, Cut, T, Unreliable, job
from tests.notebook import Kernel

pytestmark = pytest.mark.fault(94)
MIB = 1 << 20
FLOOD_MIB = 64
MAX_GROWTH_MIB = 24  # of 64 MiB; 2 GB leave no more
FLOOD = (
    f"for n in range({FLOOD_MIB}): print((f'{{n:0100d}}' + 'x' * 923 + '\\n') * 1024, end='')\nprint('last')"
)


@pytest.fixture(scope="module")
def local_kernel() -> Iterator[Kernel]:
    """Yield a kernel whose cells run on this machine, and that has run one."""
    kernel = Kernel({**os.environ, "PODTASK_BACKEND": "local", "KUBECONFIG": "/nonexistent"})
    try:
        kernel.run("%load_ext podtask")
        kernel.run("%%podtask\nprint('first')")
        yield kernel
    finally:
        kernel.close()


def memory(kernel: Kernel) -> int:
    """Return the resident memory of a kernel in MiB."""
    [line] = [each for each in Path(f"/proc/{kernel.pid}/status").read_text().splitlines() if "VmRSS" in each]
    return int(line.split()[1]) >> 10


@pytest.mark.parametrize("flags", ["", " -d"])
def test_kernel_stays_small(local_kernel: Kernel, flags: str) -> None:
    """Output of 64 MiB leaves a small part of its size in the kernel; the logs have all of it."""
    before = memory(local_kernel)
    ran = local_kernel.run(f"%%podtask{flags}\n{FLOOD}")
    assert ran.error is None
    local_kernel.run("_task.wait(60)")
    assert memory(local_kernel) - before < MAX_GROWTH_MIB
    whole = f"len(_task.logs()) == {FLOOD_MIB} * {MIB} + 5 and _task.logs().endswith('last\\n')"
    assert local_kernel.run(f"print({whole})").stdout == "True\n"


WRITE_ON = """
import os, threading
def write():
    open({!r}).close()
    print('x' * (32 << 20))
    os._exit(3)
threading.Thread(target=write).start()
input('Name? ')
"""


def test_question_is_withdrawn_although_the_cell_has_written_on(local_kernel: Kernel, tmp_path: Path) -> None:
    """While the user thinks about an answer, the end of the cell arrives after a flood of output."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    local_kernel.start("%%podtask" + WRITE_ON.format(str(gate)))
    asked = local_kernel._client.get_stdin_msg(timeout=60)
    assert asked["content"]["prompt"] == "Name? "
    gate.write_text("")
    ran = local_kernel.finish()
    assert ran.error is not None
    assert "exited with code 3" in ran.error[1]


class Slow(Listener):
    """A listener whose log is read by a view only when it has no more room."""

    def __init__(self) -> None:
        super().__init__(lambda frame: self.log.append(Update("frame", frame=frame)))
        self.log = UpdateLog()
        self.view = self.log.reader()
        self.view.holds_runner = True
        self.pauses = self.most_unread = 0

    async def wait_for_room(self) -> None:
        """Wait, and let the view read after a moment."""
        self.most_unread = max(self.most_unread, self.view.unread_bytes)
        if self.view.unread_bytes > MAX_AHEAD_BYTES:
            self.pauses += 1
            asyncio.get_running_loop().call_soon(self._read_all)
        await self.log.wait_for_room()

    def _read_all(self) -> None:
        while not self.view.empty():
            self.view.get_nowait()


class Checked(Cut):
    """A stream that may only be read while there is room."""

    def __init__(self, stream: ByteStream, log: UpdateLog) -> None:
        super().__init__(stream, 1 << 40)
        self._log = log

    async def receive(self) -> bytes:
        assert self._log._has_room()
        return await super().receive()


def test_runner_is_not_read_faster_than_its_output_is_shown() -> None:
    """The socket is read only while at most some MiB were received and not shown; nothing is lost."""

    async def scene() -> Slow:
        manifest = render(None, RunOptions()).stamped(Identity("podtask-test", KEY, SECRET, 1))
        listener = Slow()
        placement = await LocalProcess.start(manifest, listener)

        class Watched(Unreliable):
            async def connect(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
                return await placement.connect(lambda stream: greet(Checked(stream, listener.log)))

        work = job("for n in range(64): print(f'{n:01048575d}')", [])
        try:
            await asyncio.wait_for(
                Channel(Watched(placement, []), KEY, SECRET, lambda _: work, listener).run(), 60
            )
        finally:
            await placement.delete()
        return listener

    listener = asyncio.run(scene())
    assert listener.pauses > 3
    assert listener.most_unread < MAX_AHEAD_BYTES + 4 * MIB
    assert listener.log.output() == b"".join(b"%01048575d\n" % n for n in range(64))


class Pinged:
    """A stream that counts the frames that are sent, and ends its sender at the third one."""

    def __init__(self) -> None:
        self.pings = 0
        self.closed = False

    async def send(self, data: bytes) -> None:
        self.pings += 1
        if self.pings == 3:
            raise asyncio.CancelledError

    async def receive(self) -> bytes:
        return b""

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("is_paused", [True, False])
def test_pause_is_not_taken_for_a_dead_connection(is_paused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the view has not caught up, silence is not the runner's: pings go on, and keep the connection."""
    monkeypatch.setattr(channel_module, "PING_INTERVAL_SECONDS", 0)

    async def scene() -> Pinged:
        stream = Pinged()
        backend: Any = SimpleNamespace(name="podtask-test")
        channel = Channel(backend, KEY, SECRET, None, Listener())
        link = _Link(cast(ByteStream, stream), protocol.Seal(b""), protocol.Decoder(), "", False, b"")
        link.last_received, link.is_paused = float("-inf"), is_paused
        await asyncio.wait([asyncio.ensure_future(channel._send_pings(link))])
        return stream

    stream = asyncio.run(scene())
    assert (stream.pings, stream.closed) == ((3, False) if is_paused else (0, True))
