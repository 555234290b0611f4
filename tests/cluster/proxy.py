"""A TCP proxy on loopback that cuts, holds and delays connections.

By hand: `python -m tests.cluster.proxy HOST:PORT [--delay-ms N]` prints its port, then
takes the lines `cut`, `hold`, `release` and `delay N` on stdin, until it is interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import struct
import sys
import threading
from collections.abc import Coroutine
from contextlib import closing
from typing import Any, TypeVar

_Result = TypeVar("_Result")

_CHUNK = 1 << 16
# Enough bytes in flight for the bandwidth of loopback and the delay of an intercontinental connection.
_CHUNKS_IN_FLIGHT = 512


class Proxy:
    """Forward connections to one address, in a separate thread.

    Attributes:
        port: Port on 127.0.0.1 that the proxy listens on.
        delay_ms: Additional round trip time, half in each direction; can be changed at any time.
        cuts: Number of times that connections were cut.
    """

    def __init__(self, host: str, port: int, *, listen: int = 0, delay_ms: float = 0) -> None:
        self.delay_ms = delay_ms
        self.cuts = 0
        self._budget: int | None = None
        self._target = (host, port)
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._thread.start()
        try:
            self.port = self._call(self._open(listen))
        except BaseException:
            self._stop_loop()
            raise

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return self._call(self._count())

    def cut(self) -> int:
        """Reset every open connection on both sides; return the number of connections."""
        return self._call(self._cut())

    def cut_after(self, size: int) -> None:
        """Reset every open connection once, after this many more bytes have passed."""
        self._budget = size

    def hold(self) -> None:
        """Accept and keep connections, but forward no data."""
        self._call(self._set_passing(False))

    def release(self) -> None:
        """Forward data again, beginning with the data that was sent in the meantime."""
        self._call(self._set_passing(True))

    def freeze(self) -> None:
        """Stop forwarding data on open connections without closing them; new connections work."""
        self._call(self._freeze())

    def close(self) -> None:
        """Reset all open connections and stop listening."""
        self._call(self._close())
        self._stop_loop()

    def _call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self, port: int) -> int:
        self._passing = asyncio.Event()
        self._passing.set()
        # asyncio's server is not used: if it is closed while it accepts a connection, it loses the socket.
        self._listener = socket.create_server(("127.0.0.1", port), backlog=100)
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)
        number: int = self._listener.getsockname()[1]
        return number

    async def _close(self) -> None:
        self._loop.remove_reader(self._listener)
        self._listener.close()
        await self._cut()

    async def _count(self) -> int:
        return len(self._links)

    async def _cut(self) -> int:
        links = list(self._links)
        self.cuts += 1
        for link in links:
            link.task.cancel()
        await asyncio.gather(*(link.task for link in links), return_exceptions=True)
        return len(links)

    async def _set_passing(self, passing: bool) -> None:
        if passing:
            self._passing.set()
        else:
            self._passing.clear()

    async def _freeze(self) -> None:
        self._passing.clear()
        self._passing = asyncio.Event()
        self._passing.set()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the client has disconnected
        link = _Link([connection])
        link.task = self._loop.create_task(self._serve(link.sockets))
        self._links.add(link)
        # Not closed in the task: a task that is cancelled before it begins would not close anything.
        link.task.add_done_callback(lambda _: self._end(link))

    def _end(self, link: _Link) -> None:
        self._links.discard(link)
        link.close()

    async def _serve(self, sockets: list[socket.socket]) -> None:
        # The kernel has already answered the handshake, so the delay is added here.
        await asyncio.sleep(self.delay_ms / 1000)
        await self._passing.wait()
        sockets.append(socket.socket())
        here, there = sockets
        for each in sockets:
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._loop.sock_connect(there, self._target)
        await _all_or_none(self._pump(here, there), self._pump(there, here))

    async def _pump(self, source: socket.socket, target: socket.socket) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_IN_FLIGHT)
        clock, passing = self._loop.time, self._passing

        async def receive() -> None:
            data = b"-"
            while data:
                data = await self._loop.sock_recv(source, _CHUNK)
                await queue.put((clock() + self.delay_ms / 2000, data))

        async def send() -> None:
            while True:
                due, data = await queue.get()
                if (early := due - clock()) > 0:
                    await asyncio.sleep(early)
                await passing.wait()
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                await self._loop.sock_sendall(target, data)
                self._charge(len(data))

        await _all_or_none(receive(), send())

    def _charge(self, size: int) -> None:
        """Count forwarded bytes; beyond the limit of `cut_after`, reset all connections."""
        if self._budget is None:
            return
        self._budget -= size
        if self._budget < 0:
            self._budget = None
            self._loop.create_task(self._cut())


class _Link:
    """One connection: the side of the client, and the side of the server once it is connected."""

    task: asyncio.Task[None]

    def __init__(self, sockets: list[socket.socket]) -> None:
        self.sockets = sockets

    def close(self) -> None:
        """Close both sides as the task ended; a cut or an error on one side resets both."""
        broken = self.task.cancelled() or self.task.exception() is not None
        for each in self.sockets:
            if broken:
                # With a linger time of 0 s, closing the socket sends a reset.
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            each.close()


async def _all_or_none(*work: Coroutine[Any, Any, None]) -> None:
    """Run all awaitables to completion; if one fails, cancel the others and raise its error."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _obey(proxy: Proxy, line: str) -> str:
    command, *values = line.split() or [""]
    if command == "cut":
        return f"cut {proxy.cut()}"
    if command == "hold":
        proxy.hold()
    elif command == "release":
        proxy.release()
    elif command == "delay" and values:
        proxy.delay_ms = float(values[0])
    else:
        return "cut | hold | release | delay N"
    return command


def main() -> None:
    """Run a proxy until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.proxy")
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: any)")
    parser.add_argument("--delay-ms", type=float, default=0, help="round trip time to add")
    options = parser.parse_args()
    host, _, port = options.target.rpartition(":")
    # Blocked before the proxy's thread starts, so that only the wait below receives the signals.
    ending = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    proxy = Proxy(host, int(port), listen=options.port, delay_ms=options.delay_ms)
    with closing(proxy):
        print(proxy.port, flush=True)

        def listen() -> None:
            for line in sys.stdin:
                print(_obey(proxy, line), flush=True)

        threading.Thread(target=listen, daemon=True).start()
        signal.sigwait(ending)


if __name__ == "__main__":
    main()
