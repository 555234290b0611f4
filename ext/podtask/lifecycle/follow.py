"""A task as it goes: three loops follow it (status, channel, deadline) until its end is known."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time

from ..backends.base import CONNECTING, Backend, Termination
from ..channel.channel import TakenOver
from ..channel.job import RunnerResult, step
from ..diagnosis.model import WAITS
from ..errors import ClusterError, NoStream, PodtaskError, StartError
from ..event_loop import Loop, loop
from ..manifest.pod_manifest import PodManifest
from ..runner import protocol
from .interfaces import Launcher, RunnerChannel, StartedRunner, TaskListener
from .outcome import Outcome, decode, lost
from .updates import Update, UpdateLog
from .wait import ContactLost, enforce_timeout, left, race

UNHEARD_SECONDS = 10
BEFORE = ("Pending", "Starting")  # phases of a pod whose cell has not begun
FETCHING = "Fetching"


class TaskFollower:
    """Follows one task in the background loop, from when it is made.

    Args:
        course: how it gets at its runner.

    Attributes:
        name: of the pod.
        status: Pending, Running, ok, error, ... in the words of Kubernetes and of the runner.
        phase: what the backend last said; ``phase_since``: when (monotonic).
        began: when its cell was taken (monotonic).
        steps: each phase with its sentence, and when it began (monotonic).
        patience: seconds until a pod that waits is given up.
        where: pod and container, in words.
        pod: as it was sent, or found; empty before that.
        done: has the outcome when it has ended.
    """

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher
        self.name = launcher.name
        self.status = "Pending"
        self.phase = "Pending" if launcher.options.local else CONNECTING
        self.phase_since = time.monotonic()
        self.began = self.phase_since - launcher.pack_seconds
        self.steps: list[tuple[str, float]] = [
            ("Packing", self.began),
            (self.phase, self.phase_since),
        ]
        self.ended: float | None = None
        self.start_time_left = launcher.options.start_timeout
        self.where = ""
        self.url = ""
        self.manifest: PodManifest | None = None
        self.feed = UpdateLog()
        self.placement: Backend | None = None
        self.channel: RunnerChannel | None = None
        self.done: concurrent.futures.Future[Outcome] = concurrent.futures.Future()
        self.cancelled = asyncio.Event()
        self._early = False  # interrupted before there was a channel
        self.loop: Loop = loop()
        self.loop.start(self._run())

    async def interrupt(self) -> None:
        """Raises KeyboardInterrupt in the cell; ends a task that has not begun, or cannot be told."""
        resumed = self.launcher.resumed
        if self.channel is None and resumed:
            self._early = True  # another kernel's cell is not deleted for being slow to find
            return
        if self.channel is None or self.channel.one_way or (self.status == "Pending" and not resumed):
            self.cancelled.set()
            return
        await self.channel.interrupt()
        await asyncio.sleep(UNHEARD_SECONDS)
        if not self.done.done():
            self._note(f"The cell has not reacted in {UNHEARD_SECONDS} s; interrupt again to delete the pod.")

    async def _run(self) -> None:
        try:
            outcome = await self._follow()
        except BaseException as error:  # noqa: BLE001 -- everything ends up at who waits
            status = "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
            outcome = Outcome(status, error=error)
        self.ended = time.monotonic()
        self.status = outcome.status
        self.done.set_result(outcome)
        self.feed.put(Update("done"))

    async def _follow(self) -> Outcome:
        listener = TaskListener(self._planned, self._on_phase, self._on_frame, self._note)
        while True:
            begun = await self._begin(listener)
            self.placement, self.channel = begun.placement, begun.channel
            self.where, self.url = begun.where, begun.placement.url
            if self._early:
                await begun.channel.interrupt()  # sent when it is connected
            found = await self._race(begun)
            if isinstance(found, RunnerResult):
                return await asyncio.to_thread(decode, found, self.where, self.launcher.hint)
            self._note(found)
            self.status = "Pending"

    async def _begin(self, listener: TaskListener) -> StartedRunner:
        """Starts the runner; cancelled or late meanwhile, it waits for no server or login that hangs."""
        beginning = asyncio.ensure_future(self.launcher.begin(listener))
        stopping = asyncio.ensure_future(self.cancelled.wait())
        try:
            await asyncio.wait(
                {beginning, stopping},
                timeout=max(0.0, self.start_time_left),
                return_when=asyncio.FIRST_COMPLETED,
            )
        except asyncio.CancelledError:
            beginning.cancel()
            raise
        finally:
            stopping.cancel()
        if beginning.done():
            return beginning.result()
        self.loop.background(_undo(beginning, self.launcher.resumed))
        if not self.cancelled.is_set():
            raise self._late()
        raise KeyboardInterrupt(f"{self.name} was cancelled before its pod was there.")

    async def _race(self, begun: StartedRunner) -> RunnerResult | str:
        """Returns the verdict, or why there is another try; what was not taken over is deleted."""
        ours = True
        try:
            found = await race(begun.placement, begun.channel, self.cancelled, self._deadline())
            if found is None:
                raise KeyboardInterrupt(f"{self.name} was cancelled and its pod deleted.")
            if isinstance(found, Termination) and found.started:
                ours = False  # until it is read: the log may hold the only copy
                found, ours = await self._read(begun, found)
            again = self.launcher.again(found)
            if again:
                return again
            if isinstance(found, RunnerResult):
                return found
            raise lost(self.name, found)
        except ClusterError as error:
            again = self.launcher.again(error) if isinstance(error, NoStream) else ""
            if again:
                return again
            # What has begun may have its result yet; and what another has started is not ours.
            ours = ours and self.status == "Pending" and not self.launcher.resumed
            raise
        except (TakenOver, StartError, ContactLost, asyncio.CancelledError) as error:
            # Somebody else follows it, or will: this kernel ends. And what another has started may
            # well run, and not be reached.
            ours = isinstance(error, StartError) and not self.launcher.resumed
            raise
        finally:
            if ours:
                self.loop.background(begun.placement.delete())
            else:
                begun.placement.leave()

    async def _read(
        self, begun: StartedRunner, ending: Termination
    ) -> tuple[RunnerResult | Termination, bool]:
        """Returns what the log says of an ended runner, else how that ended; whether it was read.

        Raises:
            ClusterError: it is not reached, and may hold the result.
        """
        try:
            return await left(begun.placement, begun.channel, self.cancelled) or ending, True
        except ClusterError:
            if not ending.lost:
                raise
            return ending, False  # the log is as far away as its node

    def _planned(self, manifest: PodManifest) -> None:
        self.name, self.manifest = manifest.name, manifest

    async def _deadline(self) -> None:
        """Raises when the cell has not begun in time, or has not ended long after its timeout."""
        options = self.launcher.options
        while self.status == "Pending":
            if self.start_time_left <= 0:
                raise self._late()
            await asyncio.sleep(pause := min(self.start_time_left, 1.0))
            if not self.phase.startswith("Gated"):  # in a queue the clock stands still
                self.start_time_left -= pause
        await enforce_timeout(self.name, options, lambda: bool(self.channel and self.channel.connected))

    def _late(self) -> StartError:
        seconds, why = self.launcher.options.start_timeout, self.phase.removesuffix(WAITS)
        return StartError(
            f"{self.name} has not started in {seconds:g} s (--start-timeout): {why}",
            "Raise --start-timeout, or see more with kubectl describe pod.",
        )

    def _on_phase(self, phase: str, say: str) -> None:
        if self.status == "Running" and phase in BEFORE:
            return  # the runner has spoken; the API may say so a second later
        if self.phase == FETCHING and phase == "Running":
            return  # so is the pod, but not the cell
        text = f"{phase}: {say}" if say else phase
        if text != self.phase:
            self.phase, self.phase_since = text, time.monotonic()
            self.steps.append((text, self.phase_since))
            self.feed.put(Update("phase", text))

    def _on_frame(self, frame: protocol.Frame) -> None:
        if frame.kind == protocol.STATE:
            self.status = "Running"
            self._on_phase(*step(frame.meta))
        elif frame.kind == protocol.RESULT:
            self._on_phase(FETCHING, "")
            return
        self.feed.put(Update("frame", frame=frame))

    def _note(self, text: str) -> None:
        self.feed.put(Update("note", text))


async def _undo(beginning: asyncio.Future[StartedRunner], resumed: bool) -> None:
    """Deletes what was begun for nobody, when it is there; what was there before stays."""
    try:
        begun = await beginning
    except PodtaskError:
        return  # it never was
    if resumed:
        begun.placement.leave()
    else:
        await begun.placement.delete()
