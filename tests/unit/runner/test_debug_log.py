"""The debug log of the runner: lines are kept until a client requests them, and have their own frames."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from podtask.runner import protocol
from podtask.runner.debug_log import MAX_LINE_CHARS, MAX_LINES, DebugLog, logger
from podtask.runner.supervisor.clients import Clients
from podtask.runner.supervisor.spool import Spool


def lines(data: bytes, seal: protocol.Seal | None = None) -> list[str]:
    frames = list(protocol.Decoder(seal).feed(data))
    assert {frame.kind for frame in frames} <= {protocol.LOG}
    return [frame.meta["text"] for frame in frames]


def test_lines_are_taken_once_and_in_order() -> None:
    """Each line becomes one frame with its age; taken lines do not come again."""
    debug_log = DebugLog()
    debug_log.debug("the worker has started: process %d", 7)
    debug_log.debug("100% of it")
    data = debug_log.take_frames()
    assert lines(data) == ["the worker has started: process 7", "100% of it"]
    assert all(0 <= frame.meta["age"] < 60 for frame in protocol.Decoder().feed(data))
    assert debug_log.take_frames() == b""


def test_only_the_newest_lines_are_kept() -> None:
    """Without a client the log keeps a limited number of lines of limited length."""
    debug_log = DebugLog()
    for number in range(MAX_LINES + 5):
        debug_log.debug("%d %s", number, "x" * 10_000)
    kept = lines(debug_log.take_frames())
    assert [int(line.split()[0]) for line in kept] == list(range(5, MAX_LINES + 5))
    assert max(map(len, kept)) == MAX_LINE_CHARS


def test_frames_of_the_log_are_not_spooled() -> None:
    """A line that no client asks for takes no room in the spool and has no sequence number."""
    assert protocol.LOG not in protocol.SPOOLED


def test_worker_sends_its_lines_as_frames() -> None:
    """The worker emits a frame for each line, and none for the lines of the supervisor before the fork."""
    sent: list[tuple[int, dict[str, Any]]] = []
    debug_log = DebugLog()
    debug_log.debug("a line of the supervisor")
    debug_log.send_through(lambda kind, meta: sent.append((kind, meta)))
    debug_log.debug("running a command without a terminal: %s", "no pty")
    assert sent == [(protocol.LOG, {"text": "running a command without a terminal: no pty"})]
    assert debug_log.take_frames() == b""


@pytest.fixture
def clients() -> Iterator[Clients]:
    logger.take_frames()
    with selectors.DefaultSelector() as selector, socket.create_server(("127.0.0.1", 0)) as listener:
        yield Clients(selector, listener, lambda *parts: "", "")
    logger.take_frames()


def attach(clients: Clients, wants_log: bool) -> socket.socket:
    """Return the client's end of a new attached connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours = server.accept()[0]
    clients.add(ours, "challenge")
    clients._all[-1].cursor = 1
    clients._all[-1].wants_log = wants_log
    theirs.settimeout(10)
    return theirs


def test_client_receives_the_log_only_on_request(clients: Clients) -> None:
    """A client that has not asked receives nothing; the next one that asks receives the lines so far."""
    logger.debug("before any client")
    with attach(clients, wants_log=False) as silent:
        clients.send_pending(Spool(), [])
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.recv(1)
    clients.finish(b"")
    clients.send_pending(Spool(), [])
    with attach(clients, wants_log=True) as verbose:
        clients.send_pending(Spool(), [])
        assert lines(verbose.recv(4096), protocol.Seal(b"")) == ["before any client", "the client has left"]
    clients.finish(b"")
