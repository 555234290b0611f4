"""The first program of a container takes its port, and no other process can share it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from podtask.channel.proof import prove
from podtask.manifest.identity import lock_of
from podtask.runner.bundle import boot_program
from podtask.runner.protocol import EXIT_NO_CLIENT, EXIT_PORT_TAKEN

SECRET = "cd" * 32
V4, V6 = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")
FAMILIES = [
    V4,
    pytest.param(V6, marks=pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")),
]


def boot(port: int, wait: float = 0.01) -> tuple[int, str]:
    """Run the boot program; return its exit code and output."""
    env = {
        **os.environ,
        "PODTASK_KEY": "ab" * 32,
        "PODTASK_LOCK": lock_of(SECRET),
        "PODTASK_PORT": str(port),
        "PODTASK_WAIT": str(wait),
    }
    ran = subprocess.run(
        [sys.executable, "-I", "-c", boot_program()], env=env, capture_output=True, text=True
    )
    assert ran.stderr == ""
    return ran.returncode, ran.stdout


@contextlib.contextmanager
def port_of_an_accepted_connection(family: tuple[int, str], wildcard: bool = False) -> Iterator[int]:
    """Yield a port whose listener is closed while an accepted connection is open."""
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
    """The runner does not use a port on which another process has accepted our client."""
    with port_of_an_accepted_connection(family) as port:
        code, said = boot(port)
    assert code == EXIT_PORT_TAKEN
    assert f"port {port} is taken" in said


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_port_of_a_connection_to_both_families_is_taken() -> None:
    """This also holds for a listener on all addresses, which accepts IPv4 as IPv6."""
    with port_of_an_accepted_connection(V6, wildcard=True) as port:
        assert boot(port)[0] == EXIT_PORT_TAKEN


def test_free_port_is_taken_and_not_shared() -> None:
    """The boot program listens on IPv4, and no other process can bind the port, whatever its options."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "PODTASK_KEY": "ab" * 32,
        "PODTASK_LOCK": lock_of(SECRET),
        "PODTASK_PORT": str(port),
        "PODTASK_WAIT": "60",
    }
    with subprocess.Popen([sys.executable, "-I", "-c", boot_program()], env=env) as process:
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


def test_boot_program_exits_without_a_client() -> None:
    """Without a client, the boot program exits with its own exit code."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert boot(port)[0] == EXIT_NO_CLIENT


def drip(port: int, knows_key: bool, process: subprocess.Popen[bytes]) -> None:
    """Be a client that sends a byte every tenth of a second, until the runner has ended."""
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as client:
            if knows_key:
                client.sendall(b"aa\n")
                hello, _, _ = client.recv(4096).decode().rpartition(" ")
                words = "100000", "0" * 64, SECRET
                proof = prove(bytes.fromhex("ab" * 32), "client", "aa", hello, *words)
                client.sendall(f"{proof} {' '.join(words)}\n".encode())
            while process.poll() is None:
                client.sendall(b"a")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)


@pytest.mark.fault(113)
@pytest.mark.parametrize("knows_key", [False, True])
def test_slow_client_does_not_keep_the_runner(knows_key: bool) -> None:
    """A client that sends a byte now and then does not make the boot program wait longer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        env = {
            **os.environ,
            "PODTASK_KEY": "ab" * 32,
            "PODTASK_LOCK": lock_of(SECRET),
            "PODTASK_PORT": f"fd:{fd}",
            "PODTASK_WAIT": "1",
        }
        command = [sys.executable, "-I", "-c", boot_program()]
        process = subprocess.Popen(command, env=env, pass_fds=[fd], stdout=subprocess.PIPE)
        port = listener.getsockname()[1]
    began = time.monotonic()
    with process:
        client = threading.Thread(target=drip, args=(port, knows_key, process))
        client.start()
        try:
            assert process.wait(4) == EXIT_NO_CLIENT
        finally:
            process.kill()
            client.join()
    assert time.monotonic() - began >= 1


def test_notebook_with_thousands_of_open_files_starts_local_cells() -> None:
    """The number of the descriptor that a local runner inherits may be above 1,023, which `select.select` refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2049), hard))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = fcntl.fcntl(listener, fcntl.F_DUPFD, 2048)
        try:
            env = {
                **os.environ,
                "PODTASK_KEY": "ab" * 32,
                "PODTASK_LOCK": lock_of(SECRET),
                "PODTASK_PORT": f"fd:{fd}",
                "PODTASK_WAIT": "0.01",
            }
            command = [sys.executable, "-I", "-c", boot_program()]
            ran = subprocess.run(command, env=env, pass_fds=[fd], capture_output=True, text=True)
        finally:
            os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert ran.stderr == ""
    assert (ran.returncode, ran.stdout) == (EXIT_NO_CLIENT, "podtask: no client came\n")


def test_port_is_below_the_ephemeral_ports() -> None:
    """The port is below the ephemeral ports, so other connections on loopback cannot occupy it."""
    from podtask.manifest.identity import new_identity

    assert all(20_000 <= new_identity(None, "", {}).port < 30_000 for _ in range(100))


def test_program_is_short() -> None:
    """The program is short, because it is shown as the container's command in the YAML of the pod."""
    assert len(boot_program()) < 4300
