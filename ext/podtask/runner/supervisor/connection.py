"""One client of the runner: authenticate it, then exchange sealed frames, without blocking.

Several sockets may wait for authentication, because sidecars share the loopback. One that is silent or fails
to authenticate only occupies a slot.
"""

import hashlib
import hmac
import os
import socket
import sys
import time
from collections import deque
from itertools import islice
from typing import Any, Callable, Deque, Dict, Iterable, List, Optional, Tuple, Union

from .. import protocol
from ..debug_log import logger

READ_BYTES = 1 << 20
MAX_QUEUED_BYTES = 1 << 20
MAX_UNREAD_BYTES = 4 << 20  # that a client may request without reading the answers
MAX_FOLLOWER_RECORD_BYTES = 64 << 10  # of a client that sends no cell and no inputs
HANDSHAKE_SECONDS = 5
MAX_PARTS = 16  # that are written in one call
MAX_LINE_BYTES = 300
SILENT_SECONDS = 45  # the client pings every 15 s


class Connection:
    """A connection to the runner; ``attached`` once it is authenticated and has asked to attach.

    Args:
        sock: An accepted socket.
        prove: Returns the HMAC of the task's key.
        lock: Hash of the owner's secret.
        challenge: What the proofs of the handshake have signed, if boot has authenticated the socket already: the owner's.
    """

    def __init__(
        self, sock: socket.socket, prove: Callable[..., str], lock: str, challenge: str = ""
    ) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.closed = False
        self.closing = False
        self.cursor: Optional[int] = None  # the next spooled frame to send; None: not attached
        # Name of an execution -> attempt at its values, and the offset in it to send next.
        self.values_wanted: Dict[str, Tuple[int, int]] = {}
        self.wants_log = False  # whether the client shows the runner's debug log
        self.last_heard = time.monotonic()
        self.is_owner = bool(challenge)  # whether it has shown the owner's secret
        self.name = ""  # of a client that only follows
        self._prove = prove
        self._lock = lock
        self._seal: Optional[protocol.Seal] = None  # for what is sent, once the client is authenticated
        self._decoder = protocol.Decoder()
        self._handshake_bytes = b""
        self._challenge = ""
        self._out: Deque[memoryview] = deque()
        self._out_size = 0
        if challenge:
            self._trust(challenge)

    @property
    def trusted(self) -> bool:
        """Whether the client is authenticated."""
        return self._seal is not None

    @property
    def attached(self) -> bool:
        """Whether the client receives frames."""
        return self.cursor is not None and not self.closed

    @property
    def has_room(self) -> bool:
        """Whether more data may be queued for sending."""
        return self._out_size < MAX_QUEUED_BYTES and not self.closing

    @property
    def pending(self) -> bool:
        """Whether data is queued for sending."""
        return self._out_size > 0

    def expiry(self) -> float:
        """Return when this connection expires unless something more is received (monotonic)."""
        return self.last_heard + (SILENT_SECONDS if self.trusted else HANDSHAKE_SECONDS)

    def queue_next(self, spool: Any, results: Iterable[Any]) -> bool:
        """Queue the next piece of data that this client lacks; return whether there was one.

        Args:
            spool: The frames.
            results: The values of each execution, which may still grow.
        """
        if self.cursor is not None:
            self.cursor = max(self.cursor, spool.trimmed + 1)  # a client has what comes before
        if self.cursor is not None and self.cursor <= spool.last:
            if self.cursor < spool.first:  # the client was away, or is slower than the output
                lost = {"from": self.cursor, "to": spool.first - 1}
                logger.debug("frames %d to %d were dropped before the client received them", *lost.values())
                self.send(protocol.encode(protocol.GAP, lost, seq=spool.first - 1))
                self.cursor = spool.first
            data, self.cursor = spool.read(self.cursor)
            self.send(data)
            return True
        return any(self._queue_values(each) for each in results)

    def _queue_values(self, results: Any) -> bool:
        """Queue the next values of an execution; return whether there were any."""
        wanted = self.values_wanted.get(results.name)
        if wanted is None or results.is_inline:
            return False
        offset = start = wanted[1] if wanted[0] == results.attempt else 0
        if offset < results.size:
            offset = results.send(self, offset)
        self.values_wanted[results.name] = results.attempt, offset
        return bool(offset > start)

    def send(self, *parts: bytes) -> None:
        """Queue encoded frames, given in one or more parts; nothing for a client that is not authenticated.

        Pieces of output and of values wait until the socket has room. A client that makes the runner queue more than
        these does not read the answers to its frames: its connection is closed.
        """
        if self._out_size > MAX_UNREAD_BYTES:
            logger.debug("closing a connection that does not read what it requests")
            self.close()
        elif any(parts) and self._seal is not None:
            self._queue(*self._seal.record_parts(*parts))

    def _queue(self, *parts: Union[bytes, memoryview]) -> None:
        if not self.closed:
            self._out.extend(memoryview(part) for part in parts if part)
            self._out_size += sum(map(len, parts))

    def flush(self) -> None:
        """Write as much as the socket accepts."""
        while self._out and not self.closed:
            try:
                sent = self.sock.sendmsg(islice(self._out, MAX_PARTS))
            except BlockingIOError:
                return
            except OSError as error:
                logger.debug("closing a connection, sending failed: %s", error)
                self.close()
                return
            self._out_size -= sent
            while sent:
                part = self._out.popleft()
                if sent < len(part):
                    self._out.appendleft(part[sent:])
                sent -= min(sent, len(part))
        if self.closing:
            self.close()

    def receive(self) -> List[protocol.Frame]:
        """Return the received frames; close the connection on its end, an error or a wrong proof."""
        try:
            chunk = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            logger.debug("a connection broke: %s", error)
            chunk = b""
        if not chunk:
            self.close()
            return []
        if not self.trusted:
            chunk = self._handshake(chunk)
            if not self.trusted:
                return []
        self.last_heard = time.monotonic()
        try:
            return list(self._decoder.feed(chunk))
        except protocol.WireError as error:
            logger.debug("closing a connection: %s", error)
            self.finish(protocol.encode(protocol.ERROR, {"code": "wire", "text": str(error)}))
            return []

    def finish(self, frame: bytes) -> None:
        """Send a last frame, then close."""
        self.send(frame)
        self.closing = True
        self.flush()

    def close(self) -> None:
        """Close the connection and drop what is queued."""
        self.closed = True
        self.cursor = None
        self._out.clear()
        self._out_size = 0
        self.sock.close()

    def _handshake(self, chunk: bytes) -> bytes:
        """Check the two lines of a client; return the data after them."""
        self._handshake_bytes += chunk
        while b"\n" in self._handshake_bytes:
            line, self._handshake_bytes = self._handshake_bytes.split(b"\n", 1)
            words = line.decode("ascii", "replace").split()
            if not self._challenge and len(words) == 1:
                hello = f"{os.urandom(16).hex()} {sys.version.split()[0]} 0"
                self._challenge = f"{words[0]} {hello}"
                self._queue(f"{hello} {self._prove('runner', words[0], hello)}\n".encode())
                self.flush()
            elif self._challenge and len(words) == 4 and self._is_proven(*words):
                self._trust(self._challenge)
                return self._handshake_bytes
            else:
                logger.debug("closing a connection whose handshake is wrong")
                self.close()
                return b""
        if len(self._handshake_bytes) > MAX_LINE_BYTES:
            self.close()
        return b""

    def _trust(self, challenge: str) -> None:
        seal, self._seal = protocol.connection_seals(self._prove, challenge)
        self._decoder = protocol.Decoder(
            seal, protocol.MAX_RECORD_BYTES if self.is_owner else MAX_FOLLOWER_RECORD_BYTES
        )

    def _is_proven(self, proof: str, size: str, digest: str, secret: str) -> bool:
        expected = self._prove("client", self._challenge, size, digest, secret)
        self.is_owner = hashlib.sha256(secret.encode()).hexdigest() == self._lock
        return size == "0" and hmac.compare_digest(proof.encode(), expected.encode())
