"""The Kubernetes backend: one pod from its creation to its deletion."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

from ..cluster.client import Broken
from ..cluster.namespace import Namespace, open_namespace
from ..cluster.refusals import Refusal, RequestDenied
from ..config.options import AUTO, BATCH, EXEC, FORWARD, RunOptions
from ..errors import ClusterError, NameTaken
from ..manifest.diff import dropped_fields
from ..manifest.labels import KERNEL_LABEL, TASK_LABEL
from ..manifest.pod_manifest import PodManifest
from .base import ByteStream, Phase, RunnerListener, Snapshot, Termination
from .pod_connect import RunnerConnector
from .pod_delete import PodDeletion
from .pod_status import PodStatus

T = TypeVar("T")
LOG_PAUSE = 1.0  # seconds, before a log that ended or broke off is read on
FAR = 0.02  # seconds of round trip from which connections are opened ahead
AHEAD = 4
CREATE_TRIES = 4


class Pod:
    """One pod with the runner in its primary container."""

    def __init__(
        self,
        namespace: Namespace,
        manifest: PodManifest,
        listener: RunnerListener,
        chosen: str = AUTO,
    ) -> None:
        self.name = manifest.name
        self.url = f"{namespace.where}/{self.name} ({namespace.kubectl('get', 'pod', self.name)})"
        self._namespace = namespace
        self._manifest = manifest
        self._listener = listener
        self._status = PodStatus(namespace, manifest, listener)
        self._connector = RunnerConnector(namespace, manifest, self._status, chosen, listener)
        self._deleting: asyncio.Task[bool] | None = None
        self._read = False  # a line of its log: it was allowed once
        kernel = manifest.labels[KERNEL_LABEL]
        self._watch = namespace.watch(f"{KERNEL_LABEL}={kernel}")
        self._removal = PodDeletion(namespace, manifest, self._watch, listener)

    @classmethod
    async def create(cls, manifest: PodManifest, options: RunOptions, listener: RunnerListener) -> Pod:
        """Creates the pod.

        Raises:
            NameTaken: by somebody's pod.
            PodtaskError: there is no cluster, it is not reached, or it refuses; says why.
        """
        namespace = await open_namespace(options.context, options.namespace)
        chosen = options.channel if options.channel in (FORWARD, EXEC) else AUTO
        pod = cls(namespace, manifest, listener, chosen)
        listener.on_phase(Phase("Creating", f"in {namespace.where}"))
        pod._watch.subscribe(pod.name, pod._status.take)
        try:
            await pod._create()
        except BaseException:
            pod._watch.unsubscribe(pod.name)
            raise
        pod._watch.created(pod.name)
        return pod

    @classmethod
    def adopt(cls, namespace: Namespace, found: PodManifest, listener: RunnerListener) -> Pod:
        """Follows a pod that is there.

        Args:
            namespace: Namespace of the pod.
            found: the pod as it was read.
            listener: Receives phases and notes.
        """
        pod = cls(namespace, found, listener)
        pod._watch.subscribe(pod.name, pod._status.take)
        pod._watch.was_there(pod.name)
        return pod

    def leave(self) -> None:
        """Forgets the pod, which stays."""
        self._watch.unsubscribe(self.name)

    async def connect(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
        """Connect to the runner; see :meth:`RunnerConnector.connect`."""
        return await self._connector.connect(greet)

    async def ended(self) -> Termination:
        """Wait until the runner has ended, or can never start."""
        return await self._status.ended()

    async def stopped(self) -> tuple[str, str, bool]:
        """Return why the pod was terminated, what to do, and whether its place was lost."""
        return await self._status.stopped()

    async def drain_notes(self) -> None:
        """Wait a moment for notes on sidecars that have ended."""
        await self._status.drain_notes()

    async def why(self) -> str:
        """Return in one line what the pod waits for and what to change."""
        return await self._status.why()

    async def events(self) -> list[dict[str, Any]]:
        """Return the pod's events, oldest first."""
        return await self._status.events()

    async def glimpse(self) -> Snapshot:
        """Return the events seen so far and the last lines of the sidecars."""
        return await self._status.glimpse()

    async def logs(self, container: str | None) -> str:
        """Return the log of a container, by default of the primary one."""
        return await self._status.logs(container)

    async def whole_log(self) -> bytes:
        """Return the log of the primary container."""
        return await self._status.whole_log()

    @property
    def way(self) -> str:
        """How its runner is reached: FORWARD, EXEC or BATCH."""
        return BATCH if self._manifest.is_batch else self._connector.way

    async def follow_log(self) -> AsyncGenerator[bytes, None]:
        """Yields the lines of the primary container's log, as it grows, until it ends or breaks off.

        Raises:
            ClusterError: it may not be read, and never was.
        """
        while not (found := self._status.found()).ended and found.phase != "Running":
            await self._status.changed.wait()
        follow = self._namespace.pods.follow_log(self.name, self._manifest.primary)
        try:
            async with contextlib.aclosing(follow) as lines:
                async for line in lines:
                    self._read = True
                    yield line
        except RequestDenied as error:  # others pass: it is not there yet, or not any more
            if error.code == 403 and not self._read:
                raise
            if error.code in (401, 403):
                self._connector.tell(error.code)
        except ClusterError:
            pass  # the next one begins anew
        await self._connector.pause(LOG_PAUSE)

    async def delete(self, grace: float | None = None) -> None:
        """Deletes the pod; gone already is fine, and what was refused is asked for again."""
        if self._deleting is None or (self._deleting.done() and not self._deleting.result()):
            self._deleting = asyncio.ensure_future(self._removal.run(grace))
        await self._deleting

    # -- inside -------------------------------------------------------------------------------------

    async def _create(self) -> None:
        pause = 0.2
        for rest in reversed(range(CREATE_TRIES)):
            try:
                post = self._namespace.pods.create(self._manifest.pod)
                if self._namespace.round_trip < FAR:
                    created = await post
                else:  # by the time the pod has a node, connections are there for the tries
                    created, _ = await asyncio.gather(post, self._namespace.open_connections(AHEAD))
                self._status.take(created)
                self._tell_of_dropped(created)
                return
            except Refusal as error:
                if error.code == 409 and await self._is_ours():
                    return
                if error.reason == "AlreadyExists":
                    raise NameTaken(f"A pod {self.name} already exists in {self._namespace.name}.") from None
                # A quota that another pod has changed meanwhile is 409 too, and says Conflict.
                again = error.code >= 500 or error.code == 429 or error.reason == "Conflict"
                if not again or not rest:
                    raise
                pause = max(pause, error.retry_seconds)
            except ClusterError as error:
                reached = isinstance(error, Broken) or self._namespace.round_trip < 1.0
                if not rest or not reached:  # never reached: do not keep them waiting
                    raise
            await asyncio.sleep(pause)
            pause *= 2

    def _tell_of_dropped(self, created: dict[str, Any]) -> None:
        """Names what the server has left out: a sidecar without its restartPolicy is another pod."""
        lost = dropped_fields(self._manifest.pod["spec"], created["spec"], "spec")
        if lost:
            self._listener.on_note(f"The cluster drops {', '.join(lost)}: these features are off in it.")

    async def _is_ours(self) -> bool:
        """Whether the pod of our name is this task's: the reply to an earlier try was lost."""
        try:
            pod = await self._namespace.pods.get(self.name)
        except RequestDenied:  # none of that name, or it may not be read: the first error is the one told
            return False
        if pod["metadata"].get("labels", {}).get(TASK_LABEL) != self.name:
            return False
        self._status.take(pod)
        return True
