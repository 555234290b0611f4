"""Connect to the runner in a pod: by port-forward, or by exec where port-forward is forbidden, refused or fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..cluster.exec import RELAY_PROGRAM
from ..cluster.namespace import Namespace
from ..cluster.refusals import RequestDenied, expired_message
from ..cluster.unreachable import StreamRefused
from ..config.options import AUTO, EXEC, FORWARD
from ..errors import ClusterError, NoStream
from ..event_loop import ignore_result, loop
from ..manifest.pod_manifest import PodManifest
from .base import ByteStream, RunnerListener, refusal_text
from .pod_status import PodStatus

T = TypeVar("T")
Attempts = dict["asyncio.Task[tuple[ByteStream, T]]", str]  # with their transports
log = logging.getLogger(__name__)
MIN_PAUSE_SECONDS = 0.025  # between two attempts to connect; it grows
MAX_PAUSE_SECONDS = 1.0
PAUSE_GROWTH = 1.1
# An API server that is shutting down may accept a request and never answer it.
MAX_OPEN_SECONDS = 10
# Includes sending a program of 200 kB, and small inputs. It doubles with each attempt that takes longer: on a
# busy node, containerd may take half a minute to start the process of an exec.
HANDSHAKE_SECONDS = 30
MAX_HANDSHAKE_SECONDS = 240
# Then exec is tried, too: gVisor and Kata forward to a loopback that is not the runner's.
EXEC_FALLBACK_SECONDS = 1.0
# Seconds without any stream to a running container, after which the cell runs in batch mode.
BATCH_FALLBACK_SECONDS = 10.0


def relay_command(python: str, port: int) -> list[str]:
    """Return the command that relays its standard streams to the runner's port.

    With ``-I``, because other containers may be able to write to the working directory.
    """
    return [python, "-I", "-c", RELAY_PROGRAM, str(port)]


class RunnerConnector:
    """Opens streams to the runner of one pod.

    Args:
        namespace: Namespace of the pod.
        manifest: The pod.
        status: Status of the pod.
        chosen: The transport that the user chose: AUTO, FORWARD or EXEC.
        listener: Receives notes.

    Attributes:
        transport: FORWARD or EXEC: the one that connected last, or the one that is tried.
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
        self._relay = (manifest.primary, relay_command(manifest.python, self._port))
        self._status = status
        self._chosen = chosen
        self._listener = listener
        self._reported_codes: set[int] = set()  # of refused requests
        self._opened = False  # whether a stream was ever allowed: the cell may have started
        self._transports = self._allowed_transports()
        self._handshake_seconds = HANDSHAKE_SECONDS
        self._silent_since: float | None = None  # since then streams open, but the runner does not answer
        self._refusals: dict[str, str] = {}  # transport -> how it was refused last while the container ran
        self._refused_since: float | None = None  # since then every transport is refused
        self.transport = self._transports[0]

    async def connect(self, handshake: Callable[[ByteStream], Awaitable[T]]) -> T:
        """Connect as soon as the pod has a node: its port may answer well before the phase is "Running".

        Up to Kubernetes 1.35 the API shows a running container up to a second late.

        Args:
            handshake: Returns a value once it has succeeded on a stream; raises OSError if it fails.

        Raises:
            NoStream: Neither port-forward nor exec is allowed or works, and neither ever did.
            ClusterError: The chosen transport is not allowed, and never was.
        """
        while not self._status.is_scheduled:
            await self._status.state_changed.wait()
        pause = MIN_PAUSE_SECONDS
        running = False
        self._silent_since = None
        self._handshake_seconds = HANDSHAKE_SECONDS
        overlap = 1 + int(self._namespace.round_trip / MIN_PAUSE_SECONDS)
        attempts: Attempts[T] = {}
        try:
            while True:
                for transport in self._transports_to_try(running):
                    count = list(attempts.values()).count(transport)
                    # Only port-forward attempts overlap: each exec starts a process. While no slot is free,
                    # one attempt per task is enough.
                    may_overlap = transport == FORWARD and self._namespace.has_free_slot
                    if count < (overlap if may_overlap else 1):
                        attempts[asyncio.ensure_future(self._try(handshake, transport))] = transport
                await asyncio.wait(attempts, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                connected = self._first_connected(attempts, running)
                if connected is not None:
                    return connected[1]
                if self._is_refused_for_good() and await self._is_api_server_available():
                    raise self._no_stream()
                await self.pause(pause)
                pause = min(MAX_PAUSE_SECONDS, pause * PAUSE_GROWTH)
                if not running and self._status.diagnosis().phase == "Running":
                    running, pause = True, MIN_PAUSE_SECONDS
        finally:
            for each in attempts:
                each.cancel()
                each.add_done_callback(_close_late_stream)

    def _first_connected(self, attempts: Attempts[T], running: bool) -> tuple[ByteStream, T] | None:
        """Remove the attempts that have ended, and return the first successful connection."""
        for each in [each for each in attempts if each.done()]:
            transport = attempts.pop(each)
            try:
                connection = each.result()
            except RequestDenied as error:
                self._refused(transport, error)
            except StreamRefused as error:
                log.debug("%s: %s is refused: %s", self._name, transport, error)
                if running:
                    self._refusals[transport] = str(error)
                    self._listener.on_stream_refused(transport, str(error))
            except (OSError, asyncio.TimeoutError):
                continue  # the runner does not answer yet
            else:
                self.transport = transport
                return connection
        return None

    def _allowed_transports(self) -> list[str]:
        return [FORWARD, EXEC] if self._chosen == AUTO else [self._chosen]

    def _transports_to_try(self, running: bool) -> list[str]:
        """Return the transports to try: the current one, and also the other if the current one does not work."""
        silent = (
            self._silent_since is not None and time.monotonic() - self._silent_since > EXEC_FALLBACK_SECONDS
        )
        refused = self._transports[0] in self._refusals
        return self._transports if running and (silent or refused) else self._transports[:1]

    def _is_refused_for_good(self) -> bool:
        """Return whether every transport has been refused for a while, and none has ever opened a stream."""
        if self._opened or self._chosen != AUTO or not self._refusals.keys() >= set(self._transports):
            self._refused_since = None
            return False
        if self._refused_since is None:
            self._refused_since = time.monotonic()
        return time.monotonic() - self._refused_since >= BATCH_FALLBACK_SECONDS

    async def _is_api_server_available(self) -> bool:
        """Return whether the API server answers other requests: if not, streams are refused because it is away."""
        try:
            await self._namespace.pods.get(self._name)
        except ClusterError as error:
            log.debug("%s: the API server is away: %s", self._name, error)
            self._refused_since = None
            return False
        return True

    def _no_stream(self) -> NoStream:
        error = NoStream(
            f"No stream to {self._name} can be opened: {refusal_text(self._refusals)}.",
            "A proxy before the API server may not pass WebSockets: ask its administrator.",
        )
        error.summary = error.message
        return error

    async def _try(
        self, handshake: Callable[[ByteStream], Awaitable[T]], transport: str
    ) -> tuple[ByteStream, T]:
        async with self._namespace.opening_slot():
            return await self._open_and_authenticate(handshake, transport)

    async def _open_and_authenticate(
        self, handshake: Callable[[ByteStream], Awaitable[T]], transport: str
    ) -> tuple[ByteStream, T]:
        try:
            opening = ignore_result(asyncio.ensure_future(self._open(transport)))
            stream = await asyncio.wait_for(opening, MAX_OPEN_SECONDS)
        except asyncio.TimeoutError:
            self._silent_since = None
            raise StreamRefused(f"no answer in {MAX_OPEN_SECONDS:g} s") from None
        except OSError:
            self._silent_since = None  # nothing listens on the port
            raise
        self._opened = True
        self._refusals.pop(transport, None)
        if self._silent_since is None:
            self._silent_since = time.monotonic()
        try:
            authenticating = ignore_result(asyncio.ensure_future(handshake(stream)))
            return stream, await asyncio.wait_for(authenticating, self._handshake_seconds)
        except BaseException as error:  # also when cancelled: nothing else closes this stream
            if isinstance(error, asyncio.TimeoutError):
                self._handshake_seconds = min(MAX_HANDSHAKE_SECONDS, self._handshake_seconds * 2)
            await asyncio.shield(stream.close())
            raise

    async def _open(self, transport: str) -> ByteStream:
        if transport == FORWARD:
            return await self._namespace.forward(self._name, self._port)
        return await self._namespace.exec(self._name, *self._relay)

    def _refused(self, transport: str, error: RequestDenied) -> None:
        """Stop using a forbidden transport; raise if none is left and no stream was ever allowed."""
        if error.code == 401:  # the user must log in again; the cell keeps running
            self.report_refusal(error.code, error.server_message)
            return
        if transport in self._transports:  # another attempt may have removed it
            self._transports.remove(transport)
        if not self._transports and self._opened:  # access that was revoked may come back
            self.report_refusal(error.code)
            self._transports = self._allowed_transports()
        if self._transports:
            self.transport = self._transports[0]
            return
        self._transports = [transport]  # a later call tries again, and reports the same error
        raise self._forbidden(error)

    def report_refusal(self, code: int, message: str = "") -> None:
        """Report once for each status code that access to a task that may be running is refused."""
        log.debug("%s: access was refused with status %s", self._name, code)
        if code in self._reported_codes:
            return
        self._reported_codes.add(code)
        if code == 401:
            message = expired_message(self._namespace.context, message)
            self._listener.on_note(f"{message}: log in again; {self._name} keeps running.")
        else:
            self._listener.on_note(
                f"Access to {self._name} was revoked (verbs get and create, resource pods/portforward, "
                "pods/exec or pods/log). The task keeps running, and podtask keeps trying to connect."
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
        """Sleep, but wake up when the pod changes."""
        started = time.monotonic()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._status.state_changed.wait(), seconds)
        await asyncio.sleep(max(0.0, min(MIN_PAUSE_SECONDS, seconds) - (time.monotonic() - started)))


def _close_late_stream(late: asyncio.Task[tuple[ByteStream, T]]) -> None:
    """Close the stream of a losing attempt; a cancelled attempt may still succeed."""
    if not late.cancelled() and late.exception() is None:
        loop().background(late.result()[0].close())
