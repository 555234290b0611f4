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
    BUSY_CONNECTION_SECONDS,
    CONNECTION_SECONDS,
    EXIT_NO_CLIENT,
    EXIT_OLD_PYTHON,
    EXIT_OTHER_PYTHON,
    EXIT_PORT_TAKEN,
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


def receive(sock: socket.socket, size: int, line: bool = False) -> bytes:
    data = b""
    while len(data) < size and not (line and data.endswith(b"\n")):
        sock.settimeout(limit - time.monotonic())  # a ValueError once the limit has passed
        chunk = sock.recv(1 if line else size - len(data))
        if not chunk:
            raise OSError
        data += chunk
    return data


job, challenge = b"", ""
if len(sys.argv) > 1:
    sock = None
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
    is_busy = select.select([listener], [], [], 0)[0]  # others wait for their turn
    limit = min(deadline, time.monotonic() + (BUSY_CONNECTION_SECONDS if is_busy else CONNECTION_SECONDS))
    try:
        nonce = receive(sock, 99, True).decode().strip()
        # The last word means a fresh runner, which needs its program (channel/handshake.py reads it).
        hello = f"{os.urandom(16).hex()} {sys.version.split()[0]} 1"
        sock.sendall(f"{hello} {prove('runner', nonce, hello)}\n".encode())
        proof, *signed = receive(sock, 299, True).decode().split()
        size, digest, secret = signed
        challenge = f"{nonce} {hello}"
        is_owner = hashlib.sha256(secret.encode()).hexdigest() == lock
        if hmac.compare_digest(proof, prove("client", challenge, *signed)) and is_owner:
            # The task's owner gets the time that a program needs on a slow connection.
            limit = min(deadline, time.monotonic() + PROGRAM_SECONDS)
            program = receive(sock, min(int(size), MAX_PROGRAM_BYTES))
            if hashlib.sha256(program).hexdigest() == digest:
                break
    except (OSError, ValueError, TypeError):
        pass  # not the notebook; wait for the next connection
    sock.close()
loader, _, modules = zlib.decompress(program).partition(PROGRAM_SEPARATOR)
client = (sock, challenge) if sock else None
exec(loader, {"modules": modules, "start": (listener, client, prove, lock, wait, job)})
