"""Follow one task in the background loop: start its runner, receive its reports, retry, clean up."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import linecache
import logging
import time
from collections.abc import Callable, Mapping

from ..backends.base import CONNECTING, Backend, Phase, Termination, refusal_text
from ..channel.channel import TakenOver
from ..channel.frame_check import check_frame
from ..channel.job import RunnerResult, phase_of_state
from ..config.options import PLAIN
from ..diagnosis.model import GATED
from ..errors import ClusterError, NoStream, PodtaskError, StartError, ended_by_user
from ..event_loop import Loop, loop
from ..manifest import owner_secrets
from ..manifest.pod_manifest import PodManifest
from ..runner import protocol
from ..runner.safe_text import safe_text
from .interfaces import Launcher, RunnerChannel, StartedRunner
from .notification import notification_text, run_notify_command, show_late_note
from .outcome import AUTO, Outcome, decode, termination_error
from .saved_values import with_saved_values
from .updates import Update, UpdateLog, Usage
from .wait import (
    MAX_LOG_SECONDS,
    MAX_LOST_LOG_SECONDS,
    ContactLost,
    enforce_timeout,
    first_end,
    read_result_from_log,
)

log = logging.getLogger(__name__)
NO_REACTION_SECONDS = 10  # after an interrupt, until the user is told how to delete the pod
NOT_STARTED = ("Pending", "Starting")  # phases of a pod whose cell has not started
# Time in an admission queue does not count as part of the start, nor does an image that is being pulled, nor the time
# that a cell of a session waits for the one before it.
NOT_COUNTED = (GATED, "Pulling", "Waiting")
FETCHING = Phase("Fetching")
MAX_PHASES = 1000  # whoever may change the status of the pod may change it without end
# (hash of the template, notice) of the notices that this kernel has shown.
shown_notices: set[tuple[int, str]] = set()


class TaskFollower:
    """Follows one task in the background loop, from its submission on; also the task's listener.

    Args:
        launcher: Starts or finds the runner.
        on_end: Called in the event loop with the outcome, once ``done`` holds it.

    Attributes:
        name: Name of the pod.
        status: Pending or Running; after the end the status of the outcome.
        phase: The current phase; it began at ``phase_since`` (monotonic).
        began: When the task was submitted (monotonic).
        ended: When it ended (monotonic); None while it runs.
        phases: The phases so far, each with its start (monotonic); the last ones of very many.
        start_time_left: Seconds until a task that has not started fails.
        where: Pod and container in words.
        manifest: The pod as it was sent or found; None before that.
        backend: The backend that runs the runner; None before it is started.
        channel: The channel to the runner; None before it is started.
        submitted: Done once the pod, and the Secrets of a detached task, exist; or once the task has ended.
        done: Holds the outcome once the task has ended.
        refused_streams: Transport -> how it was refused last while the container was running.
        notices: Notices on its template and options, also those that were shown before.
        stuck_sidecars: The sidecars that do not start: name -> cause.
        notification: What a notification says of the ended task; empty if none is due.
        stopped: Whether the user has stopped the task. A runner that has not started must not start.
    """

    def __init__(self, launcher: Launcher, on_end: Callable[[Outcome], None]) -> None:
        self.launcher = launcher
        self.name = launcher.name
        self.status = "Pending"
        self.phase = Phase("Pending") if launcher.options.local else CONNECTING
        self.phase_since = time.monotonic()
        self.began = self.phase_since - launcher.pack_seconds
        self.phases = [(Phase("Packing"), self.began), (self.phase, self.phase_since)]
        self.ended: float | None = None
        self.start_time_left = launcher.options.start_seconds
        self.where = ""
        self.url = ""
        self.manifest: PodManifest | None = None
        self.update_log = UpdateLog()
        self.backend: Backend | None = None
        self.channel: RunnerChannel | None = None
        self.submitted: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.done: concurrent.futures.Future[Outcome] = concurrent.futures.Future()
        self.cancelled = asyncio.Event()
        self.refused_streams: dict[str, str] = {}
        self.notices: list[str] = []
        self.stuck_sidecars: dict[str, str] = {}
        self.notification = ""
        self.stopped = False
        self._notifies = launcher.options.notify and not launcher.resumed
        self._interrupted_early = False  # before there was a channel
        self.loop: Loop = loop()
        self.loop.start(self._run(on_end))

    async def interrupt(self) -> None:
        """Interrupt the cell. Cancel the task if the cell has not started or cannot be interrupted."""
        resumed = self.launcher.resumed
        if self.channel is None and resumed:
            self._interrupted_early = True  # never delete another kernel's cell because it is slow to find
            return
        is_sent_nothing = self.channel is not None and (self.channel.one_way or self.channel.follows_only)
        if self.channel is None or is_sent_nothing or (self.status == "Pending" and not resumed):
            self.cancelled.set()
            return
        await self.channel.interrupt()
        await asyncio.sleep(NO_REACTION_SECONDS)
        if not self.done.done():
            end = "end the process" if self.launcher.options.local else "delete the pod"
            if self.launcher.options.session:
                end = "end its process, with all variables of the session"
            self.on_note(f"The cell has not reacted for {NO_REACTION_SECONDS} s. Interrupt again to {end}.")

    # -- what the runner, its backend and its channel report -------------------------------------------

    def on_manifest(self, manifest: PodManifest) -> None:
        """Receive the pod, before it is created or when it is found."""
        self.name, self.manifest = manifest.task, manifest

    def on_phase(self, phase: Phase) -> None:
        """Receive a phase, and ignore one that is older than what the runner has reported, or that comes late."""
        if self.done.done():
            return
        if self.status == "Running" and phase.name in NOT_STARTED:
            return  # the API server shows a running container up to a second late
        if self.phase.name == FETCHING.name and phase.name == "Running":
            return  # the pod runs on, but the cell has ended
        name, text, hint = safe_text(phase.name), safe_text(phase.text), safe_text(phase.hint)
        phase = dataclasses.replace(phase, name=name, text=text, hint=hint)
        if phase != self.phase:
            self.phase, self.phase_since = phase, time.monotonic()
            self.phases.append((phase, self.phase_since))
            if len(self.phases) > MAX_PHASES:
                del self.phases[1]  # its time counts for the first one
            self.update_log.append(Update("phase", str(phase)))

    def on_note(self, text: str) -> None:
        """Receive a line for the user."""
        self.update_log.append(Update("note", safe_text(text)))

    def on_runner_note(self, text: str) -> None:
        """Receive a line of the runner for the user; print it if the task has ended."""
        if self.done.done():
            show_late_note(text)
        else:
            self.on_note(text)

    def on_notice(self, text: str) -> None:
        """Receive a notice; show it only if no cell of this kernel with the same template has shown it."""
        text = safe_text(text)
        self.notices.append(text)
        key = hash(self.launcher.options.template), text
        if key not in shown_notices:
            shown_notices.add(key)
            self.on_note(text)

    def on_stuck_sidecars(self, causes: Mapping[str, str]) -> None:
        """Receive the sidecars that do not start; the last report remains when the task has ended."""
        if not self.done.done():
            self.stuck_sidecars = {safe_text(name): safe_text(cause) for name, cause in causes.items()}

    def on_stream_refused(self, transport: str, reason: str) -> None:
        """Receive how a stream was refused, and show it until the cell has started."""
        self.refused_streams[transport] = reason
        if self.status == "Pending":
            self.on_phase(Phase("Running", refusal_text(self.refused_streams), waiting=True))

    def on_frame(self, frame: protocol.Frame) -> None:
        """Receive a frame of the runner; ignore one that comes after the end.

        Raises:
            TaskError: The frame is malformed.
        """
        if self.done.done():
            return
        check_frame(frame)
        if frame.kind == protocol.STATE:
            self._delete_read_secrets()
            if self.launcher.resumed and self.channel is not None and not self.channel.found_ended:
                self._notifies = self._notifies or bool(frame.meta.get("notify"))
            is_plain = self.launcher.options.results == PLAIN  # its errors have no lines to show
            if self.launcher.resumed and not is_plain and frame.meta.get("source"):
                _cache_source(str(frame.meta["filename"]), str(frame.meta["source"]))
            self.status = "Running"
            self.on_phase(phase_of_state(frame.meta))
        elif frame.kind == protocol.RESULT:
            self.on_phase(FETCHING)
            return
        self.update_log.append(Update("frame", frame=frame))

    def on_usage(self, frame: protocol.Frame) -> None:
        """Receive what the container uses.

        Raises:
            TaskError: The frame is malformed.
        """
        check_frame(frame)
        self.update_log.set_usage(Usage.from_meta(frame.meta))

    def _delete_read_secrets(self) -> None:
        """Delete the Secrets that brought the cell: it has begun."""
        self.launcher.on_cell_begun()
        if self.backend is not None and self.channel is not None and not self.channel.follows_only:
            self.loop.background(self.backend.delete_read_secrets())

    async def wait_for_room(self) -> None:
        """Wait until at most MAX_AHEAD_BYTES were received but not shown."""
        await self.update_log.wait_for_room()

    # -- the life of the task ----------------------------------------------------------------------

    async def _run(self, on_end: Callable[[Outcome], None]) -> None:
        try:
            outcome = await self._follow()
        except asyncio.CancelledError:  # the interpreter exits, and nobody waits or looks any more
            self.done.cancel()
            return
        except BaseException as error:  # noqa: BLE001 -- every error is raised where the user waits
            log.debug("%s: %s", self.name, type(error).__name__)
            status = "failed"
            if isinstance(error, KeyboardInterrupt):
                status, error = "cancelled", error.with_traceback(None)  # its frames are podtask's own
            outcome = Outcome(status, error=error)
        self.ended = time.monotonic()
        self.status = outcome.status
        log.debug("%s has ended: %s", self.name, outcome.status)
        if self._notifies and not isinstance(outcome.error, (TakenOver, ContactLost, KeyboardInterrupt)):
            called = self.launcher.options.name or self.name
            self.notification = notification_text(called, self.status, self.ended - self.began)
            self.loop.background(run_notify_command(self.notification))
        self.launcher.free_inputs()
        if self.channel is not None:
            self.channel.free_values()
        if not self.submitted.done():
            self.submitted.set_result(None)
        self.done.set_result(outcome)
        self.update_log.append(Update("done"))
        on_end(outcome)

    async def _follow(self) -> Outcome:
        next_in_job: Callable[[], StartedRunner] | None = None
        while True:
            started = next_in_job() if next_in_job else await self._start_runner()
            next_in_job = started.next_in_job
            if self.launcher.resumed:  # the limit of the task, which is known now
                self.start_time_left = self.launcher.options.start_seconds
            self.backend, self.channel = started.backend, started.channel
            self.where, self.url = started.where, started.backend.url
            if not self.submitted.done():
                self.submitted.set_result(None)
            if self._interrupted_early:
                await started.channel.interrupt()  # sent once the channel is connected
            # Registered after the session with the cluster, so that this is closed first.
            self.loop.at_exit(self._delete_unstarted)
            try:
                result = await self._follow_runner(started)
            finally:
                self.loop.not_at_exit(self._delete_unstarted)
            if isinstance(result, RunnerResult):
                options = self.launcher.options
                if self.manifest is not None and not started.channel.follows_only:
                    result = await with_saved_values(result, self.manifest, options, self, self.cancelled)
                # Only the kernel that submitted a task knows the names that its cell was asked for.
                wanted = (AUTO,) if self.launcher.resumed else options.outputs
                return await asyncio.to_thread(
                    decode, result, self.where, self.launcher.hint_for, options.results == PLAIN, wanted
                )
            log.debug("%s: retry: %s", self.name, result)
            self.on_note(result)
            self.status = "Pending"

    async def _start_runner(self) -> StartedRunner:
        """Start the runner, but stop waiting for it when the task is cancelled or its start timeout passes."""
        starting = asyncio.ensure_future(self.launcher.start_runner(self))
        cancelling = asyncio.ensure_future(self.cancelled.wait())
        began = time.monotonic()
        try:
            await asyncio.wait(
                {starting, cancelling},
                timeout=max(0.0, self.start_time_left),
                return_when=asyncio.FIRST_COMPLETED,
            )
        except asyncio.CancelledError:
            starting.cancel()
            raise
        finally:
            cancelling.cancel()
        self.start_time_left -= time.monotonic() - began
        if starting.done():
            return starting.result()
        self.stopped = True
        self.loop.background(_discard(starting, self.launcher.resumed))
        if not self.cancelled.is_set():
            raise self._start_timeout_error()
        kind, created = ("process", "started") if self.launcher.options.local else ("pod", "created")
        raise ended_by_user(KeyboardInterrupt, f"stopped; {kind} {self.name} was not {created}.")

    async def _follow_runner(self, started: StartedRunner) -> RunnerResult | str:
        """Return the result, or why the cell is run again in a new pod. Delete the pod unless it must be kept."""
        follows_only = started.channel.follows_only
        delete = not follows_only
        try:
            end = await first_end(started.backend, started.channel, self.cancelled, self._enforce_deadlines())
            if end is None:
                await started.leave()
                raise ended_by_user(KeyboardInterrupt, self._cancelled_text(follows_only))
            if isinstance(end, Termination) and end.started:
                delete = False  # until the log is read: it may hold the only copy of the result
                end, is_read = await self._read_result(started, end)
                delete = is_read and not follows_only
            reason = self.launcher.retry_reason(end)
            if reason:
                delete = delete and started.next_in_job is None  # else it goes with the Job
                return reason
            if isinstance(end, RunnerResult):
                return end
            raise termination_error(self.name, end)
        except ClusterError as error:
            reason = self.launcher.retry_reason(error) if isinstance(error, NoStream) else ""
            if reason:
                return reason
            if isinstance(error, NoStream) and self.launcher.is_enclosed:
                error = NoStream(
                    f"{error.message.rstrip('.')}. {self.name} keeps running without this notebook.",
                    f"%podtask logs {self.name} shows its output; once it has ended, %podtask attach {self.name} "
                    "reads its result from its log.",
                )
            # A cell that has started may still have its result; another kernel's pod is not ours.
            may_run = self.status != "Pending" or self.launcher.resumed or self.launcher.is_enclosed
            delete = delete and not may_run
            raise error from None
        except (TakenOver, StartError, ContactLost, asyncio.CancelledError) as error:
            # Another kernel follows the task, or this kernel ends. Another kernel's pod may also be
            # running without being reachable from here.
            delete = isinstance(error, StartError) and not self.launcher.resumed
            raise
        finally:
            if delete and not started.stays:
                self.loop.background(_delete(started.backend))
            else:
                log.debug("%s: its pod is kept", self.name)
                started.backend.release()

    async def _delete_unstarted(self) -> None:
        """Delete the pod of a cell that nobody will send, because this process ends before the pod has started."""
        launcher, channel, backend = self.launcher, self.channel, self.backend
        if launcher.options.local or launcher.is_enclosed or launcher.resumed or not (channel and backend):
            return
        if channel.reconnects < 0 and not channel.one_way:
            await _delete(backend)

    def _cancelled_text(self, follows_only: bool) -> str:
        if follows_only:
            return f"This notebook has stopped following {self.name}. It keeps running: only its owner can interrupt it."
        if self.launcher.options.session:
            if self.status == "Pending":
                return f"stopped before it ran; session {self.launcher.options.session} is as it was."
            return (
                f"stopped; the process of session {self.launcher.options.session} was ended, "
                "and its variables are lost."
            )
        if self.launcher.options.local:
            return f"stopped; process {self.name} was ended."
        return f"stopped; pod {self.name} was deleted."

    async def _read_result(
        self, started: StartedRunner, termination: Termination
    ) -> tuple[RunnerResult | Termination, bool]:
        """Return the result in the log of an ended runner, or its termination; and whether the log was read.

        Raises:
            ClusterError: The log cannot be read, and may hold the result.
        """
        try:
            limit = MAX_LOST_LOG_SECONDS if termination.lost else MAX_LOG_SECONDS
            result = await read_result_from_log(
                started.backend, started.channel, self.cancelled, limit, self._on_log_failure
            )
        except ClusterError as error:
            if not termination.lost:
                raise
            log.debug("%s: its log cannot be read: %s", self.name, error)
            return termination, False  # the log was lost with its node
        return result or termination, True

    def _on_log_failure(self, error: ClusterError) -> None:
        self.on_phase(Phase(FETCHING.name, f"{error.message.rstrip('.')}. Tries again."))

    async def _enforce_deadlines(self) -> None:
        """Raise when the cell has not started in time, or has not ended long after its timeout."""
        options = self.launcher.options
        while self.status == "Pending":
            if self.start_time_left <= 0:
                raise self._start_timeout_error()
            await asyncio.sleep(pause := min(self.start_time_left, 1.0))
            if self.phase.name not in NOT_COUNTED:
                self.start_time_left -= pause
        assert self.manifest is not None  # the runner has started
        linger = self.manifest.linger_seconds
        await enforce_timeout(
            self.name, options, linger, lambda: bool(self.channel and self.channel.connected)
        )

    def _start_timeout_error(self) -> StartError:
        seconds = self.launcher.options.start_seconds
        hint = f"{self.phase.hint} Or raise" if self.phase.hint else "Raise"
        return StartError(
            f"{self.name} has not started in {seconds:g} s (--start-timeout): {self.phase.line}",
            f"{hint} --start-timeout; kubectl describe pod shows more.",
        )


async def _delete(backend: Backend) -> None:
    """Delete a runner, and forget the owner's secret of its task."""
    await backend.delete()
    try:
        await asyncio.to_thread(owner_secrets.remove, backend.name)
    except RuntimeError:  # at the interpreter's end, no thread can be started
        owner_secrets.remove(backend.name)


async def _discard(starting: asyncio.Future[StartedRunner], resumed: bool) -> None:
    """Delete a runner that is not needed any more, once it has started; keep the runner of another kernel."""
    try:
        started = await starting
    except PodtaskError as error:
        log.debug("A runner that was not needed any more did not start: %s", error)
        return
    if resumed:
        started.backend.release()
    elif started.stays:
        await started.backend.delete()
    else:
        await _delete(started.backend)


def _cache_source(filename: str, source: str) -> None:
    """Store a cell's source lines for tracebacks, unless this kernel has a cell with that file name."""
    if not linecache.getlines(filename):
        lines = source.splitlines(keepends=True)
        linecache.cache[filename] = (len(source), None, lines, filename)
