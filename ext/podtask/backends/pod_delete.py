"""Delete a pod and its Job: retry until the API server accepts it, report a failed preStop hook and a pod that stays.

The cell has ended by then, so reports cannot be part of its result. They go to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from typing import Any

from ..cluster.namespace import Namespace
from ..cluster.refusals import RequestDenied
from ..cluster.unreachable import Unreachable
from ..cluster.watch import OnPod, Watch
from ..diagnosis.kubelet_kills import failed_stop_hooks
from ..diagnosis.model import container_statuses, is_node_silent
from ..errors import ClusterError
from ..manifest.pod_manifest import JobReference
from ..runner.safe_text import safe_text

log = logging.getLogger(__name__)
DELETE_SECONDS = 3600  # time for an API server that is away to come back
LOGIN_SECONDS = 60  # time for a user to log in again: each attempt may run a login program
REPORT_SECONDS = 60  # then the user is told that the deletion goes on
PAUSES_SECONDS = (0.2, 5.0)  # first and longest pause between two attempts
STUCK_SECONDS = 15  # after the grace period, for volumes and networks


class PodDeletion:
    """The deletion of one pod.

    Args:
        namespace: Namespace of the pod.
        name: Name of the pod.
        watch: Reports when the pod is gone.
        job: The Job that would replace the pod; it is deleted, too.
        follower: What the watch has reported the pod to; it is told no more once the deletion begins.
    """

    def __init__(
        self, namespace: Namespace, name: str, watch: Watch, job: JobReference | None, follower: OnPod
    ) -> None:
        self._follower = follower
        self._namespace = namespace
        self._name = name
        self._watch = watch
        self._job = job
        self._waiting_until_gone: asyncio.Task[None] | None = None

    async def run(self, uid: str, seconds: int, has_stop_hooks: bool = False) -> bool:
        """Return whether the API server has accepted the deletion, or the pod is already gone.

        Args:
            uid: UID of the pod.
            seconds: Grace period in seconds.
            has_stop_hooks: Whether containers of the pod have preStop hooks.
        """
        gone = asyncio.Event()

        def on_pod(pod: dict[str, Any] | None) -> None:
            if pod is None:
                gone.set()

        self._watch.subscribe(self._name, on_pod)
        self._watch.unsubscribe(self._name, self._follower)
        if why := await self._request_deletion(uid, seconds):
            self._watch.unsubscribe(self._name, on_pod)
            _print_warning(
                f"{self._name} could not be deleted: {why}",
                "It ends at its activeDeadlineSeconds at the latest. To delete it by hand: "
                f"{self._kubectl('delete', 'pod', self._name)}",
            )
            return False
        hooks_of = uid if has_stop_hooks else ""
        waiting = self._waiting_until_gone = asyncio.ensure_future(
            self._wait_until_gone(gone, seconds, hooks_of)
        )
        waiting.add_done_callback(lambda _: self._watch.unsubscribe(self._name, on_pod))
        return True

    async def _request_deletion(self, uid: str, seconds: int) -> str:
        """Return why the pod cannot be deleted; empty if the deletion is accepted."""
        began, (pause, longest) = time.monotonic(), PAUSES_SECONDS
        reported = False
        while True:
            retry_seconds = 0.0
            try:
                if self._job is not None:
                    await self._namespace.jobs.delete(self._job.name, self._job.uid)
                await self._namespace.pods.delete(self._name, uid, seconds)
                return ""
            except RequestDenied as error:
                why, retry_seconds = error.message, error.retry_seconds
                limit = DELETE_SECONDS if error.code >= 500 or error.code == 429 else 0
                limit = LOGIN_SECONDS if error.code == 401 else limit
            except ClusterError as error:
                why, limit = (
                    error.message,
                    DELETE_SECONDS if isinstance(error, Unreachable) else LOGIN_SECONDS,
                )
            pause = max(pause, retry_seconds)
            waited = time.monotonic() - began
            if waited + pause > limit:
                return why
            if waited >= REPORT_SECONDS and not reported:
                reported = True
                _print_warning(
                    f"{self._name} is not deleted yet: {why}",
                    "podtask keeps trying while this kernel runs. To delete it by hand: "
                    f"{self._kubectl('delete', 'pod', self._name)}",
                )
            log.debug("%s: the deletion failed, retrying: %s", self._name, why)
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)

    async def _wait_until_gone(self, gone: asyncio.Event, seconds: float, hooks_of: str) -> None:
        """Wait until the pod is gone, and report its failed preStop hooks, or why it does not go away.

        Args:
            gone: Set when the pod is gone.
            seconds: Grace period in seconds.
            hooks_of: UID of the pod if it has preStop hooks; otherwise empty.
        """
        started = time.monotonic()
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(gone.wait(), seconds + STUCK_SECONDS)
                if hooks_of:
                    await self._report_failed_hooks(hooks_of)
                return
            pod = await self._namespace.pods.get(self._name)
        except ClusterError:
            return  # the pod is gone, or its state is unknown
        state = f"{self._name} was deleted {time.monotonic() - started:.0f} s ago and still exists:"
        if finalizers := pod["metadata"].get("finalizers"):
            _print_warning(
                f"{state} it is held by finalizer {', '.join(finalizers)}.",
                f"The controller that has set it must remove it: see {self._kubectl('get', 'pod', self._name, '-o', 'yaml')}",
            )
        elif is_node_silent(pod):
            node = pod["spec"].get("nodeName")
            _print_warning(
                f"{state} its node {node} has stopped reporting.",
                f"See kubectl describe node {node}. If the node is dead: %podtask delete {self._name} --force "
                f"-n {self._namespace.name}",
            )
        else:
            names = [
                each["name"] for _, each in container_statuses(pod) if "running" in each.get("state", {})
            ]
            pending = f"{', '.join(names)} still running" if names else "volumes or network not removed yet"
            _print_warning(
                f"{state} {pending}.",
                f"The node removes it when that has ended. See {self._kubectl('describe', 'pod', self._name)}",
            )

    async def _report_failed_hooks(self, uid: str) -> None:
        """Report each preStop hook that has failed: what it should have saved may be lost."""
        for hook in failed_stop_hooks(await self._namespace.events.list(uid)):
            _print_warning(
                f"{self._name}: {hook.sentence}, after the cell had ended.",
                f"What it should have saved may be lost. Change {hook.field}.",
            )

    def _kubectl(self, *words: str) -> str:
        return self._namespace.kubectl(*words)


def _print_warning(message: str, hint: str) -> None:
    print(safe_text(f"podtask: {message}\n  {hint}"), file=sys.stderr, flush=True)
