"""A flood of output does not keep the supervisor from its other work, and twice the output is twice the work."""

from __future__ import annotations

import fcntl
import os
import select
import selectors
import signal
import socket
import threading
from collections.abc import Iterable
from itertools import islice
from typing import Any

import pytest
from podtask.runner import protocol
from podtask.runner.streams import CHUNK_BYTES
from podtask.runner.supervisor.batch_log import FrameLog
from podtask.runner.supervisor.clients import MAX_PIECES_PER_TURN, Clients
from podtask.runner.supervisor.connection import MAX_QUEUED_BYTES
from podtask.runner.supervisor.container_log import MAX_BACKLOG_BYTES, LogCopy
from podtask.runner.supervisor.spool import Spool
from podtask.runner.supervisor.worker_process import WorkerProcess

from tests.unit.counted_bytes import CountedBytes, copied_by

pytestmark = pytest.mark.fault(101)
FRAME = protocol.encode(protocol.STREAM, {"name": "stdout"}, bytes(1000))


def test_worker_that_never_stops_writing_is_left_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ends after a limited number of bytes, although the pipe of the worker is never empty."""

    def write_one_line(worker: WorkerProcess) -> int:
        fcntl.lockf(worker.lock, fcntl.LOCK_EX)
        os.write(1, b"locked")
        return len(os.read(worker.replies_end, 1))

    worker = WorkerProcess(write_one_line, [])
    try:
        select.select([worker.taps["stdout"]], [], [])
        flood = (FRAME * (CHUNK_BYTES // len(FRAME) + 1))[:CHUNK_BYTES]
        monkeypatch.setattr(os, "read", lambda fd, size: flood)
        monkeypatch.setattr(worker._decoder, "feed", lambda chunk: iter([chunk]))
        assert len(list(islice(worker.frames(), 1000))) < 1000
    finally:
        monkeypatch.undo()
        worker.kill(signal.SIGKILL)
        os.waitpid(worker.pid, 0)
        worker.close()
        for file in worker.results:
            file.close()


class FastSocket:
    """A socket whose other side reads at once whatever is sent."""

    def __init__(self) -> None:
        self.sent = 0

    def setblocking(self, flag: bool) -> None:
        """Do nothing."""

    def setsockopt(self, *args: int) -> None:
        """Do nothing."""

    def sendmsg(self, parts: Iterable[memoryview]) -> int:
        """Accept all data."""
        count = sum(map(len, parts))
        self.sent += count
        return count


def test_fast_client_is_left_for_a_moment() -> None:
    """A client that reads as fast as the runner sends gets a limited number of pieces in one turn."""
    piece = protocol.encode(protocol.STREAM, {}, bytes(protocol.MAX_DATA))
    count = 4 * MAX_PIECES_PER_TURN
    spool = Spool()
    for _ in range(count):
        spool.append(piece)
    with selectors.DefaultSelector() as selector, socket.socket() as listener:
        clients = Clients(selector, listener, lambda *words: "00" * 32, "")
        sock: Any = FastSocket()
        clients.add(sock, "challenge")
        [client] = clients._all
        client.cursor = 1
        turns = 0
        while client.cursor <= spool.last or client.pending:
            before = sock.sent
            clients.send_pending(spool, [])
            turns += 1
            assert sock.sent - before <= MAX_PIECES_PER_TURN * len(piece) + MAX_QUEUED_BYTES
            assert client.pending or client.cursor > spool.last, "the selector has to call again"
    spool.close()
    assert turns > 3


def test_backlog_of_the_log_is_not_copied_for_each_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output that the container's log does not accept at once is not copied for each piece that it accepts."""
    monkeypatch.setattr(os, "set_blocking", lambda fd, flag: None)
    for size in (1 << 20, 2 << 20):
        accepts = iter([0])

        def write(fd: int, data: Any, accepts: Any = accepts) -> int:
            for _ in accepts:
                raise BlockingIOError
            return min(4096, len(data))

        monkeypatch.setattr(os, "write", write)
        log = LogCopy(1)
        log.write_output(CountedBytes(bytes(size)))
        assert log.pending
        assert copied_by(log.flush) <= 2 * size
        assert not log.pending


@pytest.mark.fault(94)
def test_flood_of_a_batch_task_waits_for_its_log() -> None:
    """The runner keeps a limited part of what the container's log has not accepted yet."""
    end, begin = os.pipe()
    log = FrameLog(begin, lambda *words: "0" * 64)
    frame = protocol.encode(protocol.STREAM, {"name": "stdout"}, bytes(protocol.MAX_DATA))
    for seq in range(1, 33):
        log.write_frame(protocol.STREAM, seq, frame, bytes(protocol.MAX_DATA))
    excess = len(log._backlog) - MAX_BACKLOG_BYTES
    assert excess > 0
    pipe_bytes = fcntl.fcntl(begin, fcntl.F_GETPIPE_SZ)

    def read() -> None:
        """Read no more than what makes room, and what the pipe holds."""
        left = excess + pipe_bytes
        while left:
            left -= len(os.read(end, left))

    reader = threading.Thread(target=read)
    reader.start()
    log.wait_for_room()
    assert 0 < len(log._backlog) <= MAX_BACKLOG_BYTES
    reader.join()
    os.close(begin)
    os.close(end)
