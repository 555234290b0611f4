"""The Kubernetes backend: one pod from its creation to its deletion."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from ..cluster.admission import FAILED_WEBHOOK
from ..cluster.namespace import Namespace, open_namespace
from ..cluster.refusals import Refusal, RequestDenied
from ..cluster.unreachable import CertificateRejected, Unreachable
from ..config.options import AUTO, BATCH, EXEC, FORWARD, RunOptions
from ..diagnosis.queueing import QUEUE_LABEL, is_queued, queue_name
from ..errors import ClusterError, NameTaken
from ..event_loop import loop
from ..manifest.diff import dropped_fields
from ..manifest.identity import Identity
from ..manifest.labels import KERNEL_LABEL, TASK_LABEL
from ..manifest.pod_manifest import PodManifest
from ..manifest.task_secrets import CellPart, owner_secret, part_secret, session_secret
from .base import ByteStream, Phase, RunnerListener, Snapshot, StopReason, Termination
from .pod_connect import RunnerConnector
from .pod_delete import DELETE_SECONDS, PodDeletion
from .pod_logs import PodLogs
from .pod_status import PodStatus

T = TypeVar("T")
log = logging.getLogger(__name__)
LOG_PAUSE_SECONDS = 1.0  # before a log that ended or broke off is read again
SLOW_ROUND_TRIP_SECONDS = 0.02  # from which connections are opened before they are needed
SPARE_CONNECTIONS = 4
CREATE_PAUSES_SECONDS = (0.2, 5.0)  # first and longest pause between two attempts
CREATE_TRIES = 4  # if the cause is not that the API server is away


class Pod:
    """One pod with the runner in its primary container.

    Args:
        namespace: Namespace of the pod.
        manifest: The pod as it is sent, or as it was read from the cluster.
        listener: Receives phases and notes.
        transport: How to reach the runner: AUTO, FORWARD or EXEC.
    """

    def __init__(
        self,
        namespace: Namespace,
        manifest: PodManifest,
        listener: RunnerListener,
        transport: str = AUTO,
    ) -> None:
        self.name = manifest.task
        self._namespace = namespace
        self._listener = listener
        self._transport = transport
        kernel = manifest.labels[KERNEL_LABEL]
        self._watch = namespace.watch(f"{KERNEL_LABEL}={kernel}")
        self._follow_manifest(manifest)

    def _follow_manifest(self, manifest: PodManifest) -> None:
        """Let all requests be about a pod from now on."""
        namespace = self._namespace
        self._pod_name = manifest.name
        self.url = f"{namespace.where}/{manifest.name} ({namespace.kubectl('get', 'pod', manifest.name)})"
        self._manifest = manifest
        self._logs = PodLogs(namespace, manifest.name, manifest.primary)
        self._status = PodStatus(namespace, manifest, self._logs, self._listener)
        self._connector = RunnerConnector(namespace, manifest, self._status, self._transport, self._listener)
        self._uid = str(manifest.pod["metadata"].get("uid", ""))  # a new pod gets it when it is created
        self._part_names, self._shared_names = manifest.part_names, manifest.shared_part_names
        self._deleting: asyncio.Task[bool] | None = None
        self._log_was_allowed = False  # whether a line of the log was ever read
        self._deletion = PodDeletion(namespace, manifest.name, self._watch, manifest.job, self._status.update)

    @classmethod
    async def create(cls, manifest: PodManifest, options: RunOptions, listener: RunnerListener) -> Pod:
        """Create the pod.

        Raises:
            NameTaken: Another pod has this name.
            PodtaskError: No cluster is configured, the API server does not answer, or it refuses the pod.
        """
        namespace = await open_namespace(options.context, options.namespace)
        pod = cls(namespace, manifest, listener, chosen_transport(options))
        listener.on_phase(Phase("Creating", f"in {namespace.where}"))
        pod._watch.subscribe(pod._pod_name, pod._status.update)
        try:
            await pod._create()
        except BaseException:  # a cancellation, too: a pod that was not created is not watched
            pod._watch.unsubscribe(pod._pod_name, pod._status.update)
            raise
        pod._watch.mark_created(pod._pod_name)
        return pod

    @classmethod
    def adopt(cls, namespace: Namespace, manifest: PodManifest, listener: RunnerListener) -> Pod:
        """Follow a pod that exists already.

        Args:
            namespace: Namespace of the pod.
            manifest: The pod as it was read from the cluster.
            listener: Receives phases and notes.
        """
        pod = cls(namespace, manifest, listener)
        pod._watch.subscribe(pod._pod_name, pod._status.update)
        pod._watch.mark_existing(pod._pod_name)
        return pod

    def release(self) -> None:
        """Stop following the pod without deleting it."""
        self._watch.unsubscribe(self._pod_name, self._status.update)

    async def connect(self, handshake: Callable[[ByteStream], Awaitable[T]]) -> T:
        """Connect to the runner; see :meth:`RunnerConnector.connect`."""
        return await self._connector.connect(handshake)

    async def wait_until_ended(self) -> Termination:
        """Wait until the runner has ended, or can never start."""
        return await self._status.wait_until_ended()

    async def create_secrets(self, identity: Identity, parts: Sequence[CellPart]) -> None:
        """Create the Secrets of the task: the parts of its cell, and the owner's secret.

        The pod, or the Job that creates it, owns them.

        Args:
            identity: The task.
            parts: Parts of the cell; the runner starts it once it has all.

        Raises:
            SharingDenied: This task may not use a part that other tasks have, too. The cell does not start.
            ClusterError: The API server refuses a part. The cell does not start.
        """
        secrets, owner = self._namespace.secrets, self._owner
        of_cell = {part.name: part for part in parts}.values()  # equal parts of one cell have one Secret
        created = await asyncio.gather(
            *(
                self._send_secret(
                    secrets.share if part.is_shared else secrets.create, part_secret(identity, owner, part)
                )
                for part in of_cell
            ),
            self._send_secret(secrets.create, owner_secret(identity, owner)),
            return_exceptions=True,
        )
        for error in created[:-1]:
            if error is not None:
                raise error
        if created[-1] is not None:  # the cell starts nevertheless
            log.debug("%s: the owner's secret is not in the cluster: %s", self.name, created[-1])

    async def create_session_secret(self, identity: Identity) -> str:
        """Create the Secret with the owner's secret of a session, which the pod owns; return why that is refused.

        Args:
            identity: The session.
        """
        try:
            await self._send_secret(self._namespace.secrets.create, session_secret(identity, self._owner))
        except ClusterError as error:
            log.debug("%s: the owner's secret is not in the cluster: %s", self.name, error)
            return error.message.rstrip(".")
        return ""

    async def delete_read_secrets(self) -> None:
        """Delete the Secrets that brought the cell, unless others need them; without the right to, they go with the pod."""
        secrets, uid = self._namespace.secrets, self._uid
        names, self._part_names = self._part_names, []
        shared, self._shared_names = set(self._shared_names), []
        ended = await asyncio.gather(
            *map(secrets.delete, names),
            *(secrets.release(each, uid) for each in shared),
            return_exceptions=True,
        )
        for error in ended:
            if isinstance(error, ClusterError):
                log.debug("%s: a Secret stays until the pod is deleted: %s", self.name, error)
            elif error is not None:
                raise error

    async def stop_reason(self) -> StopReason:
        """Return why the pod was terminated, a hint, and whether another pod may succeed."""
        return await self._status.stop_reason()

    async def drain_notes(self) -> None:
        """Wait a moment for notes on sidecars that have ended."""
        await self._status.drain_notes()

    async def why(self) -> str:
        """Return in one line what the pod waits for and what to change."""
        return await self._status.why()

    async def events(self) -> list[dict[str, Any]]:
        """Return the pod's events, oldest first."""
        return await self._status.events()

    async def snapshot(self) -> Snapshot:
        """Return the events seen so far and the last lines of the sidecars."""
        return await self._status.snapshot()

    async def logs(self, container: str | None) -> str:
        """Return the log of a container, by default of the primary one."""
        return await self._logs.read(container)

    async def whole_log(self) -> bytes:
        """Return the log of the primary container."""
        return await self._logs.read_whole()

    @property
    def where(self) -> str:
        """Context and namespace, separated by a slash."""
        return self._namespace.where

    @property
    def transport(self) -> str:
        """How the runner is reached: FORWARD, EXEC or BATCH."""
        return BATCH if self._manifest.is_batch else self._connector.transport

    async def follow_log(self) -> AsyncGenerator[bytes, None]:
        """Yield the lines of the primary container's log, as it grows, until it ends or breaks off.

        Raises:
            ClusterError: Reading the log is forbidden, and was not allowed earlier.
        """
        while not (diagnosis := self._status.diagnosis()).ended and diagnosis.phase != "Running":
            await self._status.state_changed.wait()
        follow = self._namespace.pods.follow_log(self._pod_name, self._manifest.primary)
        try:
            async with contextlib.aclosing(follow) as lines:
                async for line in lines:
                    self._log_was_allowed = True
                    yield line
        except RequestDenied as error:  # other codes: the log does not exist yet, or no longer
            log.debug("%s: following the log was refused: %s", self.name, error)
            if error.code == 403 and not self._log_was_allowed:
                raise
            if error.code in (401, 403):
                self._connector.report_refusal(error.code)
        except ClusterError as error:  # the caller follows the log again
            log.debug("%s: the log broke off: %s", self.name, error)
        await self._connector.pause(LOG_PAUSE_SECONDS)

    async def delete(self, grace: float | None = None) -> None:
        """Delete the pod, if it exists. A deletion that failed before is tried again."""
        if self._deleting is None or (self._deleting.done() and not self._deleting.result()):
            seconds = self._status.manifest.grace_seconds if grace is None else max(1, int(grace))
            self._deleting = asyncio.ensure_future(
                self._deletion.run(self._uid, seconds, self._status.manifest.has_stop_hooks)
            )
        await self._deleting

    # -- inside -------------------------------------------------------------------------------------

    @property
    def _owner(self) -> dict[str, Any]:
        """Reference to the object that the Secrets of the task are deleted with."""
        return {"apiVersion": "v1", "kind": "Pod", "name": self._pod_name, "uid": self._uid}

    async def _create(self) -> None:
        """Create the pod. While the API server is unreachable, retry until the task is stopped or times out."""
        pause, longest = CREATE_PAUSES_SECONDS
        tries_left = CREATE_TRIES
        may_exist = was_away = False
        while True:
            retry_seconds = 0.0
            try:
                await self._create_or_find()
                return
            except Refusal as error:
                is_starting = was_away and error.code == 403  # a starting server forbids everything
                tries_left -= is_starting or _may_be_final(error)
                if not (is_starting or is_temporary(error)) or not tries_left:
                    raise
                failure: ClusterError | Refusal = error
                retry_seconds = error.retry_seconds
            except (NameTaken, CertificateRejected):
                raise
            except ClusterError as error:
                connected = isinstance(error, Unreachable) and error.connected
                may_exist = may_exist or connected
                tries_left -= not isinstance(error, Unreachable)  # for example a login program that fails
                if not (connected or self._namespace.was_reached) or not tries_left:
                    raise  # a server that was never reached: fail fast
                failure = error
            was_away = True
            await self._wait_to_create("the pod", failure, max(pause, retry_seconds))
            pause = min(longest, pause * 2)
            if self._listener.stopped:
                if may_exist:
                    loop().background(self._delete_if_created())
                raise failure

    async def _send_secret(
        self, send: Callable[[dict[str, Any]], Awaitable[None]], secret: dict[str, Any]
    ) -> None:
        """Create or share a Secret. While the API server is away, retry until the task is stopped or times out."""
        pause, longest = CREATE_PAUSES_SECONDS
        tries_left = CREATE_TRIES
        while True:
            retry_seconds = 0.0
            try:
                await send(secret)
                return
            except RequestDenied as error:
                tries_left -= _may_be_final(error)
                if self._listener.stopped or not is_temporary(error) or not tries_left:
                    raise
                failure: ClusterError = error
                retry_seconds = error.retry_seconds
            except Unreachable as error:
                if self._listener.stopped:
                    raise
                failure = error
            await self._wait_to_create("a Secret", failure, max(pause, retry_seconds))
            pause = min(longest, pause * 2)

    async def _wait_to_create(self, what: str, failure: ClusterError | Refusal, seconds: float) -> None:
        """Report why an attempt to create something failed, and wait until the next one."""
        log.debug("%s: creating %s failed, retrying: %s", self.name, what, failure)
        where = f"in {self._namespace.where}"
        self._listener.on_phase(Phase("Creating", f"{where}. {failure.message}", waiting=True))
        await asyncio.sleep(seconds)

    async def _create_or_find(self) -> None:
        """Create the pod, or find it if an earlier request has created it.

        Raises:
            NameTaken: Another pod has this name.
            PodtaskError: The pod was not created.
        """
        if self._namespace.round_trip >= SLOW_ROUND_TRIP_SECONDS:
            # Opened while the pod is created and scheduled; nothing waits for them.
            loop().background(self._namespace.open_connections(SPARE_CONNECTIONS))
        try:
            created = await self._namespace.pods.create(self._manifest.pod, self._manifest.primary)
        except Refusal as error:
            if error.code == 409 and await self._is_ours():
                return
            if error.reason == "AlreadyExists":
                raise NameTaken(f"A pod {self.name} already exists in {self._namespace.name}.") from None
            raise
        self._represent(created)
        self._report_dropped_fields(created)
        self._report_missing_queue(created, "pod")

    def _report_missing_queue(self, created: dict[str, Any], kind: str) -> None:
        """Report that Kueue does not hold a pod, or the pod of a Job, which names a queue."""
        if QUEUE_LABEL in self._manifest.labels and not is_queued(created):
            self._listener.on_notice(
                f"Nothing holds the {kind} in queue {queue_name(created)!r}: Kueue is not installed in this cluster, or does not "
                f"manage {kind}s of namespace {self._namespace.name}."
            )

    async def _delete_if_created(self) -> None:
        """Delete the pod if a request whose reply was lost has created it."""
        end = time.monotonic() + DELETE_SECONDS
        while time.monotonic() < end:
            try:
                if await self._is_ours():
                    await self.delete()
                return
            except ClusterError as error:
                log.debug("%s: it is not known whether the pod exists: %s", self.name, error)
            await asyncio.sleep(CREATE_PAUSES_SECONDS[1])

    def _report_dropped_fields(self, created: dict[str, Any]) -> None:
        """Report fields that the server has dropped: without restartPolicy, a native sidecar becomes an init container."""
        dropped = dropped_fields(self._manifest.pod["spec"], created["spec"], "spec")
        if dropped:
            self._listener.on_notice(
                f"The cluster drops {', '.join(dropped)}: the cluster has these features disabled."
            )

    async def _is_ours(self) -> bool:
        """Return whether this task created the existing object of this name, in a request whose reply was lost."""
        try:
            found = await self._find_created()
        except RequestDenied as error:
            if is_temporary(error):
                raise
            return False  # report the first error rather than this one
        labels, kernel = found["metadata"].get("labels", {}), self._manifest.labels[KERNEL_LABEL]
        if labels.get(TASK_LABEL) != self.name or labels.get(KERNEL_LABEL, kernel) != kernel:
            return False  # all kernels of a user give the pod of a session the same name
        self._represent(found)
        return True

    async def _find_created(self) -> dict[str, Any]:
        """Return the object with the name of the one that this task creates."""
        return await self._namespace.pods.get(self._pod_name)

    def _represent(self, created: dict[str, Any]) -> None:
        """Store what this task has created."""
        self._uid = str(created["metadata"]["uid"])
        self._status.update_first(created)


def chosen_transport(options: RunOptions) -> str:
    """Return how to reach the runner, as the user has chosen it."""
    return options.channel if options.channel in (FORWARD, EXEC) else AUTO


def is_temporary(refusal: Refusal) -> bool:
    """Return whether the same request may be accepted later.

    A quota that another pod has changed at the same time is a 409, too, with reason Conflict.
    """
    return refusal.code >= 500 or refusal.code == 429 or refusal.reason == "Conflict"


def _may_be_final(refusal: Refusal) -> bool:
    """Return whether a refusal that looks temporary may be final: a webhook does not answer."""
    return FAILED_WEBHOOK in refusal.server_message
