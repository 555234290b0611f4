"""The record in a pod's log: whole, or nothing of it is believed."""

from __future__ import annotations

import hmac
import pickle
import zlib
from types import SimpleNamespace

import pytest
from podtask.errors import TaskError
from podtask.record import Record, read
from podtask.runner import record, wire
from podtask.runner.spool import Spool

KEY = b"k" * 32
VALUE = pickle.dumps({"found": 42})
META = {"status": "ok", "size": len(VALUE), "sizes": [len(VALUE)], "packed": [], "text": 6}


def written(key: bytes = KEY) -> bytes:
    """A container's log: what a cell printed, and the record of a runner that knows a key."""

    def prove(who: str, *parts: str) -> str:
        return hmac.new(key, " ".join((who, *parts)).encode(), "sha256").hexdigest()

    spool = Spool()
    try:
        spool.append(wire.encode(wire.STREAM, {"name": "stdout"}, b"hello\n", 1))
        spool.append(wire.encode(wire.END, META, VALUE, 2))
        log = SimpleNamespace(size=6, copied=6)
        lines = record.lines(spool, SimpleNamespace(size=0), log, prove, values=True)
        return b"hello\n" + "\n".join(lines).encode() + b"\n"
    finally:
        spool.close()


def taken(log: bytes) -> Record:
    found = read(log, KEY)
    assert found is not None
    return found


def test_record_has_output_and_values() -> None:
    """What was printed and what came of it, once."""
    found = taken(written())
    assert b"".join(frame.data for frame in found.frames) == b"hello\n"
    assert bytes(found.verdict.parts[0]) == VALUE
    assert read(b"hello\n", KEY) is None


def line(number: str, body: bytes) -> bytes:
    return f"{record.MARK} {number} {zlib.crc32(body):08x} ".encode() + body


def swapped(log: bytes) -> bytes:
    """The header of one record over the data of another, with right checksums."""
    head, data = log.splitlines()[1:]
    body = bytearray(data.split()[-1])
    body[10:12] = b"AA" if body[10:12] != b"AA" else b"BB"
    return head + b"\n" + line("1/2", bytes(body)) + b"\n"


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (written(b"x" * 32), "does not know the task's key"),
        (swapped(written()), "is not what was written"),
        (written()[:-20] + b"\n", "missing or changed"),
        (b"\n".join(written().splitlines()[:-1]) + b"\n", "missing or changed"),
        (line("0/1", b'{"proof": 1}'), "cannot be read"),
        (line("0/1", b"[]"), "cannot be read"),
    ],
    ids=["another key", "other data", "torn", "cut", "no header", "no mapping"],
)
@pytest.mark.fault(70)
def test_forged_or_torn_record_is_refused(log: bytes, says: str) -> None:
    """An error that says why; a forger's pickle is not looked at."""
    with pytest.raises(TaskError, match=says):
        read(log, KEY)
