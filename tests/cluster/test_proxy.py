"""The proxy that simulates a bad network, in front of an echo server."""

from __future__ import annotations

import gc
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.cluster.errors import wait_until
from tests.cluster.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """Yield the port of an echo server."""

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except ConnectionResetError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=answer, args=(connection,))
            threads.append(thread)
            thread.start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads.append(threading.Thread(target=accept))
        threads[0].start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(10)


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    """Yield a proxy in front of the echo server."""
    proxy = Proxy("127.0.0.1", echo)
    yield proxy
    proxy.close()


def _connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := connection.recv(65536)):
        data += more
    return data


def _ask(connection: socket.socket, text: bytes = b"hello") -> bytes:
    connection.sendall(text)
    return _receive(connection, len(text))


def test_passes_everything_both_ways(proxy: Proxy) -> None:
    """Bytes arrive complete and in order, followed by the end of their direction."""
    sent = bytes(range(256)) * 40_000
    with _connect(proxy) as connection:
        writer = threading.Thread(target=lambda: connection.sendall(sent))
        writer.start()
        received = _receive(connection, len(sent))
        writer.join()
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert received == sent
    wait_until(lambda: proxy.connections == 0, "the end of the connection", seconds=5)


def test_cut_resets_every_connection(proxy: Proxy) -> None:
    """A cut resets connections and is counted; new connections work."""
    with _connect(proxy) as one, _connect(proxy) as two:
        assert (_ask(one), _ask(two)) == (b"hello", b"hello")
        assert proxy.connections == 2
        assert proxy.cut() == 2
        for connection in (one, two):
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
    assert proxy.connections == 0
    with _connect(proxy) as another:
        assert _ask(another) == b"hello"


def test_delay_is_a_round_trip(proxy: Proxy) -> None:
    """The delay is added once for the connection and once for each request and response."""
    proxy.delay_ms = 400
    with _connect(proxy) as connection:
        begun = time.monotonic()
        _ask(connection)
        assert 0.8 <= time.monotonic() - begun < 1.2
        begun = time.monotonic()
        _ask(connection)
        assert 0.4 <= time.monotonic() - begun < 0.8


def test_hold_is_a_black_hole(proxy: Proxy) -> None:
    """During a hold, no data arrives on old and new connections; all of it arrives after the release."""
    with _connect(proxy) as old:
        assert _ask(old) == b"hello"
        proxy.hold()
        with _connect(proxy) as new:
            old.sendall(b"old")
            new.sendall(b"new")
            assert select.select([old, new], [], [], 0.3)[0] == []
            proxy.release()
            assert (_receive(old, 3), _receive(new, 3)) == (b"old", b"new")


def test_held_connections_can_be_cut(proxy: Proxy) -> None:
    """A cut also resets a connection that was never forwarded."""
    proxy.hold()
    with _connect(proxy) as connection:
        wait_until(lambda: proxy.connections == 1, "the connection", seconds=5)
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_an_absent_server_is_a_reset() -> None:
    """If no server listens, the connection of the client is reset."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        proxy = Proxy("127.0.0.1", nobody.getsockname()[1])
        try:
            # Raised by connect or by the first read.
            with pytest.raises(ConnectionResetError), _connect(proxy) as connection:
                connection.recv(1)
        finally:
            proxy.close()


def test_closing_while_it_accepts_forgets_no_socket(echo: int) -> None:
    """Closing the proxy at any moment of a new connection leaks no socket."""
    for _ in range(30):
        proxy = Proxy("127.0.0.1", echo)
        connections = [_connect(proxy) for _ in range(5)]
        proxy.close()
        for connection in connections:
            connection.close()
    gc.collect()  # an unclosed socket causes a warning here, and warnings are errors


def test_command_line(echo: int) -> None:
    """The command prints its port, obeys commands on stdin, and ends when it is interrupted."""
    command = [sys.executable, "-m", "tests.cluster.proxy", f"127.0.0.1:{echo}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            assert _ask(connection) == b"hello"
            process.stdin.write("cut\n")
            process.stdin.flush()
            assert process.stdout.readline() == "cut 1\n"
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        process.terminate()
        assert process.wait(10) == 0
