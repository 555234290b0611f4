"""The status of one pod as time goes on: its phase and why, its sidecars, its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any

from ..cluster.events import PodEvents
from ..cluster.namespace import Namespace
from ..cluster.refusals import RequestDenied
from ..diagnosis.containers import all_held_up
from ..diagnosis.diagnose import diagnose
from ..diagnosis.endings import dead_sidecars, stop
from ..diagnosis.model import Diagnosis, one_line
from ..errors import ClusterError, InputError
from ..manifest.pod_manifest import PodManifest
from ..runner.protocol import RECORD_LINE_PREFIX
from .base import Phase, RunnerListener, Snapshot, Termination

EVENTS_AFTER = 1.0  # seconds without a running pod: the quick path asks for no events
STOP_SECONDS = 3.0  # for the status to say why the pod was told to stop
FAREWELL_SECONDS = 1.0
LAST_LINES = 5
REASON_SECONDS = 3.0  # for the status to say why a container was killed
KILLED = (137, 143)
LOG_PAUSES = (0.2, 0.5, 1.0, 2.0)
NO_LOG = b"unable to retrieve container logs for "  # with status 200, where the runtime has none


class PodStatus:
    """What is known of a pod, and what it means.

    Args:
        namespace: Namespace of the pod.
        manifest: the pod as it was sent.
        listener: Receives phases and notes.

    Attributes:
        changed: set at the next change; another event then takes its place.
    """

    def __init__(self, namespace: Namespace, manifest: PodManifest, listener: RunnerListener) -> None:
        self.changed = asyncio.Event()
        self._name = manifest.name
        self._primary = manifest.primary
        self._pods = namespace.pods
        self._listener = listener
        self._pod = manifest.pod
        self._gone = False
        self._events = PodEvents(namespace.events, self._tell)
        self._mourned: set[tuple[str, str]] = set()  # sidecars, and what was told of each
        self._mourning: set[asyncio.Task[None]] = set()

    @property
    def placed(self) -> bool:
        """Whether the pod has a node."""
        return bool(self._pod["spec"].get("nodeName"))

    def take(self, pod: dict[str, Any] | None) -> None:
        """Takes a new state of the pod; None: it is gone."""
        if pod is None:
            self._gone = True
        elif _version(pod) < _version(self._pod):
            return  # the watch may be ahead of the reply to the create call
        else:
            self._pod = pod
        self._tell()

    def found(self) -> Diagnosis:
        """Returns where the pod is."""
        return diagnose(self._pod, self._primary, self._events.seen, self._gone)

    async def ended(self) -> Termination:
        """Waits until the primary container has ended, the pod is gone, or it can never start."""
        later = asyncio.get_running_loop().call_later(EVENTS_AFTER, self._follow_events)
        started = False
        category, since = "", time.monotonic()
        try:
            while True:
                changed, found = self.changed, self.found()
                started = started or found.phase == "Running"
                if started:
                    later.cancel()
                    self._events.stop()
                    self._tell_of_sidecars()
                self._listener.on_phase(_phase(found))
                if found.category != category:
                    category, since = found.category, time.monotonic()
                left = None if found.limit is None else since + found.limit - time.monotonic()
                if found.ended or (left is not None and left <= 0):
                    found = await self._settled(found)
                    return await self._ending(found, started or found.ended)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed.wait(), left)
        finally:
            later.cancel()
            self._events.stop()

    async def stopped(self) -> tuple[str, str, bool]:
        """Returns why the pod was told to stop, what to do, and whether its place was lost.

        Waits for that to be reported.
        """
        end = time.monotonic() + STOP_SECONDS
        while True:
            changed = self.changed
            found = stop(self._pod, self._primary, self._gone)
            left = end - time.monotonic()
            if found is not None or left <= 0:
                return (found.message, found.hint, found.lost) if found else ("", "", False)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), left)

    async def drain_notes(self) -> None:
        """Waits a moment for what is still to be told of sidecars, while their logs are there."""
        if self._mourning:
            await asyncio.wait(self._mourning, timeout=FAREWELL_SECONDS)

    async def why(self) -> str:
        """Returns where the pod is, and what to change, in one line."""
        with contextlib.suppress(ClusterError):  # the status alone must do
            self._events.seen = await self._events.all(self._uid)
        return str(_phase(self.found()))

    async def events(self) -> list[dict[str, Any]]:
        """Returns the pod's events, oldest first.

        Raises:
            InputError: they may not be read.
        """
        try:
            return await self._events.all(self._uid)
        except RequestDenied as error:
            raise InputError(
                f"The events of {self._name} cannot be read: {error.server_message}",
                "Ask for a Role with verb list, resource events.",
            ) from None

    async def glimpse(self) -> Snapshot:
        """Returns the events that were seen, and the last lines of all containers but the cell's."""
        status = self._pod.get("status", {})
        listed = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        names = [
            each["name"]
            for each in listed
            if each["name"] != self._primary and "waiting" not in each.get("state", {})
        ]
        tails = await asyncio.gather(*(self._tail(name) for name in names))
        events = Counter(
            f"{each.get('reason', '')}: {one_line(each.get('message'))}" for each in self._events.seen or []
        )
        lines = (line if times == 1 else f"{line} ({times} times)" for line, times in events.items())
        return Snapshot(tuple(lines), tuple(zip(names, tails, strict=True)))

    async def logs(self, container: str | None) -> str:
        """Returns a container's log.

        Raises:
            InputError: there is no such container, or the pod is gone.
        """
        name = container or self._primary
        try:
            return await self._pods.log(self._name, name)
        except RequestDenied as error:
            raise InputError(
                f"No log of container {name!r} of {self._name}: {error.server_message}",
                "A deleted pod has none; a waiting container not yet.",
            ) from None

    async def whole_log(self) -> bytes:
        """Returns the primary container's log; nothing where it is gone or may not be read.

        Raises:
            ClusterError: the API server is not reached.
        """
        for pause in LOG_PAUSES:  # it may hold the only copy of the result
            try:
                found = await self._pods.log_bytes(self._name, self._primary)
            except RequestDenied as error:
                if error.code < 500 and error.code != 429:
                    return b""
            else:
                if not found.startswith(NO_LOG):
                    return found
            await asyncio.sleep(pause)
        return b""

    async def _settled(self, found: Diagnosis) -> Diagnosis:
        """Returns how the pod ended; of one that was killed, once the status says by what."""
        end = time.monotonic() + REASON_SECONDS
        while found.ended and found.category == "ended" and found.code in KILLED:
            changed, left = self.changed, end - time.monotonic()
            if left <= 0:
                break
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), left)
            found = self.found()
        return found

    # -- inside -------------------------------------------------------------------------------------

    @property
    def _uid(self) -> str:
        return str(self._pod["metadata"].get("uid", ""))

    def _follow_events(self) -> None:
        if self._uid:
            self._events.follow(self._uid)

    async def _ending(self, found: Diagnosis, started: bool) -> Termination:
        # Without a node nobody has connected, so no cell was sent.
        started = started and found.category != "rejected by its node" and self.placed
        verb = "ended before its result was here" if started else "cannot start"
        say = f"{self._name} {verb}: {found.message}."
        lines = await self._last_lines(found.log) if found.log else ""
        lost = found.lost or (found.category == "deleted" and not self.placed)
        # What told it to stop says more than the code that it then ended with.
        code = found.code if found.category == "ended" else None
        return Termination(say + lines, found.hint, code, started, lost)

    def _tell_of_sidecars(self) -> None:
        told = self._mourned
        stuck_ones = dict(all_held_up(self._pod, self._primary, []))
        for name, stuck in stuck_ones.items():
            if stuck.hopeless and (name, stuck.category) not in told:
                told.add((name, stuck.category))
                self._listener.on_note(f"{stuck.message}; the cell goes on. {stuck.hint}")
        for name, say in dead_sidecars(self._pod, self._primary).items():
            if (name, "ended") not in told and name not in stuck_ones and not self._gone:
                told.add((name, "ended"))
                # Beside the loop: a log that does not come must not hold up the pod's end.
                mourning = asyncio.ensure_future(self._report_dead_sidecar(name, say))
                self._mourning.add(mourning)
                mourning.add_done_callback(self._mourning.discard)

    async def _report_dead_sidecar(self, name: str, say: str) -> None:
        self._listener.on_note(f"{say}; the cell goes on.{await self._last_lines(name)}")

    async def _last_lines(self, container: str) -> str:
        """Returns what a container said last, as the rest of a line; empty where it is not known."""
        lines = (await self._tail(container)).splitlines()
        return f" Its last lines: {' | '.join(lines).strip(' |')}" if any(lines) else ""

    async def _tail(self, container: str) -> str:
        try:
            text = await self._pods.log_part(self._name, container, tailLines=str(LAST_LINES))
        except ClusterError:
            return ""
        return "\n".join(line for line in text.splitlines() if not line.startswith(RECORD_LINE_PREFIX))

    def _tell(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


def _phase(found: Diagnosis) -> Phase:
    return Phase(found.phase, found.sentence, found.waiting)


def _version(pod: dict[str, Any]) -> int:
    """The resource version as a number; comparable since Kubernetes 1.35, and in fact before."""
    return int(pod["metadata"].get("resourceVersion", 0) or 0)
