"""The Kubernetes backend: one pod from its creation to its deletion."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .backend import ByteStream, OnNote, OnPhase
from .cluster.api import Api, ApiError
from .cluster.exec import RELAY
from .errors import ClusterError
from .loop import loop
from .manifest import KERNEL_LABEL, TASK_LABEL, Rendered, env_of, grace_of, python_of
from .options import RunOptions
from .refusals import refusal
from .status import PodStatus

T = TypeVar("T")
QUICK = 0.025  # seconds between two tries to connect, at first
SLOW = 1.0
GROWTH = 1.1
FAR = 0.02  # seconds of round trip from which connections are opened ahead
AHEAD = 4
CREATE_TRIES = 4
FORWARD, EXEC = "port-forward", "exec"


class Pod:
    """One pod with the runner in its primary container."""

    def __init__(
        self, api: Api, namespace: str, rendered: Rendered, on_phase: OnPhase, on_note: OnNote
    ) -> None:
        self.name: str = rendered.pod["metadata"]["name"]
        self.url = (f"{api.access.context}/{namespace}/{self.name} "
                    f"(kubectl -n {namespace} get pod {self.name})")  # fmt: skip
        self._api = api
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._rendered = rendered
        self._on_phase = on_phase
        self._port = int(env_of(rendered)["PODTASK_PORT"])
        self.way = FORWARD
        self._relay = (rendered.primary, [python_of(rendered), "-c", RELAY, str(self._port)])
        self._status = PodStatus(api, namespace, rendered, on_phase, on_note)
        self.ended = self._status.ended
        self.stopped = self._status.stopped
        self.farewell = self._status.farewell
        self.why = self._status.why
        self.events = self._status.events
        self.glimpse = self._status.glimpse
        self.logs = self._status.logs
        self.whole_log = self._status.whole_log
        self._deleting: asyncio.Task[None] | None = None
        kernel = rendered.pod["metadata"]["labels"][KERNEL_LABEL]
        self._watch = api.watch(namespace, f"{KERNEL_LABEL}={kernel}")

    @classmethod
    async def create(
        cls, rendered: Rendered, options: RunOptions, on_phase: OnPhase, on_note: OnNote
    ) -> Pod:
        """Creates the pod.

        Raises:
            PodtaskError: there is no cluster, it is not reached, or it refuses; says why.
        """
        on_phase("Connecting", "")
        api = await Api.of(options.context)
        loop().at_exit(api.close)
        namespace = options.namespace or api.access.namespace
        pod = cls(api, namespace, rendered, on_phase, on_note)
        on_phase("Creating", f"in {api.access.context}/{namespace}")
        pod._watch.subscribe(pod.name, pod._status.take)
        try:
            await pod._create()
        except BaseException:
            pod._watch.unsubscribe(pod.name)
            raise
        return pod

    @classmethod
    def adopt(
        cls, api: Api, namespace: str, found: Rendered, on_phase: OnPhase, on_note: OnNote
    ) -> Pod:
        """Follows a pod that is there.

        Args:
            api: the session.
            namespace: of the pod.
            found: the pod as it was read.
            on_phase: called with each phase and sentence.
            on_note: called with a line for the user.
        """
        pod = cls(api, namespace, found, on_phase, on_note)
        pod._watch.subscribe(pod.name, pod._status.take)
        return pod

    def leave(self) -> None:
        """Forgets the pod, which stays."""
        self._watch.unsubscribe(self.name)

    async def connect(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
        """Tries from the moment the pod has a node: its port may answer long before "Running".

        Up to Kubernetes 1.35 the API shows a container running as much as a second late.
        """
        while not self._status.placed:
            await self._status.changed.wait()
        pause = QUICK
        running = False
        overlap = 1 + int(self._api.round_trip / QUICK)
        tries: set[asyncio.Task[tuple[ByteStream, T]]] = set()
        try:
            while True:
                if len(tries) < (overlap if self.way == FORWARD else 1):  # a try is a process
                    tries.add(asyncio.ensure_future(self._try(greet)))
                await asyncio.wait(tries, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                for each in [each for each in tries if each.done()]:
                    tries.discard(each)
                    if each.exception() is None:
                        return each.result()[1]
                    if not isinstance(each.exception(), (OSError, asyncio.TimeoutError)):
                        each.result()
                await self._pause(pause)
                pause = min(SLOW, pause * GROWTH)
                if not running and self._status.found().phase == "Running":
                    running, pause = True, QUICK
        finally:
            for each in tries:
                if not each.cancel() and each.exception() is None:
                    loop().background(each.result()[0].close())  # came second

    async def delete(self, grace: float | None = None) -> None:
        """Deletes the pod; gone already is fine."""
        self._watch.unsubscribe(self.name)
        if self._deleting is None:
            self._deleting = asyncio.ensure_future(self._delete(grace))
        await self._deleting

    # -- inside -------------------------------------------------------------------------------------

    async def _create(self) -> None:
        pause = 0.2
        for rest in reversed(range(CREATE_TRIES)):
            try:
                post = self._api.request(
                    "POST", self._path, self._rendered.pod, fieldValidation="Strict"
                )
                if self._api.round_trip < FAR:
                    self._status.take(await post)
                else:  # by the time the pod has a node, connections are there for the tries
                    created, _ = await asyncio.gather(post, self._api.warm(AHEAD))
                    self._status.take(created)
                return
            except ApiError as error:
                if error.code == 409 and await self._is_ours():
                    return
                if not (error.code >= 500 or error.code == 429) or not rest:
                    raise refusal(
                        error.code, error.message, error.details,
                        self._api.access.context, self._namespace,
                    ) from None  # fmt: skip
            except ClusterError:
                if (
                    not rest or self._api.round_trip == 1.0
                ):  # never reached: do not keep them waiting
                    raise
            await asyncio.sleep(pause)
            pause *= 2

    async def _is_ours(self) -> bool:
        """Whether the pod of our name is this task's: the reply to an earlier try was lost."""
        pod = await self._api.request("GET", f"{self._path}/{self.name}")
        if pod["metadata"].get("labels", {}).get(TASK_LABEL) != self.name:
            return False
        self._status.take(pod)
        return True

    async def _delete(self, grace: float | None) -> None:
        seconds = grace_of(self._rendered.pod) if grace is None else max(1, int(grace))
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": seconds}
        try:
            await self._api.request("DELETE", f"{self._path}/{self.name}", body)
        except ApiError as error:
            if error.code != 404:
                self._on_phase("Left", f"{self.name} could not be deleted: {error.message}")
        except ClusterError as error:
            self._on_phase("Left", f"{self.name} could not be deleted: {error.what}")

    async def _try(self, greet: Callable[[ByteStream], Awaitable[T]]) -> tuple[ByteStream, T]:
        stream = await self._open()
        try:
            return stream, await greet(stream)
        except BaseException:
            await asyncio.shield(stream.close())
            raise

    async def _open(self) -> ByteStream:
        """Returns a stream by port-forward; where that is forbidden, from then on by exec."""
        if self.way == FORWARD:
            try:
                return await self._api.forward(self._namespace, self.name, self._port)
            except ApiError as error:
                if error.code == 401:
                    raise self._forbidden(error) from None
                self.way = EXEC
        try:
            return await self._api.relay(self._namespace, self.name, *self._relay)
        except ApiError as error:
            raise self._forbidden(error) from None

    def _forbidden(self, error: ApiError) -> ClusterError:
        return ClusterError(
            f"You may neither forward ports of pods in {self._namespace} nor run a relay in them "
            "(verbs get and create, resource pods/portforward or pods/exec).",
            f"Ask for a Role with one of them: {error.message}",
        )

    async def _pause(self, seconds: float) -> None:
        """Sleeps, but wakes when the pod changes."""
        started = time.monotonic()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._status.changed.wait(), seconds)
        await asyncio.sleep(max(0.0, min(QUICK, seconds) - (time.monotonic() - started)))
