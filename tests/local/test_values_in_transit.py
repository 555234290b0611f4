"""Values are sent while they are pickled, and unpickled while they arrive."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask.backends.local import LocalProcess
from podtask.channel.channel import Channel
from podtask.channel.job import RunnerResult
from podtask.config.options import RunOptions
from podtask.manifest.identity import Identity
from podtask.manifest.render import render
from podtask.pickling.outputs import unpack
from podtask.runner import protocol

from tests.local.listener import Listener
from tests.local.test_channel import KEY, SECRET, Unreliable, job

# The rest of the value is pickled only once the notebook has unpickled the first part of it.
WAITS_FOR_THE_NOTEBOOK = """
import os
class Opens:
    def __reduce__(self):
        return os.open, ({path!r}, os.O_WRONLY)
class Waits:
    def __reduce__(self):
        open({path!r}).close()  # until the other end of the pipe is opened
        return str, ("pickled later",)
value = [Opens(), bytes({size}), Waits()]
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("names", [["value"], ["first", "value"]])
def test_value_is_unpickled_while_it_is_pickled(tmp_path: Path, names: list[str]) -> None:
    """The notebook has unpickled the beginning of a value before the pod has pickled its end."""
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    source = "first = 'small'\n" + WAITS_FOR_THE_NOTEBOOK.format(path=path, size=8 << 20)
    task = podtask.submit(source, options=RunOptions.of(local=True, outputs=names))
    opened, data, later = task.outcome().values["value"]
    os.close(opened)
    assert data == bytes(8 << 20)
    assert later == "pickled later"


class Opens:
    """A value that opens a file for writing when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.open, (self.path, os.O_WRONLY)


class Meets(LocalProcess):
    """A runner to which only a part of the inputs is sent until it has unpickled the first of them."""

    path = ""
    sent = 0

    async def connect(self, handshake: Any) -> Any:
        """Connect with a stream that waits."""

        async def handshake_with_meeting(stream: Any) -> Any:
            send = stream.send

            async def send_half(data: bytes) -> None:
                self.sent += len(data)
                if self.path and self.sent > 4 << 20:
                    path, self.path = self.path, ""
                    (await asyncio.to_thread(open, path)).close()  # until the pod has opened its end
                await send(data)

            stream.send = send_half
            return await handshake(stream)

        return await super().connect(handshake_with_meeting)


@pytest.mark.timeout(60)
def test_input_is_unpickled_while_it_arrives(tmp_path: Path) -> None:
    """The pod has unpickled the beginning of its inputs before the notebook has sent their end."""
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    work = job("value = len(data[1])", ["value"], {"data": [Opens(path), bytes(8 << 20)]})

    async def scene() -> RunnerResult:
        identity = Identity("podtask-test", KEY, SECRET, 1)
        backend = await Meets.start(render(None, RunOptions()).stamped(identity), Listener())
        assert isinstance(backend, Meets)
        backend.path = path
        try:
            channel = Channel(backend, KEY, SECRET, lambda python: work, Listener())
            return await asyncio.wait_for(channel.run(), 40)
        finally:
            await backend.delete()

    result = asyncio.run(scene())
    assert unpack(result.parts, result.end["packed"]) == [8 << 20]


FAILS_HALF_WAY = """
class Point:
    table = bytes(3 << 20)
    def __init__(self, x):
        self.x = x
    def __eq__(self, other):
        return self.x == other.x
good = Point(1)
bad = [Point(2), bytes(5 << 20), (n for n in ())]
"""


@pytest.mark.parametrize("budgets", [[], [1_500_000, 2_500_000, 4_000_000]], ids=["one connection", "cuts"])
def test_value_that_fails_half_way_leaves_the_others(budgets: list[int]) -> None:
    """A value that cannot be pickled after megabytes were sent has its reason, and nothing of it arrives.

    The other values, and the classes that arrived with the half, are whole.
    """
    work = job(FAILS_HALF_WAY, ["good", "bad"])
    result = asyncio.run(follow(work, budgets, unpickles=True))
    assert [(each["name"], each["why"]) for each in result.end["kept"]] == [
        ("bad", "TypeError: cannot pickle 'generator' object")
    ]
    assert result.end["attempt"] == 2
    [point] = unpack(result.parts, result.end["packed"], result.early)
    assert (point.x, point == type(point)(1), len(point.table)) == (1, True, 3 << 20)


KILLED_HALF_WAY = """
import os, signal
class Kills:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)
value = [bytes(4 << 20), Kills()]
"""


def test_process_that_dies_while_it_pickles_returns_nothing() -> None:
    """A cell whose process is killed after megabytes of its value were sent has crashed, and returns no value."""
    result = asyncio.run(follow(job(KILLED_HALF_WAY, ["value"]), [], unpickles=True))
    assert (result.end["status"], result.end["signal"]) == ("crashed", "SIGKILL")
    assert (result.end["size"], result.parts) == (0, [])


BUFFERS = """
import pickle
class Array:
    def __init__(self, data):
        self.data = data
    def __reduce_ex__(self, protocol):
        return bytearray, (pickle.PickleBuffer(self.data),)
first, second = bytearray(b"a" * 3_000_000), bytearray(b"b" * 70_000)
value = [Array(first), Array(second), b"c" * 2_000_000, Array(first)]
"""


def test_buffers_arrive_behind_the_pickle_after_any_cut() -> None:
    """Large buffers are sent after the pickle; each is whole, although connections break in the middle."""
    work = job(BUFFERS, ["value"])
    result = asyncio.run(follow(work, [2_300_000, 1_700_000, 900_000], unpickles=True))
    assert [len(part) for part in result.parts[1:]] == [3_000_000, 70_000, 3_000_000]
    [value] = unpack(result.parts, result.end["packed"], result.early)
    assert [each[:1] for each in value] == [b"a", b"b", b"c", b"a"]
    assert list(map(len, value)) == [3_000_000, 70_000, 2_000_000, 3_000_000]


async def follow(work: Any, budgets: list[int], unpickles: bool) -> RunnerResult:
    """Return the result of a job whose first connections break after the given numbers of bytes."""
    identity = Identity("podtask-test", KEY, SECRET, 1)
    backend = await LocalProcess.start(render(None, RunOptions()).stamped(identity), Listener())
    frames: list[protocol.Frame] = []
    wrapped: Any = Unreliable(backend, budgets)
    channel = Channel(wrapped, KEY, SECRET, lambda python: work, Listener(frames.append), unpickles)
    try:
        result = await asyncio.wait_for(channel.run(), 60)
    finally:
        await backend.delete()
    assert not budgets
    return result
