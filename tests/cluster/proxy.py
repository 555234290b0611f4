"""A TCP proxy on loopback that cuts, holds and delays what goes through it.

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
# Enough in flight for the bandwidth of loopback with the delay of an ocean.
_CHUNKS_IN_FLIGHT = 512


class Proxy:
    """Passes connections on to one address, in a thread of its own.

    Attributes:
        port: Where it listens on 127.0.0.1.
        delay_ms: The round trip time it adds, half of it each way; may be set at any time.
        cuts: How many times connections were cut.
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
        """How many connections are open now."""
        return self._call(self._count())

    def cut(self) -> int:
        """Reset every open connection on both sides, and return how many there were."""
        return self._call(self._cut())

    def cut_after(self, size: int) -> None:
        """Reset every open connection once, when so many more bytes have passed."""
        self._budget = size

    def hold(self) -> None:
        """Become a black hole: accept and keep connections, but pass nothing on."""
        self._call(self._set_passing(False))

    def release(self) -> None:
        """End the hold; what was sent meanwhile arrives now."""
        self._call(self._set_passing(True))

    def freeze(self) -> None:
        """Pass nothing more on over what is open, without an end; new connections work."""
        self._call(self._freeze())

    def close(self) -> None:
        """Reset what is open and stop listening."""
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
        # Not asyncio's server: closed while it accepts, it forgets the socket.
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
            return  # it went away meanwhile
        link = _Link([connection])
        link.task = self._loop.create_task(self._serve(link.sockets))
        self._links.add(link)
        # Not in the task: one that is cancelled before it began would close nothing.
        link.task.add_done_callback(lambda _: self._end(link))

    def _end(self, link: _Link) -> None:
        self._links.discard(link)
        link.close()

    async def _serve(self, sockets: list[socket.socket]) -> None:
        # The kernel has answered the handshake already, so it is charged here.
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

        async def take() -> None:
            data = b"-"
            while data:
                data = await self._loop.sock_recv(source, _CHUNK)
                await queue.put((clock() + self.delay_ms / 2000, data))

        async def give() -> None:
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

        await _all_or_none(take(), give())

    def _charge(self, size: int) -> None:
        """Count what has passed; over the budget of `cut_after` everything is cut."""
        if self._budget is None:
            return
        self._budget -= size
        if self._budget < 0:
            self._budget = None
            self._loop.create_task(self._cut())


class _Link:
    """One connection: the client's side, and the server's once it is there."""

    task: asyncio.Task[None]

    def __init__(self, sockets: list[socket.socket]) -> None:
        self.sockets = sockets

    def close(self) -> None:
        """End both sides as the task ended; a cut or an error on one side resets both."""
        broken = self.task.cancelled() or self.task.exception() is not None
        for each in self.sockets:
            if broken:
                # Lingering for 0 s makes closing it send a reset instead of an end.
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            each.close()


async def _all_or_none(*work: Coroutine[Any, Any, None]) -> None:
    """Run all to their ends; when one fails, cancel the others and raise its error."""
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
    # Before the proxy's thread starts, so that the signals wait for the one below.
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
