"""The clients of a runner: connections that are not authenticated yet, and the attached one."""

import selectors
import socket
import time
from typing import Any, Callable, List, Set

from .. import protocol
from ..debug_log import logger
from .connection import Connection

FOREVER = float("inf")
MAX_FOLLOWERS = 4  # clients that know the task's key, but not the owner's secret
MAX_UNATTACHED = 32  # connections that have neither attached nor shown the owner's secret
MAX_PIECES_PER_TURN = 16  # for one client, so that a fast one does not keep the main loop busy


class Clients:
    """All connections of a runner, watched by the selector of the main loop.

    Args:
        selector: Selector of the main loop.
        listener: Listening socket on the pod's loopback.
        prove: Returns the HMAC of the task's key.
        lock: Hash of the owner's secret.

    Attributes:
        alone_since: When the owner's last client left (monotonic); infinite while one is attached.
    """

    def __init__(self, selector: Any, listener: socket.socket, prove: Callable[..., str], lock: str) -> None:
        self.alone_since = time.monotonic()
        self._selector = selector
        self._listener = listener
        self._prove = prove
        self._lock = lock
        self._all: List[Connection] = []
        self._name = ""
        self._holder: Any = ""
        self._displaced: Set[str] = set()  # names of clients that others took over from
        selector.register(listener, selectors.EVENT_READ, self._accept)

    @property
    def attached(self) -> bool:
        """Whether a client of the owner is attached; for those who only follow, the runner does not wait."""
        return any(client.attached and client.is_owner for client in self._all)

    @property
    def followed(self) -> bool:
        """Whether any client is attached."""
        return any(client.attached for client in self._all)

    @property
    def sockets(self) -> List[Any]:
        """The sockets that a forked worker must close."""
        return [self._listener, *(client.sock for client in self._all)]

    def add(self, sock: socket.socket, challenge: str = "") -> None:
        """Add a connection; with the challenge of its handshake if it is authenticated already."""
        self._all.append(Connection(sock, self._prove, self._lock, challenge))

    def dismiss_displaced(self, client: Connection, name: str) -> bool:
        """Close a client that another client has replaced, and return True; return False for any other.

        A client that was suspended, or whose connection hung, does not know yet that it lost the task. It must
        not take the task back.
        """
        if name not in self._displaced:
            return False
        logger.debug("turned away a client that another one had replaced")
        client.finish(
            protocol.encode(protocol.CLOSE, {"reason": protocol.CLOSE_TAKEN_OVER, "by": self._holder})
        )
        return True

    def admit_follower(self, client: Connection, name: str) -> bool:
        """Return whether a client that is not the owner may follow; close it if too many do.

        Args:
            client: The connection that attaches.
            name: Name of its client. An earlier connection of the same name is closed.
        """
        client.name = name
        followers = [each for each in self._all if each.attached and not each.is_owner and each is not client]
        for each in followers:
            if each.name == name:
                each.finish(protocol.encode(protocol.CLOSE, {"reason": protocol.CLOSE_RECONNECTED}))
        if sum(not each.closing for each in followers) < MAX_FOLLOWERS:
            return True
        logger.debug("turned away a client, because %d follow already", MAX_FOLLOWERS)
        client.finish(protocol.encode(protocol.CLOSE, {"reason": protocol.CLOSE_FULL}))
        return False

    def take_over(self, client: Connection, name: str, holder: Any) -> bool:
        """Close the owner's other connections; return whether another client of the owner had the task before.

        Args:
            client: The connection that attaches.
            name: Name of its client, which stays the same when it reconnects.
            holder: Describes the user of the client.
        """
        other = name != self._name
        self._holder = holder
        if other and self._name:
            self._displaced.add(self._name)
            logger.debug("another client takes over")
        reason = protocol.CLOSE_TAKEN_OVER if other else protocol.CLOSE_RECONNECTED
        for each in self._all:
            if each is not client and each.attached and each.is_owner:
                each.finish(protocol.encode(protocol.CLOSE, {"reason": reason, "by": holder}))
        self._name = name
        return other

    def watch(self) -> None:
        """Make the selector watch each connection for reading, and for writing if it has pending data."""
        known = {key.fileobj: key.events for key in self._selector.get_map().values()}
        for client in self._all:
            if client.closed:
                continue
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.pending else 0)
            if client.sock not in known:
                self._selector.register(client.sock, events, client)
            elif known[client.sock] != events:
                self._selector.modify(client.sock, events, client)

    def send_pending(self, spool: Any, results: List[Any]) -> None:
        """Send each client as much as its socket accepts, and remove closed connections."""
        for client in self._all:
            if client.attached and client.wants_log and client.has_room:
                client.send(logger.take_frames())
            # Until the socket is full, or nothing is left to send. The selector reports at once that the last
            # piece, which is only queued, can be written.
            for _ in range(MAX_PIECES_PER_TURN):
                client.flush()
                if not (client.attached and client.has_room and client.queue_next(spool, results)):
                    break
        for client in [client for client in self._all if client.closed]:
            self._all.remove(client)
            for key in list(self._selector.get_map().values()):
                if key.data is client:
                    self._selector.unregister(key.fileobj)
        if self.attached:
            self.alone_since = FOREVER
        elif self.alone_since == FOREVER:
            logger.debug("the client has left")
            self.alone_since = time.monotonic()

    def send(self, frame: bytes) -> None:
        """Send a frame that is not spooled to the clients that receive what was sent before."""
        for client in self._all:
            if client.attached and client.has_room:
                client.send(frame)

    def expiry(self) -> float:
        """Return when the next connection expires (monotonic)."""
        return min((client.expiry() for client in self._all), default=FOREVER)

    def close_expired(self, now: float) -> None:
        """Close the connections that have been silent for too long."""
        for client in self._all:
            if client.expiry() <= now:
                logger.debug("closing a connection that has been silent for too long")
                client.close()

    def finish(self, frame: bytes) -> None:
        """Send a last frame to all clients."""
        for client in self._all:
            client.finish(frame)

    def _accept(self) -> None:
        try:
            sock = self._listener.accept()[0]
        except OSError as error:
            logger.debug("a connection was gone before it was accepted: %s", error)
            return
        waiting = [
            client for client in self._all if not (client.attached or client.is_owner or client.closed)
        ]
        if len(waiting) >= MAX_UNATTACHED:  # so a flood of connections cannot lock out the notebook
            logger.debug("closing the oldest of %d connections that have not attached", len(waiting))
            waiting[0].close()
        self.add(sock)
