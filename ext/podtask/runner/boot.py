"""The first program of the primary container: authenticate a client and receive the runner from it.

It is sent as ``python3 -c`` text, so it is short and has no dependencies. Every sidecar shares the pod's
loopback and can reach the port. Therefore each side first proves that it knows the task's key (HMAC-SHA256
over both nonces), and the client's proof covers the program that is executed. The port is bound without
SO_REUSEADDR and never shared. Otherwise a sidecar could accept the client's connection first, relay the
handshake to the runner, and then change the frames. In batch mode no client connects: the arguments are
the parts of the runner's program, the Python version that it needs, and the file that has the cell.
"""

import binascii
import errno
import hashlib
import hmac
import os
import signal
import socket
import sys
import time
import zlib

from .protocol import (
    EXIT_NO_CLIENT,
    EXIT_OLD_PYTHON,
    EXIT_OTHER_PYTHON,
    EXIT_PORT_TAKEN,
    PROGRAM_SEPARATOR,
)

if sys.version_info < (3, 9):
    print("podtask needs Python >= 3.9 in the image, found", sys.version.split()[0])
    sys.exit(EXIT_OLD_PYTHON)
# The kernel drops signals that PID 1 has no handler for.
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda num, _: os._exit(128 + num))
env = os.environ
key = bytes.fromhex(env.pop("PODTASK_KEY"))
wait = float(env.pop("PODTASK_WAIT"))
deadline = time.monotonic() + wait
port = env.pop("PODTASK_PORT")
try:
    if port.startswith("fd:"):
        listener = socket.socket(fileno=int(port[3:]))
    else:
        listener = socket.socket()  # create_server would set SO_REUSEADDR
        listener.bind(("127.0.0.1", int(port)))
        try:
            # Bound but never listening, so that connections to ::1 are refused. Without it a sidecar could
            # listen there, and a port-forward to "localhost" would reach the sidecar.
            ipv6_guard = socket.socket(socket.AF_INET6)
            ipv6_guard.bind(("::1", int(port)))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise  # any other error means that the pod has no IPv6
        listener.listen()
except OSError as error:
    print("podtask: port", port, "is taken:", error)
    sys.exit(EXIT_PORT_TAKEN)


def prove(role: str, *parts: str) -> str:
    return hmac.new(key, " ".join((role, *parts)).encode(), "sha256").hexdigest()


sock, job = None, b""
if len(sys.argv) > 1:
    *parts, minor, path = sys.argv[1:]
    program = binascii.a2b_base64("".join(parts))
    if sys.version.split(".")[:2] != minor.split("."):
        print("podtask: batch mode needs Python", minor, "- found", sys.version.split()[0])
        sys.exit(EXIT_OTHER_PYTHON)
    with open(path, "rb") as file:
        job = binascii.a2b_base64(file.read())
    del sys.argv[1:]
while not job:
    listener.settimeout(max(0.01, deadline - time.monotonic()))
    try:
        sock = listener.accept()[0]
    except socket.timeout:
        print("podtask: no client came")
        sys.exit(EXIT_NO_CLIENT)
    sock.settimeout(5)
    reader = sock.makefile("rb", 0)
    try:
        nonce = reader.readline(99).decode().strip()
        # The last word means a fresh runner, which needs its program (channel/handshake.py reads it).
        hello = f"{os.urandom(16).hex()} {sys.version.split()[0]} 1"
        sock.sendall(f"{hello} {prove('runner', nonce, hello)}\n".encode())
        proof, size = reader.readline(99).split()
        program, limit = b"", min(int(size), 1 << 22)  # an impostor may claim any size
        while len(program) < limit:
            chunk = reader.read(limit - len(program))
            if not chunk:
                break
            program += chunk
        expected = prove("client", nonce, hello, hashlib.sha256(program).hexdigest())
        if hmac.compare_digest(proof, expected.encode()):
            reader.close()
            break
    except (OSError, ValueError):
        pass  # not the notebook; wait for the next connection
    reader.close()  # the socket stays open until its reader is closed
    sock.close()
loader, _, modules = zlib.decompress(program).partition(PROGRAM_SEPARATOR)
exec(
    loader,
    {"modules": modules, "listener": listener, "sock": sock, "prove": prove, "wait": wait, "job": job},
)
