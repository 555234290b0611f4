"""The Kubernetes backend of a detached task with retries: the current pod of a Job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from ..cluster.jobs import FollowedJob
from ..cluster.namespace import Namespace, open_namespace
from ..cluster.refusals import PodRejected, RequestDenied
from ..config.options import AUTO, RunOptions
from ..errors import NameTaken
from ..event_loop import ignore_result
from ..manifest.labels import TASK_LABEL
from ..manifest.pod_manifest import JobReference, PodManifest
from ..manifest.retrying_job import awaited_pod, retrying_job
from ..manifest.task_pod import SELECTOR, TaskPod
from .base import ByteStream, Phase, RunnerListener, Termination
from .pod import Pod, T, chosen_transport, is_temporary


class JobDenied(RequestDenied):
    """The API server accepts the pod, but not the Job that would create it."""

    where = ""  # context and namespace, separated by a slash

    @classmethod
    def from_denial(cls, error: RequestDenied, where: str) -> JobDenied:
        """Return the same refusal as an error of this class."""
        denied = cls(error.message, error.hint)
        vars(denied).update({**vars(error), "where": where})
        return denied


class JobPod(Pod):
    """A pod that a Job creates. Until it exists, the Job stands for it.

    Args:
        namespace: Namespace of the Job.
        manifest: The pod as the Job is to create it, or as it was read from the cluster.
        listener: Receives phases and notes.
        transport: How to reach the runner: AUTO, FORWARD or EXEC.
        replaced: UIDs of earlier pods of the Job.
    """

    def __init__(
        self,
        namespace: Namespace,
        manifest: PodManifest,
        listener: RunnerListener,
        transport: str = AUTO,
        replaced: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(namespace, manifest, listener, transport)
        self._job: dict[str, Any] = {}
        self._replaced = replaced
        self._exists = asyncio.Event()  # whether the pod exists
        self._followed: FollowedJob | None = None
        self._retries = 0
        self._keep = 0.0

    @classmethod
    async def create(cls, manifest: PodManifest, options: RunOptions, listener: RunnerListener) -> JobPod:
        """Create the Job, once the API server would accept its pod.

        Raises:
            NameTaken: Another Job has this name.
            JobDenied: Jobs may not be created, or this one is not accepted.
            PodtaskError: No cluster is configured, the API server does not answer, or it refuses the pod.
        """
        namespace = await open_namespace(options.context, options.namespace)
        pod = cls(namespace, manifest, listener, chosen_transport(options))
        pod._retries, pod._keep = options.retries or 0, options.keep
        listener.on_phase(Phase("Creating", f"in {namespace.where}"))
        await pod._create()
        pod._wait_for_pod()
        return pod

    @classmethod
    def adopt_from_job(
        cls, namespace: Namespace, found: TaskPod, job: dict[str, Any], listener: RunnerListener
    ) -> JobPod:
        """Follow the pods of a Job, from one that exists, or from the next one if the Job replaces that.

        Args:
            namespace: Namespace of the Job.
            found: The newest pod of the Job, or what stands for it.
            job: The Job.
            listener: Receives phases and notes.
        """
        replaced = frozenset({found.uid} if found.is_replaced else ())
        pod = cls(namespace, found, listener, replaced=replaced)
        pod._represent(job)
        if found.uid == pod._uid or found.is_replaced:
            pod._wait_for_pod()
        else:
            pod._follow_pod(found)
        return pod

    def next_pod(self) -> JobPod:
        """Return the backend of the pod with which the Job replaces this one."""
        replaced = self._replaced | {self._uid}
        following = JobPod(self._namespace, self._manifest, self._listener, self._transport, replaced)
        following._represent(self._job)
        following._wait_for_pod()
        return following

    def release(self) -> None:
        """Stop following the Job without deleting it."""
        self._stop_waiting()
        super().release()

    async def connect(self, handshake: Callable[[ByteStream], Awaitable[T]]) -> T:
        """Connect to the runner, once the pod exists."""
        await self._exists.wait()
        return await super().connect(handshake)

    async def wait_until_ended(self) -> Termination:
        """Wait until the runner has ended, or the Job has ended without another pod."""
        coming = asyncio.ensure_future(self._exists.wait())
        waiting = ignore_result(asyncio.ensure_future(super().wait_until_ended()))
        try:
            await asyncio.wait({coming, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not self._exists.is_set():  # the Job will not create another pod
                return replace(waiting.result(), lost=False)
        finally:
            coming.cancel()
            waiting.cancel()
        return await super().wait_until_ended()

    async def delete_read_secrets(self) -> None:
        """Do nothing: the next pod of the Job reads the Secrets again. They are deleted with the Job."""

    async def delete(self, grace: float | None = None) -> None:
        """Delete the Job and its pod, if they exist."""
        self._stop_waiting()
        await super().delete(grace)

    # -- inside -------------------------------------------------------------------------------------

    @property
    def _reference(self) -> JobReference:
        return JobReference(self.name, str(self._job["metadata"]["uid"]))

    @property
    def _owner(self) -> dict[str, Any]:
        """Reference to the Job, which the Secrets of the task are deleted with."""
        return self._reference.to_owner()

    async def _create_or_find(self) -> None:
        """Create the Job, or find it if an earlier request has created it.

        Raises:
            NameTaken: Another Job has this name.
            PodtaskError: The Job was not created.
        """
        await self._check_pod()
        try:
            created = await self._namespace.jobs.create(
                retrying_job(self._manifest, self._retries, self._keep)
            )
        except RequestDenied as error:
            if error.code == 409 and await self._is_ours():
                return
            if error.reason == "AlreadyExists":
                raise NameTaken(f"A Job {self.name} already exists in {self._namespace.name}.") from None
            if error.code == 401 or is_temporary(error):
                raise
            raise JobDenied.from_denial(error, self._namespace.where) from None
        self._represent(created)
        self._report_missing_queue(awaited_pod(created), "Job")

    async def _check_pod(self) -> None:
        """Let the API server check the pod: it accepts a Job whose pods it rejects later.

        Raises:
            PodtaskError: The API server does not accept the pod.
        """
        try:
            stored = await self._namespace.dry_run(self._manifest.pod, self._manifest.primary)
        except PodRejected as error:
            if "does not support dry run" not in error.server_message:  # a webhook with side effects
                raise
        else:
            self._report_dropped_fields(stored)

    async def _find_created(self) -> dict[str, Any]:
        return await self._namespace.jobs.get(self.name)

    def _represent(self, created: dict[str, Any]) -> None:
        """Let the Job stand for its pod, which does not exist yet."""
        self._job = created
        self._follow_manifest(TaskPod(awaited_pod(created)))

    def _wait_for_pod(self) -> None:
        self._followed = self._namespace.follow_job(
            (self._reference.name, self._reference.uid),
            (SELECTOR, f"{SELECTOR},{TASK_LABEL}={self.name}"),
            self._on_pod,
            self._on_job,
        )

    def _stop_waiting(self) -> None:
        if self._followed is not None:
            self._followed.stop()
            self._followed = None

    def _on_job(self, job: dict[str, Any] | None) -> None:
        if job is not None:
            self._job = job
        self._status.update(job and awaited_pod(job))

    def _on_pod(self, found: dict[str, Any]) -> bool:
        """Follow a pod if it is the next one of the Job; return whether it is."""
        pod = TaskPod(found)
        if self._exists.is_set() or pod.job != self._reference or pod.uid in self._replaced:
            return self._exists.is_set()
        if pod.is_replaced:
            self._replaced |= {pod.uid}
            return False
        self._follow_pod(pod)
        return True

    def _follow_pod(self, pod: TaskPod) -> None:
        self._stop_waiting()
        self._follow_manifest(pod)
        self._watch.subscribe(pod.name, self._status.update)
        self._watch.mark_existing(pod.name)
        self._exists.set()
