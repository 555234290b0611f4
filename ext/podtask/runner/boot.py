"""The first program of the primary container: authenticate a client and receive the runner from it.

It is sent as ``python3 -I -c`` text, so it is short and has no dependencies. Every sidecar shares the pod's
loopback and can reach the port. Therefore each side first proves that it knows the task's key (HMAC-SHA256
over both nonces), and the client's proof covers the program that is executed. Whoever may read the pod
knows the key. Therefore the client of the program also shows the secret whose hash the pod has. The port is bound without
SO_REUSEADDR and never shared. Otherwise a sidecar could accept the client's connection first, relay the
handshake to the runner, and then change the frames.

The pod may bring program and cell itself. The arguments are then parts of the program, which may be none, the hash of
program and cell, and the paths of the files that have the rest. The kubelet writes these files. If they do not exist yet,
a client may come first; if that goes away before it has sent the cell, the files still bring it. Whoever may write Secrets may replace them, but cannot change the hash in the spec of the pod.

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
    EXIT_PORT_TAKEN,
    FILE_SECONDS,
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
    # Since 3.13, Python imports linecache before the program, also from the working directory.
    env["PODTASK_CWD"] = os.getcwd()
    os.chdir("/")
    os.execv(sys.executable, words)  # noqa: S606 -- this program, with other flags
sys.path[:] = filter(None, sys.path)  # an empty entry is the working directory
os.chdir(env.pop("PODTASK_CWD", "."))

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
now = time.monotonic
deadline = now() + wait
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
            if limits[sock] <= now():
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
        limits[sock] = now() + PROGRAM_SECONDS
        program = yield from receive(sock, min(int(size), MAX_PROGRAM_BYTES))
        if hashlib.sha256(program).hexdigest() == digest:
            found.append((program, sock, challenge))


def read_files() -> bytes:
    data = binascii.a2b_base64("".join(parts))
    for path in filter(os.path.exists, paths.split()):
        with open(path, "rb") as file:
            data += file.read()
    return data if hashlib.sha256(data).hexdigest() == hashed else b""


*parts, hashed, paths = sys.argv[1:] or ["", ""]
del sys.argv[1:]
# All connections take part at the same time: those that are silent do not keep the owner waiting.
steps: dict[socket.socket, Generator[None, None, None]] = {}
limits: dict[socket.socket, float] = {}  # when each connection is closed
found: list[tuple[bytes, socket.socket | None, str]] = []  # the program, and the client that has sent it
listener.setblocking(False)
while not found:
    ends = [deadline, *limits.values()]
    if paths:
        if data := read_files():
            found.append((data, None, ""))
            break
        ends.append(now() + FILE_SECONDS)  # nothing tells of a new file without inotify
    poll = select.poll()  # select.select refuses the numbers above 1,023 that a large notebook hands down
    for sock in (listener, *steps):
        poll.register(sock, select.POLLIN)
    poll.poll(max(0, min(ends) - now()) * 1000)
    if deadline <= now():
        print("podtask: no client came")
        sys.exit(EXIT_NO_CLIENT)
    try:
        sock = listener.accept()[0]
        sock.setblocking(False)
        steps[sock] = authenticate(sock)
        limits[sock] = now() + CONNECTION_SECONDS
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
unpacker = zlib.decompressobj()
loader, _, modules = unpacker.decompress(program).partition(PROGRAM_SEPARATOR)
owner = (client, challenge) if client else None
# The cell may be behind the program. If a client is to send it, and goes away meanwhile, the files bring it.
exec(
    loader,
    {
        "modules": modules,
        "start": (listener, owner, prove, lock, wait, unpacker.unused_data, paths and read_files),
    },
)
