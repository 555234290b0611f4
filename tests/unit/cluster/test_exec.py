"""The relay program of exec, tested as a local process."""

from __future__ import annotations

import socket
import subprocess
import sys

from podtask.cluster.exec import RELAY_PROGRAM


def test_relay_carries_bytes_both_ways_and_ends_with_its_input() -> None:
    """The relay transfers data to the port and back, and ends with its input."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", RELAY_PROGRAM, str(listener.getsockname()[1])]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as relay:
            assert relay.stdin is not None
            assert relay.stdout is not None
            with listener.accept()[0] as runner:
                relay.stdin.write(bytes(range(256)))
                relay.stdin.flush()
                assert runner.recv(256, socket.MSG_WAITALL) == bytes(range(256))
                runner.sendall(b"\0\xff\n")
                assert relay.stdout.read(3) == b"\0\xff\n"
                relay.stdin.close()
                assert runner.recv(1) == b""
                assert relay.wait(30) == 0


def test_relay_ends_with_the_runner() -> None:
    """When the runner closes the connection, the relay writes all remaining data and ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", RELAY_PROGRAM, str(listener.getsockname()[1])]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as relay:
            assert relay.stdout is not None
            with listener.accept()[0] as runner:
                runner.sendall(b"x" * 1_000_000)
            assert relay.stdout.read() == b"x" * 1_000_000
            assert relay.wait(30) == 0
