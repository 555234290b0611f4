"""The first program of the primary container: authenticate a client and receive the runner from it.

It is sent as ``python3 -I -c`` text, so it is short and has no dependencies. Every sidecar shares the pod's
loopback and can reach the port. Therefore each side first proves that it knows the task's key (HMAC-SHA256
over both nonces), and the client's proof covers the program that is executed. Whoever may read the pod
knows the key. Therefore the client of the program also shows the secret whose hash the pod has. The port is bound without
SO_REUSEADDR and never shared. Otherwise a sidecar could accept the client's connection first, relay the
handshake to the runner, and then change the frames. In batch mode no client connects: the arguments are
the parts of the runner's program, the Python version that it needs, and the file that has the cell.

Other containers may be able to write to the working directory, to the folders in PYTHONPATH and to the
user's folder. No module is imported from there until the process of the cell has been forked
(``worker/import_path.py``).
"""

import os
import sys

from .protocol import (
    CONNECTION_SECONDS,
    EXIT_NO_CLIENT,
    EXIT_OLD_PYTHON,
    EXIT_OTHER_PYTHON,
    EXIT_PORT_TAKEN,
    MAX_CONNECTIONS,
    MAX_PROGRAM_BYTES,
    PATH_VARIABLE,
    PROGRAM_SECONDS,
    PROGRAM_SEPARATOR,
    STARTUP_VARIABLES,
)

env = os.environ
if sys.flags.isolated and any("PYTHON" + name in env for name in STARTUP_VARIABLES.split()):
    # Python reads these variables when it starts, but not with -I: start it again, without PYTHONPATH.
    env[PATH_VARIABLE] = env.pop("PYTHONPATH", "")
    words = getattr(sys, "orig_argv", None)
    if not words:  # Python 3.9
        with open("/proc/self/cmdline") as cmdline:
            words = cmdline.read().split("\0")[:-1]
    words[words.index("-I")] = "-s"
    os.execv(sys.executable, words)  # noqa: S606 -- this program, with other flags
sys.path[:] = filter(None, sys.path)  # an empty entry is the working directory

import binascii  # noqa: E402 -- only from here on are modules found in safe places
import errno  # noqa: E402
import hashlib  # noqa: E402
import hmac  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import time  # noqa: E402
import zlib  # noqa: E402
from collections.abc import Generator  # noqa: E402 -- for annotations, which the program does not have

if sys.version_info < (3, 9):
    print("podtask needs Python >= 3.9 in the image, found", sys.version.split()[0])
    sys.exit(EXIT_OLD_PYTHON)
# The kernel drops signals that PID 1 has no handler for.
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda num, _: os._exit(128 + num))
key = bytes.fromhex(env.pop("PODTASK_KEY"))
lock = env.pop("PODTASK_LOCK")
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


def receive(sock: socket.socket, size: int, line: bool = False) -> Generator[None, None, bytes]:
    data = b""
    while len(data) < size and not (line and data.endswith(b"\n")):
        try:
            chunk = sock.recv(1 if line else size - len(data))
        except BlockingIOError:
            if limits[sock] <= time.monotonic():
                raise
            yield
        else:
            data += chunk
            if not chunk:
                raise OSError
    return data


def authenticate(sock: socket.socket) -> Generator[None, None, None]:
    nonce = (yield from receive(sock, 99, True)).decode().strip()
    # The last word means a fresh runner, which needs its program (channel/handshake.py reads it).
    hello = f"{os.urandom(16).hex()} {sys.version.split()[0]} 1"
    sock.sendall(f"{hello} {prove('runner', nonce, hello)}\n".encode())
    proof, *signed = (yield from receive(sock, 299, True)).decode().split()
    size, digest, secret = signed
    challenge = f"{nonce} {hello}"
    is_owner = hashlib.sha256(secret.encode()).hexdigest() == lock
    if hmac.compare_digest(proof, prove("client", challenge, *signed)) and is_owner:
        # The task's owner gets the time that a program needs on a slow connection.
        limits[sock] = time.monotonic() + PROGRAM_SECONDS
        program = yield from receive(sock, min(int(size), MAX_PROGRAM_BYTES))
        if hashlib.sha256(program).hexdigest() == digest:
            found.append((program, sock, challenge))


job = b""
# All connections take part at the same time: those that are silent do not keep the owner waiting.
steps: dict[socket.socket, Generator[None, None, None]] = {}
limits: dict[socket.socket, float] = {}  # when each connection is closed
found: list[tuple[bytes, socket.socket | None, str]] = []  # the program, and the client that has sent it
if len(sys.argv) > 1:
    *parts, minor, path = sys.argv[1:]
    if sys.version.split(".")[:2] != minor.split("."):
        print("podtask: batch mode needs Python", minor, "- found", sys.version.split()[0])
        sys.exit(EXIT_OTHER_PYTHON)
    with open(path, "rb") as file:
        job = binascii.a2b_base64(file.read())
    found.append((binascii.a2b_base64("".join(parts)), None, ""))
    del sys.argv[1:]
listener.setblocking(False)
while not found:
    time_left = min([deadline, *limits.values()]) - time.monotonic()
    select.select([listener, *steps], [], [], max(0, time_left))
    if deadline <= time.monotonic():
        print("podtask: no client came")
        sys.exit(EXIT_NO_CLIENT)
    try:
        sock = listener.accept()[0]
        sock.setblocking(False)
        steps[sock] = authenticate(sock)
        limits[sock] = time.monotonic() + CONNECTION_SECONDS
        if len(steps) > MAX_CONNECTIONS:
            limits[min(limits, key=limits.__getitem__)] = 0  # not the owner's, who has more time
    except OSError:
        pass  # nobody has connected
    for sock in [*steps]:
        try:
            next(steps[sock])
        except (StopIteration, OSError, ValueError, TypeError):
            del steps[sock], limits[sock]
            if not found or sock is not found[0][1]:
                sock.close()
for sock in steps:
    sock.close()
program, client, challenge = found[0]
loader, _, modules = zlib.decompress(program).partition(PROGRAM_SEPARATOR)
owner = (client, challenge) if client else None
exec(loader, {"modules": modules, "start": (listener, owner, prove, lock, wait, job)})
