"""How a pod's runner is reached: by port-forward, and by exec where that is forbidden or of no use."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..cluster.exec import RELAY
from ..cluster.namespace import Namespace
from ..cluster.refusals import RequestDenied, expired
from ..config.options import AUTO, EXEC, FORWARD
from ..errors import ClusterError, NoStream
from ..event_loop import ignore_result, loop
from ..manifest.pod_manifest import PodManifest
from .base import ByteStream, RunnerListener
from .pod_status import PodStatus

T = TypeVar("T")
Tries = dict["asyncio.Task[tuple[ByteStream, T]]", str]  # with their ways
QUICK = 0.025  # seconds between two tries to connect, at first
SLOW = 1.0
GROWTH = 1.1
# An API server that is about to go may take a request and never answer it.
OPEN_SECONDS = 10
GREET_SECONDS = 30  # in which a program of 200 kB, and small inputs, are sent as well
MUTE_SECONDS = 1.0  # gVisor and Kata forward to a loopback that is not the runner's


class RunnerConnector:
    """Opens streams to the runner of one pod.

    Args:
        namespace: Namespace of the pod.
        manifest: the pod.
        status: of the pod, as time goes on.
        chosen: AUTO, FORWARD or EXEC.
        listener: Receives notes.

    Attributes:
        way: FORWARD or EXEC, the one that connected last or is tried.
    """

    def __init__(
        self,
        namespace: Namespace,
        manifest: PodManifest,
        status: PodStatus,
        chosen: str,
        listener: RunnerListener,
    ) -> None:
        self._namespace = namespace
        self._name = manifest.name
        self._port = manifest.port
        self._relay = (manifest.primary, [manifest.python, "-c", RELAY, str(self._port)])
        self._status = status
        self._chosen = chosen
        self._listener = listener
        self._told: set[int] = set()  # codes of refusals
        self._opened = False  # streams were allowed once: a cell may have begun
        self._ways = self._all_ways()
        self._mute: float | None = None  # since when streams open that nobody answers on
        self.way = self._ways[0]

    async def connect(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
        """Tries from the moment the pod has a node: its port may answer long before "Running".

        Up to Kubernetes 1.35 the API shows a container running as much as a second late.

        Args:
            greet: says what a stream is good for; raises OSError where it is not.

        Raises:
            NoStream: neither port-forward nor exec is allowed, and neither ever was.
            ClusterError: the same of the chosen one.
        """
        while not self._status.placed:
            await self._status.changed.wait()
        pause = QUICK
        running = False
        self._mute = None
        overlap = {FORWARD: 1 + int(self._namespace.round_trip / QUICK), EXEC: 1}  # that is a process
        tries: Tries[T] = {}
        try:
            while True:
                for way in self._due(running):
                    if list(tries.values()).count(way) < overlap[way]:
                        tries[asyncio.ensure_future(self._try(greet, way))] = way
                await asyncio.wait(tries, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                found = self._first(tries)
                if found is not None:
                    return found[1]
                await self.pause(pause)
                pause = min(SLOW, pause * GROWTH)
                if not running and self._status.found().phase == "Running":
                    running, pause = True, QUICK
        finally:
            for each in tries:
                each.cancel()
                each.add_done_callback(_leave)

    def _first(self, tries: Tries[T]) -> tuple[ByteStream, T] | None:
        """Takes tries out that are done; returns what a good one has come to."""
        for each in [each for each in tries if each.done()]:
            way = tries.pop(each)
            try:
                found = each.result()
            except RequestDenied as error:
                self._refused(way, error)
            except (OSError, asyncio.TimeoutError):
                continue  # not yet
            else:
                self.way = way
                return found
        return None

    def _all_ways(self) -> list[str]:
        return [FORWARD, EXEC] if self._chosen == AUTO else [self._chosen]

    def _due(self, running: bool) -> list[str]:
        """Returns the ways to try: the first; the other, too, when the first leads nowhere."""
        mute = self._mute is not None and time.monotonic() - self._mute > MUTE_SECONDS
        return self._ways if running and mute else self._ways[:1]

    async def _try(self, greet: Callable[[ByteStream], Awaitable[T]], way: str) -> tuple[ByteStream, T]:
        try:
            opening = ignore_result(asyncio.ensure_future(self._open(way)))
            stream = await asyncio.wait_for(opening, OPEN_SECONDS)
        except (OSError, asyncio.TimeoutError):
            self._mute = None  # nobody is there to forward
            raise
        self._opened = True
        if self._mute is None:
            self._mute = time.monotonic()
        try:
            greeting = ignore_result(asyncio.ensure_future(greet(stream)))
            return stream, await asyncio.wait_for(greeting, GREET_SECONDS)
        except BaseException:  # cancelled too: nobody else knows of this stream
            await asyncio.shield(stream.close())
            raise

    async def _open(self, way: str) -> ByteStream:
        if way == FORWARD:
            return await self._namespace.forward(self._name, self._port)
        return await self._namespace.exec(self._name, *self._relay)

    def _refused(self, way: str, error: RequestDenied) -> None:
        """Goes on without a way that is forbidden; raises where none is left and none ever was."""
        if error.code == 401:  # no end of the task, whose cell goes on
            self.tell(error.code, error.server_message)
            return
        if way in self._ways:  # another try has said so already
            self._ways.remove(way)
        if not self._ways and self._opened:  # a right that was taken away may come back
            self.tell(error.code)
            self._ways = self._all_ways()
        if self._ways:
            self.way = self._ways[0]
            return
        self._ways = [way]  # what is asked again is answered again
        raise self._forbidden(error)

    def tell(self, code: int, message: str = "") -> None:
        """Says once that a task which may run is refused to us, by the code of the answer."""
        if code in self._told:
            return
        self._told.add(code)
        if code == 401:
            say = expired(self._namespace.context, message)
            self._listener.on_note(f"{say}: log in again; {self._name} keeps running.")
        else:
            self._listener.on_note(
                f"Access to {self._name} was taken away (verbs get and create, resource "
                "pods/portforward, pods/exec or pods/log); it keeps running, and is tried again."
            )

    def _forbidden(self, error: RequestDenied) -> ClusterError:
        if self._chosen != AUTO:
            return error
        return NoStream(
            f"You may neither forward ports of pods in {self._namespace.name} nor run a relay in them "
            "(verbs get and create, resource pods/portforward or pods/exec).",
            f"Ask for a Role with one of them: {error.server_message}",
        )

    async def pause(self, seconds: float) -> None:
        """Sleeps, but wakes when the pod changes."""
        started = time.monotonic()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._status.changed.wait(), seconds)
        await asyncio.sleep(max(0.0, min(QUICK, seconds) - (time.monotonic() - started)))


def _leave(late: asyncio.Task[tuple[ByteStream, T]]) -> None:
    """Closes the stream of a try that came second; cancelled, one may still come to an end of its own."""
    if not late.cancelled() and late.exception() is None:
        loop().background(late.result()[0].close())
