"""The Kubernetes backend: one pod from its creation to its deletion."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from .backend import ByteStream, Ending, OnPhase
from .cluster.api import Api, ApiError
from .diagnosis import Diagnosis, diagnose
from .errors import ClusterError, InputError, PodtaskError
from .loop import loop
from .manifest import KERNEL_LABEL, TASK_LABEL, Rendered, grace_of
from .options import RunOptions

T = TypeVar("T")
QUICK = 0.025  # seconds between two tries to connect, at first
SLOW = 1.0
GROWTH = 1.1
FAR = 0.02  # seconds of round trip from which connections are opened ahead
AHEAD = 4
CREATE_TRIES = 4


class Pod:
    """One pod with the runner in its primary container."""

    def __init__(self, api: Api, namespace: str, rendered: Rendered, on_phase: OnPhase) -> None:
        self.name: str = rendered.pod["metadata"]["name"]
        self.url = (f"{api.access.context}/{namespace}/{self.name} "
                    f"(kubectl -n {namespace} get pod {self.name})")  # fmt: skip
        self._api = api
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._rendered = rendered
        self._on_phase = on_phase
        self._port = _port(rendered)
        self._pod: dict[str, Any] | None = rendered.pod
        self._changed = asyncio.Event()
        self._deleting: asyncio.Task[None] | None = None
        kernel = rendered.pod["metadata"]["labels"][KERNEL_LABEL]
        self._watch = api.watch(namespace, f"{KERNEL_LABEL}={kernel}")

    @classmethod
    async def create(cls, rendered: Rendered, options: RunOptions, on_phase: OnPhase) -> Pod:
        """Creates the pod.

        Raises:
            PodtaskError: there is no cluster, it is not reached, or it refuses; says why.
        """
        on_phase("Connecting", "")
        api = await Api.of(options.context)
        loop().at_exit(api.close)
        namespace = options.namespace or api.access.namespace
        pod = cls(api, namespace, rendered, on_phase)
        on_phase("Creating", f"in {api.access.context}/{namespace}")
        pod._watch.subscribe(pod.name, pod._on_pod)
        try:
            await pod._create()
        except BaseException:
            pod._watch.unsubscribe(pod.name)
            raise
        return pod

    async def connect(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
        """Tries from the moment the pod has a node: its port may answer long before "Running".

        Up to Kubernetes 1.35 the API shows a container running as much as a second late.
        """
        while not (self._pod and self._pod["spec"].get("nodeName")):
            await self._change()
        pause = QUICK
        running = False
        overlap = 1 + int(self._api.round_trip / QUICK)
        tries: set[asyncio.Task[T]] = set()
        try:
            while True:
                if len(tries) < overlap:
                    tries.add(asyncio.ensure_future(self._try(greet)))
                await asyncio.wait(tries, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                for each in [each for each in tries if each.done()]:
                    tries.discard(each)
                    if each.exception() is None:
                        return each.result()
                    if not isinstance(each.exception(), (OSError, asyncio.TimeoutError)):
                        each.result()
                await self._pause(pause)
                pause = min(SLOW, pause * GROWTH)
                if not running and diagnose(self._pod, self._rendered.primary).phase == "Running":
                    running, pause = True, QUICK
        finally:
            for each in tries:
                each.cancel()

    async def ended(self) -> Ending:
        """Waits until the primary container has ended, the pod is gone, or it can never start."""
        started = False
        while True:
            found = diagnose(self._pod, self._rendered.primary)
            started = started or found.phase == "Running"
            self._on_phase(found.phase, found.say)
            if found.ended or found.hopeless:
                return _ending(self.name, found, started or found.ended)
            await self._change()

    async def delete(self, grace: float | None = None) -> None:
        """Deletes the pod; gone already is fine."""
        self._watch.unsubscribe(self.name)
        if self._deleting is None:
            self._deleting = asyncio.ensure_future(self._delete(grace))
        await self._deleting

    async def logs(self, container: str | None) -> str:
        """Returns a container's log.

        Raises:
            InputError: there is no such container, or the pod is gone.
        """
        name = container or self._rendered.primary
        try:
            return await self._api.text(f"{self._path}/{self.name}/log", container=name)
        except ApiError as error:
            raise InputError(f"No log of container {name!r} of {self.name}: {error.message}",
                             "A deleted pod has none; a waiting container not yet.") from None  # fmt: skip

    # -- inside -------------------------------------------------------------------------------------

    async def _create(self) -> None:
        pause = 0.2
        for rest in reversed(range(CREATE_TRIES)):
            try:
                post = self._api.request(
                    "POST", self._path, self._rendered.pod, fieldValidation="Strict"
                )
                if self._api.round_trip < FAR:
                    self._on_pod(await post)
                else:  # by the time the pod has a node, connections are there for the tries
                    created, _ = await asyncio.gather(post, self._api.warm(AHEAD))
                    self._on_pod(created)
                return
            except ApiError as error:
                if error.code == 409 and await self._is_ours():
                    return
                if not (error.code >= 500 or error.code == 429) or not rest:
                    raise self._refused(error) from None
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
        self._on_pod(pod)
        return True

    def _refused(self, error: ApiError) -> PodtaskError:
        where = f"{self._api.access.context}/{self._namespace}"
        causes = error.details.get("causes") or []
        fields = [f"{cause.get('field', '')}: {cause.get('message', '')}" for cause in causes]
        if error.code == 404 and error.details.get("kind") == "namespaces":
            return InputError(f"Namespace {self._namespace!r} does not exist in context "
                              f"{self._api.access.context!r}.",
                              "Name another with -n; `kubectl get namespaces` lists them.")  # fmt: skip
        if error.code == 403 and "cannot create resource" in error.message:
            return ClusterError(f"You may not create pods in {where} (verb create, resource pods).",
                                "Ask for a Role with it, or name another namespace with -n.")  # fmt: skip
        if error.code == 401:
            return ClusterError(f"The credentials of context {self._api.access.context!r} are "
                                "expired or wrong.", "Log in again.")  # fmt: skip
        if fields:
            listed = "\n".join(f"  {field}" for field in fields[:10])
            return InputError(f"The API server refuses the pod:\n{listed}",
                              "Change these fields of the template.")  # fmt: skip
        return InputError(f"The API server refuses the pod in {where}: {error.message}",
                          "Change the template, or ask who runs the cluster.")  # fmt: skip

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

    async def _try(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
        try:
            stream = await self._api.forward(self._namespace, self.name, self._port)
        except ApiError as error:
            raise ClusterError(
                f"You may not forward ports of pods in {self._namespace} "
                "(verbs get and create, resource pods/portforward).",
                f"Ask for a Role with them: {error.message}",
            ) from None
        try:
            return await greet(stream)
        except BaseException:
            await asyncio.shield(stream.close())
            raise

    def _on_pod(self, pod: dict[str, Any] | None) -> None:
        if pod is not None and self._pod is not None and _version(pod) < _version(self._pod):
            return  # the watch may be ahead of the reply to the create call
        self._pod = pod
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _pause(self, seconds: float) -> None:
        """Sleeps, but wakes when the pod changes."""
        started = time.monotonic()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._change(), seconds)
        await asyncio.sleep(max(0.0, min(QUICK, seconds) - (time.monotonic() - started)))


def _ending(name: str, found: Diagnosis, started: bool) -> Ending:
    verb = "ended before its result was here" if started else "cannot start"
    return Ending(f"{name} {verb}: {found.say}.", found.do, found.code, started)


def _port(rendered: Rendered) -> int:
    for container in rendered.pod["spec"]["containers"]:
        if container["name"] == rendered.primary:
            for entry in container["env"]:
                if entry["name"] == "PODTASK_PORT":
                    return int(entry["value"])
    raise KeyError("PODTASK_PORT")


def _version(pod: dict[str, Any]) -> int:
    """The resource version as a number; comparable since Kubernetes 1.35, and in fact before."""
    return int(pod["metadata"].get("resourceVersion", 0) or 0)
