"""Hostile bytes: the decoder and the boot program raise an error, do not hang, and use limited memory."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import random
import socket
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podtask.manifest.identity import lock_of
from podtask.runner import protocol
from podtask.runner.bundle import boot_program

MANY = int(os.environ.get("PODTASK_FUZZ", "1"))
BOUNDED = settings(max_examples=200 * MANY, deadline=None, derandomize=MANY == 1, database=None)
KEY = bytes(range(32))
SECRET = "cd" * 32
FRAME = st.builds(
    protocol.encode,
    st.integers(0, 255),
    st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=20), max_size=4),
    st.binary(max_size=200),
    st.integers(0, 2**64 - 1),
)


def decode(stream: bytes, cuts: list[int]) -> list[protocol.Frame]:
    """Return the frames of a stream that arrives in pieces."""
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    decoder = protocol.Decoder()
    found: list[protocol.Frame] = []
    for start, stop in zip(places, [*places[1:], len(stream)], strict=True):
        found += decoder.feed(stream[start:stop])
    return found


@BOUNDED
@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_random_bytes_are_frames_or_an_error(stream: bytes, cuts: list[int]) -> None:
    """Random bytes give frames or a WireError, wherever they are cut."""
    with contextlib.suppress(protocol.WireError):
        decode(stream, cuts)


@BOUNDED
@given(st.lists(FRAME, max_size=4), st.integers(0, 2000), st.integers(0, 255), st.data())
def test_damaged_frames_are_frames_or_an_error(
    frames: list[bytes], place: int, byte: int, data: st.DataObject
) -> None:
    """One wrong byte gives frames or a WireError; complete frames before it are kept."""
    stream = bytearray(b"".join(frames))
    if stream:
        stream[place % len(stream)] = byte
    with contextlib.suppress(protocol.WireError):
        decode(bytes(stream), data.draw(st.lists(st.integers(0, 2000), max_size=3)))


@BOUNDED
@given(st.lists(FRAME, max_size=5), st.lists(st.integers(0, 3000), max_size=6))
def test_cut_frames_are_the_same(frames: list[bytes], cuts: list[int]) -> None:
    """The same frames are decoded wherever the stream is cut."""
    stream = b"".join(frames)
    assert decode(stream, cuts) == decode(stream, [])


def test_memory_is_one_frame_and_one_chunk() -> None:
    """A frame without an end uses at most the memory of the largest frame and one chunk."""
    head = protocol.HEADER.pack(protocol.STREAM, 1, protocol.MAX_META, protocol.MAX_DATA)
    chunk = b" " * (64 << 10)
    frame = protocol.HEADER.size + protocol.MAX_META + protocol.MAX_DATA
    decoder = protocol.Decoder()
    tracemalloc.start()
    try:
        list(decoder.feed(head))
        for _ in range((protocol.MAX_META + protocol.MAX_DATA) // len(chunk) - 1):
            assert list(decoder.feed(chunk)) == []
        with pytest.raises(protocol.WireError):  # a megabyte of blanks is not JSON
            list(decoder.feed(chunk))
        # The buffer, its growth by an eighth, and the copies of meta and data.
        assert tracemalloc.get_traced_memory()[1] < 4 * (frame + len(chunk))
    finally:
        tracemalloc.stop()


@contextlib.contextmanager
def runner() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Yield a boot program that listens, and prints the program that it would execute."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        env = {**os.environ, "PODTASK_KEY": KEY.hex(), "PODTASK_PORT": f"fd:{fd}", "PODTASK_WAIT": "60"}
        env["PODTASK_LOCK"] = lock_of(SECRET)
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", boot_program()], env=env, pass_fds=[fd], stdout=subprocess.PIPE
        )
        port = listener.getsockname()[1]
    try:
        yield process, port
    finally:
        process.kill()
        process.communicate()


def prove(who: str, *parts: str) -> str:
    return hmac.new(KEY, " ".join((who, *parts)).encode(), "sha256").hexdigest()


def signed_line(about: list[str], size: int, program: bytes, secret: str = SECRET) -> bytes:
    """Return the line of a client that knows the key, before a program; the owner's by default."""
    words = str(size), hashlib.sha256(program).hexdigest(), secret
    return " ".join((prove("client", "aa", " ".join(about), *words), *words)).encode() + b"\n"


def greet(port: int, program: bytes) -> None:
    """Connect like a real client, until before the program is sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        lines = sock.makefile("rb")
        sock.sendall(b"aa\n")
        *about, _ = lines.readline().decode().split()
        sock.sendall(signed_line(about, len(program), program) + program)
        lines.close()


def hostile(generator: random.Random) -> list[bytes]:
    """Return the pieces that an attacker sends, in order."""
    noise = generator.randbytes(generator.randrange(1, 300))
    proof = "0" * 64
    return generator.choice(
        [
            [],
            [noise],
            [b"\n" * 5],
            [b"nonce\n", noise],
            [b"nonce\n", f"{proof} 5\nhello".encode()],
            [b"nonce\n", f"{proof} 5 {proof}\nhello".encode()],
            [b"nonce\n", f"{proof} -1 {proof}\n".encode()],
            [b"nonce\n", f"{proof} -1\n".encode()],
            [b"nonce\n", f"{proof} 99999999999999999999 {proof}\n".encode(), noise],
            [b"nonce\n", f"{proof} {'9' * 60} {proof}\n".encode()],
            [b"nonce\n", f"{proof}\n".encode()],
            [b"nonce\n", b"\xff\xfe 5 \xff\n"],
            [b"x" * 5000],
            [b"nonce\n", f"{proof} {1 << 22} {proof}\n".encode(), b"x" * (1 << 20)],
        ]
    )


def visit(port: int, pieces: list[bytes]) -> None:
    """Connect, send, and wait until the other side closes the connection."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    with sock, contextlib.suppress(OSError):  # it may close the connection at any time
        for piece in pieces:
            sock.sendall(piece)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4096):
            pass


@pytest.mark.timeout(120 + 60 * MANY)
def test_boot_outlives_hostile_clients() -> None:
    """The boot program executes nothing from attackers, uses limited memory, and accepts the client."""
    generator = random.Random(0 if MANY == 1 else None)
    with runner() as (process, port):
        for _ in range(60 * MANY):
            visit(port, hostile(generator))
            assert process.poll() is None
        with open(f"/proc/{process.pid}/status") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        assert peak < (64 << 10)  # KiB: Python itself and 4 MiB of a program
        greet(port, zlib.compress(b"print('ours')"))
        assert process.stdout is not None
        assert process.stdout.read() == b"ours\n"
        assert process.wait(20) == 0


def test_boot_rejects_a_program_that_the_proof_does_not_cover() -> None:
    """A program that was changed in transit is not executed; the next client is accepted."""
    wanted, other = zlib.compress(b"print('ours')"), zlib.compress(b"print('bad!')")
    with runner() as (process, port):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
            lines = sock.makefile("rb")
            sock.sendall(b"aa\n")
            *about, _ = lines.readline().decode().split()
            sock.sendall(signed_line(about, len(other), wanted) + other)
            with contextlib.suppress(ConnectionResetError):
                assert lines.read() == b""
            lines.close()
        greet(port, wanted)
        assert process.stdout is not None
        assert process.stdout.read() == b"ours\n"
