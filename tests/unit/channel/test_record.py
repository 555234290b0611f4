"""The record in a pod's log is read completely or not at all."""

from __future__ import annotations

import hashlib
import hmac
import os
import pickle
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from podtask.channel.record_reader import Record, read_record
from podtask.errors import TaskError
from podtask.runner import protocol
from podtask.runner.supervisor import record_writer
from podtask.runner.supervisor.container_log import LogCopy
from podtask.runner.supervisor.spool import Spool

KEY = b"k" * 32
VALUE = pickle.dumps({"found": 42})
META = {"status": "ok", "size": len(VALUE), "sizes": [len(VALUE)], "packed": [], "text": 6}


def prover(key: bytes) -> Callable[..., str]:
    def prove(who: str, *parts: str) -> str:
        return hmac.new(key, " ".join((who, *parts)).encode(), "sha256").hexdigest()

    return prove


def written(key: bytes = KEY) -> bytes:
    """Return a container's log: the output of a cell, and the record of a runner that knows the key."""
    spool = Spool()
    try:
        spool.append(protocol.encode(protocol.STREAM, {"name": "stdout"}, b"hello\n", 1))
        spool.append(protocol.encode(protocol.RESULT, META, VALUE, 2))
        log = SimpleNamespace(size=6, copied=6, sha256=hashlib.sha256(b"hello\n").hexdigest())
        lines = record_writer.record_lines(spool, SimpleNamespace(size=0), log, prover(key), values=True)
        return b"hello\n" + "\n".join(lines).encode() + b"\n"
    finally:
        spool.close()


def taken(log: bytes) -> Record:
    found = read_record(log, KEY)
    assert found is not None
    return found


def test_record_has_output_and_values() -> None:
    """Output and result are read once each."""
    found = taken(written())
    assert b"".join(frame.data for frame in found.frames) == b"hello\n"
    assert bytes(found.result.parts[0]) == VALUE
    assert read_record(b"hello\n", KEY) is None


def line(number: str, body: bytes) -> bytes:
    return f"{protocol.RECORD_LINE_PREFIX} {number} {zlib.crc32(body):08x} ".encode() + body


def swapped(log: bytes) -> bytes:
    """Return a log with the header of one record and the data of another, with valid checksums."""
    head, data = log.splitlines()[1:]
    body = bytearray(data.split()[-1])
    body[10:12] = b"AA" if body[10:12] != b"AA" else b"BB"
    return head + b"\n" + line("1/2", bytes(body)) + b"\n"


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (written(b"x" * 32), "was not written with the task's key"),
        (swapped(written()), "was changed after it was written"),
        (written()[:-20] + b"\n", "missing or changed"),
        (b"\n".join(written().splitlines()[:-1]) + b"\n", "missing or changed"),
        (line("0/1", b'{"proof": 1}'), "cannot be read"),
        (line("0/1", b"[]"), "cannot be read"),
        (line("0/2", b"[]") + b"\n" + line(f"{'9' * 5000}/2", b"x"), "missing or changed"),
        (line("0/2", b"[]") + b"\n" + line(f"1/{'9' * 5000}", b"x"), "missing or changed"),
    ],
    ids=["another key", "other data", "torn", "cut", "no header", "no mapping", "long number", "long count"],
)
@pytest.mark.fault(70)
def test_forged_or_torn_record_is_refused(log: bytes, says: str) -> None:
    """The error says why the record is refused; a forged pickle is never loaded."""
    with pytest.raises(TaskError, match=says):
        read_record(log, KEY)


@pytest.mark.fault(94, 101)
def test_record_that_unpacks_to_much_more_can_be_read() -> None:
    """Output and values that compress well are limited by their size: the record is read, and says what it lacks."""
    spool = Spool()
    piece = protocol.encode(protocol.STREAM, {"name": "stdout"}, bytes(protocol.MAX_DATA))
    size = protocol.MAX_LOGGED_BYTES + 1
    meta = {**META, "size": size, "sizes": [size], "text": 300 * protocol.MAX_DATA}
    meta["packed"] = [{"role": "value", "name": "zeros", "type": "bytes", "size": size}]
    try:
        for _ in range(300):
            spool.append(piece)
        spool.append(protocol.encode(protocol.RESULT, meta, b"", 301))
        log = SimpleNamespace(size=0, copied=0, sha256="")
        results = SimpleNamespace(size=size, read=lambda offset, count: bytes(min(count, size - offset)))
        lines = list(record_writer.record_lines(spool, results, log, prover(KEY), values=True))
    finally:
        spool.close()
    found = taken("\n".join(lines).encode() + b"\n")
    assert found.result.end["kept"][0]["name"] == "zeros"
    assert 16 << 20 < len(streamed(found.frames)) <= 64 << 20
    assert found.frames[0].kind == protocol.GAP


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return 10 MiB of incompressible output, and the log that holds its first and last part."""
    draw = random.Random(1)
    pieces = [draw.randbytes(256 << 10).hex().encode() for _ in range(20)]
    path: Path = tmp_path_factory.mktemp("log") / "log"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    spool = Spool()
    try:
        log = LogCopy(fd)
        for number, piece in enumerate(pieces, 1):
            spool.append(protocol.encode(protocol.STREAM, {"name": "stdout"}, piece, number))
            log.write_output(piece)
        meta = {**META, "text": sum(map(len, pieces))}
        spool.append(protocol.encode(protocol.RESULT, meta, VALUE, len(pieces) + 1))
        log.finish(record_writer.record_lines(spool, SimpleNamespace(size=0), log, prover(KEY), values=True))
    finally:
        os.close(fd)
        spool.close()
    return b"".join(pieces), path.read_bytes()


def streamed(frames: list[protocol.Frame]) -> bytes:
    return b"".join(frame.data for frame in frames if frame.kind == protocol.STREAM)


@pytest.mark.fault(32)
def test_beginning_of_a_long_output_is_the_logs(long_log: tuple[bytes, bytes]) -> None:
    """The output begins with the log's text, then a gap with the number of lost bytes, then the newest frames."""
    text, log = long_log
    frames = taken(log).frames
    (gap,) = [frame for frame in frames if frame.kind == protocol.GAP]
    place = frames.index(gap)
    head, tail = streamed(frames[:place]), streamed(frames[place:])
    assert len(head) > 2 << 20
    assert text.startswith(head)
    assert text.endswith(tail)
    assert gap.meta["bytes"] == len(text) - len(head) - len(tail) > 0


@pytest.mark.fault(32)
@pytest.mark.parametrize("cut", [True, False], ids=["rotated", "banner"])
def test_other_bytes_at_the_start_of_a_log_are_not_shown(long_log: tuple[bytes, bytes], cut: bool) -> None:
    """If the log was rotated, or an entrypoint wrote to it first, its text is replaced by a gap."""
    text, log = long_log
    frames = taken(log[1_000_000:] if cut else b"welcome to this image\n" + log).frames
    assert frames[0].kind == protocol.GAP
    tail = streamed(frames)
    assert text.endswith(tail)
    assert frames[0].meta["bytes"] == len(text) - len(tail)
