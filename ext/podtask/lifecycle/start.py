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
from .retry import Attempts

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
        self._attempts = Attempts(work.options)
        self._place = (os.environ.get("KUBECONFIG"), work.options.context, work.options.namespace)

    @property
    def _batch(self) -> bool:
        chosen = self.options.channel
        return not self.options.local and (chosen == BATCH or (chosen == AUTO and self._place in _one_way))

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """What was sent: name -> (type's name, bytes)."""
        return self._work.inputs.sizes

    def again(self, found: Termination | RunnerResult | NoStream) -> str:
        """Returns why there is another try, as a line for the user; empty where there is none."""
        if isinstance(found, NoStream):
            why = "" if self._batch else ONE_WAY
            _one_way.add(self._place)
        else:
            why = self._attempts.next(found)
        if why:
            self._rename()
        return why

    def hint(self, error: BaseException) -> str:
        """Returns what may mend an error of the cell, in a line; empty where nothing is known."""
        return self._work.hint(error)

    async def begin(self, listener: TaskListener) -> StartedRunner:
        """Creates the pod, or starts the process.

        Raises:
            PodtaskError: it cannot be had; says why.
        """
        options, identity = self.options, self._identity
        if not options.local:
            listener.on_phase(CONNECTING, "")
            identity = await self._arrive(identity, listener)
        manifest = self._work.manifest.stamped(identity)

        def job_for(python: str) -> Job:
            return self._work.job_for(python, identity.name, manifest.linger_seconds, listener.note)

        if self._batch:
            manifest = self._enclosed(manifest, job_for(platform.python_version()), listener)
        listener.planned(manifest)
        for notice in manifest.notices:
            listener.note(notice)
        placement: Backend
        if options.local:
            left_out = ignored(manifest)
            if left_out:
                listener.note(f"Runs on this machine: {', '.join(left_out)} of the template ignored.")
            placement = await LocalProcess.start(manifest, listener.on_phase)
            where = "a process on this machine"
        else:
            from ..backends.pod import Pod  # only here: a local run needs no client library

            where = f"pod {identity.name}, container {manifest.primary}"
            try:
                placement = pod = await Pod.create(manifest, options, listener.on_phase, listener.note)
            except NameTaken:
                self._rename()
                return await self.begin(listener)
            if self._batch:
                return StartedRunner(pod, LogChannel(pod, identity.key, listener.on_frame), where)
        channel = Channel(placement, identity.key, job_for, listener.on_frame)
        return StartedRunner(placement, channel, where)

    async def _arrive(self, identity: Identity, listener: TaskListener) -> Identity:
        """Has a look at what is there of this notebook; returns the identity with its owner."""
        from ..cluster.own_pod import notebook_pod
        from ..manage.previous_kernels import look

        await look(self.options, identity.notebook, listener.note)
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
            listener.note(
                "What --env has lies in an annotation in batch mode: who may get the pod can read it."
            )
        return enclosed(manifest, job)

    def _rename(self) -> None:
        self._identity = new_identity(None, self._work.options.name or "", self._work.namespace)
        self.name = self._identity.name
