"""How a task gets at its runner: a new pod or process for a cell."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import replace

from ..backends.base import CONNECTING, Backend, Termination
from ..backends.local import LocalProcess, ignored
from ..channel.batch import enclosed
from ..channel.channel import Channel
from ..channel.job import Job, RunnerResult
from ..channel.log_channel import LogChannel
from ..config.options import AUTO, BATCH
from ..errors import InputError, NameTaken, NoStream
from ..manifest.identity import Identity, new_identity
from ..manifest.pod_manifest import PodManifest
from .interfaces import StartedRunner, TaskListener
from .prepare import PreparedCell
from .retry import RetryPolicy

ONE_WAY = (
    "Neither port-forward nor exec is allowed there: in batch mode the cell travels with another "
    "pod, and what it says with the log. Ctrl-C deletes the pod; input() gets no answer."
)
_one_way: set[tuple[str | None, ...]] = set()  # kubeconfigs, contexts and namespaces, of this kernel


class NewRunner:
    """A cell gets a runner of its own.

    Args:
        work: the cell.
        port: of the runner; a random one by default.
    """

    resumed = False

    def __init__(self, work: PreparedCell, port: int | None = None) -> None:
        self.options = work.options
        self._work = work
        self._identity = new_identity(port, work.options.name or "", work.namespace)
        self.name = self._identity.name
        self.pack_seconds = time.monotonic() - work.began
        self._retries = RetryPolicy(work.options)
        self._place = (os.environ.get("KUBECONFIG"), work.options.context, work.options.namespace)

    @property
    def _batch(self) -> bool:
        chosen = self.options.channel
        return not self.options.local and (chosen == BATCH or (chosen == AUTO and self._place in _one_way))

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """What was sent: name -> (type's name, bytes)."""
        return self._work.inputs.sizes

    def retry_reason(self, end: Termination | RunnerResult | NoStream) -> str:
        """Return why the cell is sent again, as a line for the user; empty if it is not."""
        if isinstance(end, NoStream):
            reason = "" if self._batch else ONE_WAY
            _one_way.add(self._place)
        else:
            reason = self._retries.retry_reason(end)
        if reason:
            self._rename()
        return reason

    def hint_for(self, error: BaseException) -> str:
        """Return a one-line hint for an error of the cell; empty if there is none."""
        return self._work.hint(error)

    async def start_runner(self, listener: TaskListener) -> StartedRunner:
        """Creates the pod, or starts the process.

        Raises:
            PodtaskError: it cannot be had; says why.
        """
        options, identity = self.options, self._identity
        if not options.local:
            listener.on_phase(CONNECTING)
            identity = await self._arrive(identity, listener)
        manifest = self._work.manifest.stamped(identity)

        def job_for(python: str) -> Job:
            return self._work.job_for(python, identity.name, manifest.linger_seconds, listener.on_note)

        if self._batch:
            manifest = self._enclosed(manifest, job_for(platform.python_version()), listener)
        listener.on_manifest(manifest)
        for notice in manifest.notices:
            listener.on_note(notice)
        backend: Backend
        if options.local:
            left_out = ignored(manifest)
            if left_out:
                listener.on_note(f"Runs on this machine: {', '.join(left_out)} of the template ignored.")
            backend = await LocalProcess.start(manifest, listener)
            where = "a process on this machine"
        else:
            from ..backends.pod import Pod  # only here: a local run needs no client library

            where = f"pod {identity.name}, container {manifest.primary}"
            try:
                backend = pod = await Pod.create(manifest, options, listener)
            except NameTaken:
                self._rename()
                return await self.start_runner(listener)
            if self._batch:
                return StartedRunner(pod, LogChannel(pod, identity.key, listener), where)
        channel = Channel(backend, identity.key, job_for, listener)
        return StartedRunner(backend, channel, where)

    async def _arrive(self, identity: Identity, listener: TaskListener) -> Identity:
        """Has a look at what is there of this notebook; returns the identity with its owner."""
        from ..cluster.own_pod import notebook_pod
        from ..manage.previous_kernels import look

        await look(self.options, identity.notebook, listener.on_note)
        # What is detached is to outlive its notebook.
        return (
            identity
            if self.options.detach
            else replace(identity, owner=await notebook_pod(self.options.context, self.options.namespace))
        )

    def _enclosed(self, manifest: PodManifest, job: Job, listener: TaskListener) -> PodManifest:
        options = self.options
        if options.no_log_result:
            raise InputError(
                "In batch mode the result comes with the log, which --no-log-result forbids.",
                "Leave that out, or ask for a Role with pods/portforward or pods/exec (get and create).",
            )
        if options.env or options.index_url or options.extra_index_url:
            listener.on_note(
                "What --env has lies in an annotation in batch mode: who may get the pod can read it."
            )
        return enclosed(manifest, job)

    def _rename(self) -> None:
        self._identity = new_identity(None, self._work.options.name or "", self._work.namespace)
        self.name = self._identity.name
