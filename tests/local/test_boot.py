"""The first program of a container: the port that it takes, and takes for itself alone."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from podtask.runner.bundle import boot_program
from podtask.runner.protocol import EXIT_NO_CLIENT, EXIT_PORT_TAKEN

V4, V6 = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")
FAMILIES = [
    V4,
    pytest.param(V6, marks=pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")),
]


def boot(port: int, wait: float = 0.01) -> tuple[int, str]:
    """Return the exit code and what it printed."""
    env = {**os.environ, "PODTASK_KEY": "ab" * 32, "PODTASK_PORT": str(port), "PODTASK_WAIT": str(wait)}
    ran = subprocess.run([sys.executable, "-c", boot_program()], env=env, capture_output=True, text=True)
    assert ran.stderr == ""
    return ran.returncode, ran.stdout


@contextlib.contextmanager
def accepted(family: tuple[int, str], wildcard: bool = False) -> Iterator[int]:
    """A port whose listener is closed, and of which an accepted connection is held."""
    kind, host = family
    with contextlib.ExitStack() as stack:
        with socket.socket(kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(("::" if wildcard else host, 0))
            listener.listen()
            port = listener.getsockname()[1]
            to = "127.0.0.1" if wildcard else host
            stack.enter_context(socket.create_connection((to, port)))
            stack.enter_context(listener.accept()[0])
        yield port


@pytest.mark.parametrize("family", FAMILIES, ids=["v4", "v6"])
def test_port_of_an_accepted_connection_is_taken(family: tuple[int, str]) -> None:
    """Who has accepted our client first cannot pass it on to the runner: that takes another pod."""
    with accepted(family) as port:
        code, said = boot(port)
    assert code == EXIT_PORT_TAKEN
    assert f"port {port} is taken" in said


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_port_of_a_connection_to_both_families_is_taken() -> None:
    """The same of a listener for all addresses, by which IPv4 comes as IPv6."""
    with accepted(V6, wildcard=True) as port:
        assert boot(port)[0] == EXIT_PORT_TAKEN


def test_free_port_is_taken_and_not_shared() -> None:
    """It listens on IPv4; nobody else gets the port meanwhile, whatever they allow themselves."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "PODTASK_KEY": "ab" * 32, "PODTASK_PORT": str(port), "PODTASK_WAIT": "60"}
    with subprocess.Popen([sys.executable, "-c", boot_program()], env=env) as process:
        try:
            client = None
            while client is None and process.poll() is None:
                with contextlib.suppress(ConnectionRefusedError):
                    client = socket.create_connection(("127.0.0.1", port))
            assert client is not None
            with client:
                for kind, host in (V4, V6) if socket.has_ipv6 else (V4,):
                    with socket.socket(kind) as other:
                        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                        with pytest.raises(OSError, match="in use"):
                            other.bind((host, port))
        finally:
            process.kill()


def test_nobody_comes() -> None:
    """A free port and no client: it ends by itself, with a code of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert boot(port)[0] == EXIT_NO_CLIENT


def test_port_is_below_those_of_others() -> None:
    """A pod's own connections to its loopback, or what is left of them, take none of ours."""
    from podtask.manifest.identity import new_identity

    assert all(20_000 <= new_identity(None, "", {}).port < 30_000 for _ in range(100))


def test_program_is_short() -> None:
    """It is the container's command: who reads the pod's YAML reads it too."""
    assert len(boot_program()) < 2800
