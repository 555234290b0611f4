"""Follow the status of one pod: its phase and the reason for it, its sidecars, its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import replace
from typing import Any

from ..cluster.events import PodEvents
from ..cluster.namespace import Namespace
from ..cluster.refusals import RequestDenied
from ..cluster.workloads import FollowedWorkload
from ..diagnosis.causes import missing_devices
from ..diagnosis.containers import PULL_CATEGORIES, SIDECAR_FAILING, start_problems
from ..diagnosis.diagnose import diagnose
from ..diagnosis.endings import dead_sidecars, diagnose_termination, killable_sidecars
from ..diagnosis.kubelet_kills import find_kill
from ..diagnosis.model import MAX_WHOLE_CHARS, Diagnosis, container_statuses, long_messages, one_line
from ..diagnosis.queueing import QueuePlace, is_queued, queue_name
from ..errors import ClusterError, InputError
from ..formatting import shorten_texts
from ..manifest.pod_manifest import PodManifest
from .base import Phase, RunnerListener, Snapshot, StopReason, Termination
from .pod_logs import PodLogs

EVENTS_AFTER_SECONDS = 1.0  # without a running pod: a quick start needs no events
STOP_REASON_SECONDS = 3.0  # until the status shows why the pod was terminated
MAX_DRAIN_SECONDS = 1.0
KILL_REASON_SECONDS = 3.0  # until the status shows why a container was killed
KILLED_EXIT_CODES = (137, 143)
ENDED = "ended"  # what was reported of a sidecar, beside the categories of diagnoses


class PodStatus:
    """The latest state of a pod, and the phase and the end that follow from it.

    Args:
        namespace: Namespace of the pod.
        manifest: The pod as it was sent.
        logs: Gives the last lines of containers that have ended.
        listener: Receives phases and notes.

    Attributes:
        state_changed: Set at the next change, and then replaced by a new event.
    """

    def __init__(
        self, namespace: Namespace, manifest: PodManifest, logs: PodLogs, listener: RunnerListener
    ) -> None:
        self.state_changed = asyncio.Event()
        self._name = manifest.name
        self._primary = manifest.primary
        self._pull_seconds = manifest.bounds.get("pull_timeout")
        self._logs = logs
        self._listener = listener
        self._pod = manifest.pod
        self._gone = False
        self._seen_versions: set[str] = {
            version for version in [manifest.pod["metadata"].get("resourceVersion")] if version
        }
        self._events = PodEvents(namespace.events, self._notify)
        self._namespace_events = namespace.events
        self._workload = FollowedWorkload(namespace.workloads, self._notify)
        self._nodes = namespace.nodes
        self._missing_devices: set[str] = set()  # for which the nodes are watched
        self._reported: set[tuple[str, str]] = set()  # (sidecar, what was reported of it)
        self._reporting: set[asyncio.Task[None]] = set()

    @property
    def manifest(self) -> PodManifest:
        """The pod in its latest state; admission may have added sidecars."""
        return PodManifest(self._pod)

    @property
    def is_scheduled(self) -> bool:
        """Whether the pod has a node."""
        return bool(self._pod["spec"].get("nodeName"))

    def update(self, pod: dict[str, Any] | None) -> None:
        """Store a new state of the pod; None means that it is gone."""
        if pod is None:
            self._gone = True
        elif not self._is_new(pod):
            return
        else:
            self._pod = {**pod, "status": shorten_texts(pod.get("status", {}))}
        self._notify()

    def update_first(self, pod: dict[str, Any]) -> None:
        """Store the state of a new pod, unless the watch has reported the pod: then it is ahead."""
        if not self._seen_versions:
            self.update(pod)

    def _is_new(self, pod: dict[str, Any]) -> bool:
        """Return whether a state has not been seen before: a watch that starts again may repeat old states.

        Resource versions are opaque: they are compared for equality only.
        """
        version = pod["metadata"].get("resourceVersion")
        is_new = version not in self._seen_versions
        if version:
            self._seen_versions.add(version)
        return is_new

    def diagnosis(self) -> Diagnosis:
        """Return the diagnosis of the current state."""
        workload, position = self._workload, self._workload.position
        place = QueuePlace(workload.found, workload.is_read, workload.missing_right)
        if position is not None:
            place = replace(place, number=position.number, count=position.count)
        absent = self._nodes.absent_of(self._missing_devices)
        found = diagnose(self._pod, self._primary, self._events.seen, self._gone, place, absent)
        if self._pull_seconds is None or found.category not in PULL_CATEGORIES:
            return found
        return replace(found, give_up_seconds=self._pull_seconds)

    async def wait_until_ended(self) -> Termination:
        """Wait until the primary container has ended, the pod is gone, or it can never start."""
        later = asyncio.get_running_loop().call_later(EVENTS_AFTER_SECONDS, self._follow_events)
        started = False
        category, since = "", time.monotonic()
        try:
            while True:
                self._follow_queue()
                self._follow_nodes(set() if self._gone else missing_devices(self._pod))
                changed, diagnosis = self.state_changed, self.diagnosis()
                if diagnosis.phase == "Running" and not started:
                    started = True
                    later.cancel()
                    self._events.stop()
                if started:
                    self._report_sidecars()
                self._listener.on_phase(Phase.from_diagnosis(diagnosis))
                if diagnosis.category != category:
                    category, since = diagnosis.category, time.monotonic()
                limit = diagnosis.give_up_seconds
                time_left = None if limit is None else since + limit - time.monotonic()
                if diagnosis.ended or (time_left is not None and time_left <= 0):
                    diagnosis = await self._with_kill_reason(diagnosis)
                    return await self._termination(diagnosis, started or diagnosis.ended)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed.wait(), time_left)
        finally:
            later.cancel()
            self._events.stop()
            self._workload.stop()
            self._follow_nodes(set())

    async def stop_reason(self) -> StopReason:
        """Wait until status or events show why the pod was terminated; return the reason, or an empty one after a time."""
        end = time.monotonic() + STOP_REASON_SECONDS
        self._follow_events_again()
        try:
            while True:
                changed = self.state_changed
                events = self._events.seen
                diagnosis = diagnose_termination(self._pod, self._primary, events or [], self._gone)
                time_left = end - time.monotonic()
                if diagnosis is not None:
                    return StopReason(diagnosis.message, diagnosis.hint, diagnosis.lost)
                if time_left <= 0:
                    return StopReason()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed.wait(), time_left)
        finally:
            self._events.stop()

    async def drain_notes(self) -> None:
        """Wait a moment until the notes on ended sidecars are complete: their logs go with the pod."""
        if self._reporting:
            await asyncio.wait(self._reporting, timeout=MAX_DRAIN_SECONDS)

    async def why(self) -> str:
        """Return in one line what the pod waits for and what to change."""
        with contextlib.suppress(ClusterError):  # without events the status must be enough
            self._events.seen = await self._namespace_events.list(self._uid)
        return str(Phase.from_diagnosis(self.diagnosis()))

    async def events(self) -> list[dict[str, Any]]:
        """Return the pod's events, oldest first.

        Raises:
            InputError: Reading events is forbidden.
        """
        try:
            return await self._namespace_events.list(self._uid)
        except RequestDenied as error:
            raise InputError(
                f"The events of {self._name} cannot be read: {error.server_message}",
                "Ask for a Role with verb list, resource events.",
            ) from None

    async def snapshot(self) -> Snapshot:
        """Return the events seen so far, and the last lines of all containers but the primary one."""
        names = [
            each["name"]
            for _, each in container_statuses(self._pod, self._primary)
            if each["name"] != self._primary and "waiting" not in each.get("state", {})
        ]
        tails = await asyncio.gather(*(self._logs.tail(name) for name in names))
        events = Counter(
            f"{each.get('reason', '')}: {one_line(each.get('message'), MAX_WHOLE_CHARS)}"
            for each in self._events.seen or []
        )
        lines = [line if times == 1 else f"{line} ({times} times)" for line, times in events.items()]
        lines += [line for line in long_messages(self._pod) if line not in events]
        return Snapshot(tuple(lines), tuple(zip(names, tails, strict=True)))

    async def _with_kill_reason(self, diagnosis: Diagnosis) -> Diagnosis:
        """Return how the pod ended; if a container was killed, wait until status or events show the reason."""
        end = time.monotonic() + KILL_REASON_SECONDS
        was_killed = diagnosis.category == "ended" and diagnosis.exit_code in KILLED_EXIT_CODES
        if was_killed:
            self._follow_events_again()
        while diagnosis.ended and was_killed and diagnosis.category == "ended":
            changed, time_left = self.state_changed, end - time.monotonic()
            if time_left <= 0:
                break
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), time_left)
            diagnosis = self.diagnosis()
        return diagnosis

    # -- inside -------------------------------------------------------------------------------------

    @property
    def _uid(self) -> str:
        return str(self._pod["metadata"].get("uid", ""))

    def _follow_events_again(self) -> None:
        """Follow the events of a pod that has started: they tell why the kubelet killed a container."""
        self._events.stop()
        self._events = PodEvents(self._namespace_events, self._notify)
        self._follow_events()

    def _follow_events(self) -> None:
        if self._uid:
            self._events.follow(self._uid)

    def _follow_queue(self) -> None:
        """Follow the Workload of the pod while Kueue holds the pod."""
        if self._uid and is_queued(self._pod) and not self._gone:
            self._workload.follow(self._uid, queue_name(self._pod))
        else:
            self._workload.stop()

    def _follow_nodes(self, devices: set[str]) -> None:
        """Follow the nodes while the pod waits for devices, to say if no node has one.

        Args:
            devices: Names of the devices; empty if the pod does not wait for one.
        """
        before, self._missing_devices = self._missing_devices, devices
        if devices and not before:
            self._nodes.subscribe(self._uid, self._on_nodes)
        elif before and not devices:
            self._nodes.unsubscribe(self._uid, self._on_nodes)

    def _on_nodes(self, _: dict[str, Any] | None) -> None:
        self._notify()

    async def _termination(self, diagnosis: Diagnosis, started: bool) -> Termination:
        # No connection is possible before the pod has a node, so no cell was sent.
        started = started and diagnosis.category != "rejected by its node" and self.is_scheduled
        verb = "ended before its result was fetched" if started else "cannot start"
        message = f"{self._name} {verb}: {diagnosis.message}."
        lines = await self._logs.tail_sentence(diagnosis.log_container) if diagnosis.log_container else ""
        lost = diagnosis.lost or (diagnosis.category == "deleted" and not self.is_scheduled)
        # If something else ended the container, its exit code does not tell why.
        code = diagnosis.exit_code if diagnosis.category == "ended" else None
        return Termination(message + lines, diagnosis.hint, code, started, lost)

    def _report_sidecars(self) -> None:
        """Report each sidecar that cannot start, that keeps exiting or that has ended, once for each cause."""
        reported = self._reported
        stuck_sidecars = dict(start_problems(self._pod, self._primary, []))
        self._listener.on_stuck_sidecars({name: stuck.message for name, stuck in stuck_sidecars.items()})
        for name, stuck in stuck_sidecars.items():
            if not stuck.permanent or (name, stuck.category) in reported:
                continue
            reported.add((name, stuck.category))
            if stuck.category == SIDECAR_FAILING:
                reported.add((name, ENDED))
                self._report_dead_sidecar(name, stuck.message, stuck.hint)
            else:
                self._listener.on_note(f"{stuck.message}; the cell keeps running. {stuck.hint}")
        dead = dict.fromkeys(killable_sidecars(self._pod, self._primary), "")
        dead |= dead_sidecars(self._pod, self._primary)
        for name, message in dead.items():
            if (name, ENDED) not in reported and name not in stuck_sidecars and not self._gone:
                reported.add((name, ENDED))
                self._report_dead_sidecar(name, message)

    def _report_dead_sidecar(self, name: str, message: str, hint: str = "") -> None:
        """Report a sidecar in the background: events or a log that cannot be read must not delay the pod's end.

        Args:
            name: Name of the sidecar.
            message: How it failed; empty if it is reported only if the kubelet has killed it.
            hint: What to change if the kubelet has not killed it; may be empty.
        """

        async def report() -> None:
            kill = None
            with contextlib.suppress(ClusterError):  # without events the status must be enough
                kill = find_kill(await self._namespace_events.list(self._uid), name)
            if kill is not None:
                self._reported.add((name, SIDECAR_FAILING))  # the kubelet may kill it again and again
                cause = f"the kubelet killed sidecar {name!r}: {kill.sentence} ({kill.field})"
                self._listener.on_note(
                    f"{cause}; the cell keeps running.{await self._logs.tail_sentence(name)}"
                )
            elif message:
                advice = f" {hint}" if hint else ""
                tail = await self._logs.tail_sentence(name)
                self._listener.on_note(f"{message}; the cell keeps running.{advice}{tail}")

        reporting = asyncio.ensure_future(report())
        self._reporting.add(reporting)
        reporting.add_done_callback(self._reporting.discard)

    def _notify(self) -> None:
        changed, self.state_changed = self.state_changed, asyncio.Event()
        changed.set()
