"""The end of a pod: its deletion is asked for until it is taken, and what keeps the pod is told.

By then its cell has ended: what is told goes to standard error, as of no result and no error.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

from ..cluster.namespace import Namespace
from ..cluster.refusals import RequestDenied
from ..cluster.watch import Watch
from ..errors import ClusterError
from ..manifest.pod_manifest import PodManifest
from .base import Phase, RunnerListener

DELETE_SECONDS = 60  # an API server that restarts is back by then, and who logs in again
STUCK_SECONDS = 15  # past the grace, for volumes and networks


class PodDeletion:
    """Removes one pod.

    Args:
        namespace: Namespace of the pod.
        manifest: the pod as it was sent, or found.
        watch: tells when it is gone.
        listener: Receives the phase "Left" if the pod cannot be deleted.
    """

    def __init__(
        self, namespace: Namespace, manifest: PodManifest, watch: Watch, listener: RunnerListener
    ) -> None:
        self._namespace = namespace
        self._name = manifest.name
        self._grace = manifest.grace_seconds
        self._watch = watch
        self._listener = listener
        self._leaving: asyncio.Task[None] | None = None

    async def run(self, grace: float | None) -> bool:
        """Returns whether the API server has taken the deletion; gone already is fine."""
        seconds = self._grace if grace is None else max(1, int(grace))
        gone = asyncio.Event()
        self._watch.subscribe(self._name, lambda pod: None if pod else gone.set())
        if why := await self._ask(seconds):
            self._watch.unsubscribe(self._name)
            self._listener.on_phase(Phase("Left", f"{self._name} could not be deleted: {why}"))
            _tell(
                f"{self._name} could not be deleted: {why}",
                "It ends by its activeDeadlineSeconds at the latest; by hand: "
                f"{self._kubectl('delete', 'pod', self._name)}",
            )
            return False
        self._leaving = asyncio.ensure_future(self._wait_until_gone(gone, seconds))
        return True

    async def _ask(self, seconds: int) -> str:
        """Returns why the pod cannot be deleted, empty where it is."""
        end, pause = time.monotonic() + DELETE_SECONDS, 0.2
        while True:
            try:
                await self._namespace.pods.delete(self._name, seconds)
                return ""
            except RequestDenied as error:
                why = error.message
                again = error.code >= 500 or error.code in (401, 429)
                pause = max(pause, error.retry_seconds)
            except ClusterError as error:
                why, again = error.message, True
            if not again or time.monotonic() + pause > end:
                return why
            await asyncio.sleep(pause)
            pause = min(5.0, pause * 2)

    async def _wait_until_gone(self, gone: asyncio.Event, seconds: float) -> None:
        """Waits until the pod is gone; tells what keeps one that does not go."""
        started = time.monotonic()
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(gone.wait(), seconds + STUCK_SECONDS)
                return
            pod = await self._namespace.pods.get(self._name)
        except ClusterError:
            return  # gone unseen, or nothing is known of it
        finally:
            self._watch.unsubscribe(self._name)
        what = f"{self._name} was deleted {time.monotonic() - started:.0f} s ago and is still there:"
        if finalizers := pod["metadata"].get("finalizers"):
            _tell(
                f"{what} held by finalizer {', '.join(finalizers)}.",
                f"Who has set it takes it away; see {self._kubectl('get', 'pod', self._name, '-o', 'yaml')}",
            )
        else:
            node = pod["spec"].get("nodeName")
            _tell(
                f"{what} its node {node} has not ended it.",
                f"See kubectl describe node {node}; of a dead node: %podtask delete {self._name} --force "
                f"-n {self._namespace.name}",
            )

    def _kubectl(self, *words: str) -> str:
        return self._namespace.kubectl(*words)


def _tell(what: str, do: str) -> None:
    print(f"podtask: {what}\n  {do}", file=sys.stderr, flush=True)
