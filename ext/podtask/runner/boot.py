"""The first program of the primary container: authenticate a client and receive the runner from it.

It is sent as ``python3 -c`` text, so it is short and has no dependencies. Every sidecar shares the pod's
loopback and can reach the port. So each side first proves that it knows the task's key (HMAC-SHA256 over
both nonces), and the client's proof covers the program that is executed. The port is bound without
SO_REUSEADDR and never shared: a process that had accepted our client before could pass the proof on and
replace what follows. The same port of IPv6 is bound as well, because a port-forward may use it. In batch
mode no client connects: the runner is the first argument, and the cell is in a file.
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

from .protocol import EXIT_NO_CLIENT, EXIT_OLD_PYTHON, EXIT_OTHER_PYTHON, EXIT_PORT_TAKEN

if sys.version_info < (3, 9):
    print("podtask needs Python >= 3.9 in the image, found", sys.version.split()[0])
    sys.exit(EXIT_OLD_PYTHON)
# The kernel drops signals that PID 1 has no handler for.
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, frame: os._exit(128 + number))
env = os.environ
key = bytes.fromhex(env.pop("PODTASK_KEY"))
wait = float(env.pop("PODTASK_WAIT"))
end = time.monotonic() + wait
port = env.pop("PODTASK_PORT")
try:
    if port.startswith("fd:"):
        listener = socket.socket(fileno=int(port[3:]))
    else:
        listener = socket.socket()  # create_server would set SO_REUSEADDR
        listener.bind(("127.0.0.1", int(port)))
        try:
            twin = socket.socket(socket.AF_INET6)
            twin.bind(("::1", int(port)))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise  # other errors: there is no IPv6
        listener.listen()
except OSError as error:
    print("podtask: port", port, "is taken:", error)
    sys.exit(EXIT_PORT_TAKEN)


def prove(who: str, *parts: str) -> str:
    return hmac.new(key, " ".join((who, *parts)).encode(), "sha256").hexdigest()


sock, given = None, b""
if len(sys.argv) > 1:
    program = binascii.a2b_base64(sys.argv[1])
    if sys.version.split(".")[:2] != sys.argv[2].split("."):
        print("podtask: batch mode needs Python", sys.argv[2], "- found", sys.version.split()[0])
        sys.exit(EXIT_OTHER_PYTHON)
    with open(sys.argv[3], "rb") as file:
        given = binascii.a2b_base64(file.read())
    del sys.argv[1:]
while not given:
    listener.settimeout(max(0.01, end - time.monotonic()))
    try:
        sock = listener.accept()[0]
    except socket.timeout:
        print("podtask: no client came")
        sys.exit(EXIT_NO_CLIENT)
    sock.settimeout(5)
    lines = sock.makefile("rb", 0)
    try:
        theirs = lines.readline(99).decode().strip()
        about = os.urandom(16).hex() + " " + sys.version.split()[0] + " 1"
        sock.sendall((about + " " + prove("runner", theirs, about) + "\n").encode())
        proof, size = lines.readline(99).decode().split()
        program, most = b"", min(int(size), 1 << 22)  # a stranger may claim any size
        while len(program) < most:
            part = lines.read(most - len(program))
            if not part:
                break
            program += part
        expected = prove("client", theirs, about, hashlib.sha256(program).hexdigest())
        if hmac.compare_digest(proof.encode(), expected.encode()):
            lines.close()
            break
    except (OSError, ValueError):
        pass  # not our client: the next one
    lines.close()  # the socket is open as long as this is
    sock.close()
names = {"listener": listener, "sock": sock, "prove": prove, "wait": wait, "given": given}
exec(zlib.decompress(program), names)
