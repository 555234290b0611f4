"""Start a runner for a cell: a new pod, or a process on this machine."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..backends.base import CONNECTING, Backend, Termination
from ..backends.local import LocalProcess, ignored_parts
from ..channel.batch import embed_job
from ..channel.channel import Channel
from ..channel.job import Job, RunnerResult
from ..channel.log_channel import LogChannel
from ..config.files import ignored_files
from ..config.options import AUTO, BATCH, PLAIN
from ..errors import InputError, NameTaken, NoStream
from ..manifest import owner_secrets
from ..manifest.identity import Identity, new_identity
from ..manifest.pod_manifest import PodManifest
from .interfaces import StartedRunner, TaskListener
from .outcome import LOCAL_PLACE
from .prepare import PreparedCell, remember_minor
from .retry import RetryPolicy

if TYPE_CHECKING:
    from ..backends.pod import Pod

log = logging.getLogger(__name__)
BATCH_FALLBACK_NOTE = (
    "{} Falling back to batch mode: the cell is embedded in a new pod and its output is read from the pod "
    "log. Ctrl-C deletes the pod; input() gets no answer."
)
# Kubeconfig, context and namespace of each place where this kernel has fallen back to batch mode.
_batch_places: set[tuple[str | None, ...]] = set()


class NewRunner:
    """The launcher of a task that gets a new runner.

    Args:
        prepared: The cell.
        port: Port of the runner; a random one by default.
    """

    resumed = False

    def __init__(self, prepared: PreparedCell, port: int | None = None) -> None:
        self.options = prepared.options
        self._prepared = prepared
        self._identity = new_identity(port, prepared.options.name or "", prepared.namespace)
        self.name = self._identity.name
        self.pack_seconds = time.monotonic() - prepared.began
        self._retries = RetryPolicy(prepared.options)
        self._place = (os.environ.get("KUBECONFIG"), prepared.options.context, prepared.options.namespace)

    @property
    def _is_batch(self) -> bool:
        chosen = self.options.channel
        return not self.options.local and (
            chosen == BATCH or (chosen == AUTO and self._place in _batch_places)
        )

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """The variables that were sent: name -> (name of the type, bytes)."""
        return self._prepared.inputs.sizes

    def retry_reason(self, end: Termination | RunnerResult | NoStream) -> str:
        """Return why the cell is run again in a new pod, as a line for the user; empty if it is not."""
        if isinstance(end, NoStream):
            reason = "" if self._is_batch else BATCH_FALLBACK_NOTE.format(end.summary)
            _batch_places.add(self._place)
        else:
            reason = self._retries.retry_reason(end)
        if reason:
            self._new_identity()
        return reason

    def hint_for(self, error: BaseException) -> str:
        """Return a one-line hint for an error of the cell; empty if there is none."""
        return self._prepared.hint_for(error)

    def free_inputs(self) -> None:
        """Free the inputs: the task has ended. Their names and sizes stay known."""
        self._prepared = self._prepared.without_values()

    async def start_runner(self, listener: TaskListener) -> StartedRunner:
        """Create the pod, or start the process.

        Raises:
            PodtaskError: The runner cannot be started.
        """
        options, identity = self.options, self._identity
        self._show_notices(listener)
        if not options.local:
            listener.on_phase(CONNECTING)
            saving = asyncio.ensure_future(
                asyncio.to_thread(owner_secrets.save, identity, options.results == PLAIN)
            )
            identity = await self._with_user_and_owner(identity, listener)
            if not await saving and options.detach:
                listener.on_note(
                    f"The secret of {identity.name} cannot be kept privately in {owner_secrets.folder()}. Only "
                    "this kernel can stop the task or release its result; others can follow it."
                )
        manifest = self._prepared.manifest.stamped(identity)

        def job_for(python: str) -> Job:
            return self._prepared.job_for(python, identity.name, manifest.linger_seconds, listener.on_note)

        if self._is_batch:
            manifest = self._embed(manifest, job_for(platform.python_version()), listener)
        listener.on_manifest(manifest)
        backend: Backend
        if options.local:
            ignored = ignored_parts(manifest)
            if ignored:
                listener.on_notice(
                    f"Runs on this machine. Ignored parts of the template: {', '.join(ignored)}."
                )
            backend = await LocalProcess.start(manifest, listener)
            where = LOCAL_PLACE
        else:
            where = f"pod {identity.name}, container {manifest.primary}"
            try:
                backend = pod = await self._create_pod(manifest, listener)
            except NameTaken as error:
                log.debug("%s Creating the pod with another name.", error)
                self._new_identity()
                return await self.start_runner(listener)
            if self._is_batch:
                return StartedRunner(pod, LogChannel(pod, identity.key, listener), where)
        job_for_runner = job_for if options.local else _remembering(manifest, job_for)
        unpickles = options.results != PLAIN
        channel = Channel(backend, identity.key, identity.secret, job_for_runner, listener, unpickles)
        return StartedRunner(backend, channel, where)

    def _show_notices(self, listener: TaskListener) -> None:
        """Show the files that options come from, the ignored settings, and the replaced fields of the template.

        A line about a template is shown with the first cell that runs in it, not with every cell.
        """
        prepared = self._prepared
        about_options = (*self.options.notices, *ignored_files(only_new=True))
        for line in (*about_options, *prepared.manifest.notices):
            listener.on_notice(line)
        for line in prepared.inputs.warnings:
            listener.on_note(line)

    async def _create_pod(self, manifest: PodManifest, listener: TaskListener) -> Pod:
        """Create the pod; if that is refused, forget the secret of its task."""
        # Start-up cost: a local run needs no client library.
        from ..backends.pod import Pod
        from ..cluster.refusals import Refusal

        try:
            return await Pod.create(manifest, self.options, listener)
        except (NameTaken, Refusal):
            owner_secrets.remove(manifest.name)  # this task will have no pod of this name
            raise

    async def _with_user_and_owner(self, identity: Identity, listener: TaskListener) -> Identity:
        """Report earlier tasks of this notebook; return the identity with the user and the notebook's pod.

        Also report if kubectl has switched to another context than the one of this kernel.
        """
        # Start-up cost: a local run needs no client library.
        from ..cluster.current_context import describe_switch
        from ..cluster.namespace import open_namespace
        from ..cluster.own_pod import notebook_pod
        from ..manage.previous_kernels import report_previous_tasks
        from ..manage.user import current_user

        place = self.options.context, self.options.namespace
        if self.options.context is None:
            line = await asyncio.to_thread(describe_switch, self.options.namespace)
            if line:
                listener.on_note(line)
        await report_previous_tasks(self.options, identity.notebook, listener.on_note)
        asking = current_user(await open_namespace(*place))
        if self.options.detach:  # a detached task outlives its notebook
            return replace(identity, user=(await asking).name)
        user, owner = await asyncio.gather(asking, notebook_pod(*place))
        return replace(identity, user=user.name, owner=owner)

    def _embed(self, manifest: PodManifest, job: Job, listener: TaskListener) -> PodManifest:
        options = self.options
        if options.no_log_result:
            raise InputError(
                "Batch mode reads the result from the pod log, but --no-log-result forbids that.",
                "Remove --no-log-result, or ask for a Role with pods/portforward or pods/exec (get and create).",
            )
        if options.env or options.index_url or options.extra_index_url:
            listener.on_note(
                "In batch mode the values of --env are in an annotation: everyone who may get the pod can read them."
            )
        return embed_job(manifest, job)

    def _new_identity(self) -> None:
        self._identity = new_identity(None, self._prepared.options.name or "", self._prepared.namespace)
        self.name = self._identity.name


def _remembering(manifest: PodManifest, job_for: Callable[[str], Job]) -> Callable[[str], Job]:
    """Return the same function; it remembers the version of the pod's Python."""

    def job_for_pod(python: str) -> Job:
        remember_minor(manifest, python)
        return job_for(python)

    return job_for_pod
