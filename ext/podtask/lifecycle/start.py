"""Start a runner for a cell: a new pod, or a process on this machine."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..backends.base import CONNECTING, Backend, Termination
from ..backends.local import LocalProcess, ignored_parts
from ..channel.channel import Channel
from ..channel.enclosure import embed_job
from ..channel.job import Job, RunnerResult
from ..channel.log_channel import LogChannel
from ..config.files import ignored_files
from ..config.options import AUTO, BATCH, PLAIN
from ..errors import ClusterError, InputError, NameTaken, NoStream, StartError
from ..event_loop import ignore_result
from ..manifest import owner_secrets
from ..manifest.identity import Identity, new_identity
from ..manifest.pod_manifest import PodManifest
from ..manifest.task_secrets import CellPart
from .enclose import EnclosedPod, describe_keeping, enclose
from .interfaces import StartedRunner, TaskListener
from .outcome import LOCAL_PLACE
from .prepare import PreparedCell, remember_minor
from .retry import RetryPolicy

if TYPE_CHECKING:
    from ..backends.job_pod import JobPod
    from ..backends.pod import Pod
    from ..manage.waiting_parts import WaitingParts

log = logging.getLogger(__name__)
BATCH_FALLBACK_NOTE = (
    "{} Falling back to batch mode: the cell is embedded in a new pod and its output is read from the pod "
    "log. Ctrl-C deletes the pod; input() gets no answer."
)
BATCH_WEBHOOK_NOTE = (
    "In batch mode the webhook of --notify is not called: everyone who may get the pod could read its address. The "
    "notebook notifies you while it follows the task."
)
NO_WEBHOOK_NOTE = "--notify: your settings have no notify_url. A notification comes only while this notebook follows the task."
# Kubeconfig, context and namespace of each place where this kernel has fallen back to batch mode.
_batch_places: set[tuple[str | None, ...]] = set()
# Such places where this kernel may not create Secrets, or Jobs -> a sentence that says so.
_places_without_secrets: dict[tuple[str | None, ...], str] = {}
_places_without_jobs: dict[tuple[str | None, ...], str] = {}
_places_without_sharing: set[tuple[str | None, ...]] = set()  # where this kernel may not change Secrets
SECRETS_LIMIT = "The Secrets of your waiting tasks in {} have reached their limit ({:.0f} MB)"
RERUN_NOTE = (
    "A Job runs the cell (--retries {}): if its pod is lost, the cell runs again from its start, also without this "
    "notebook."
)
NO_JOB_NOTE = "{}. A pod without a Job runs the cell, and only this notebook retries it (--retries)."


class NewRunner:
    """The launcher of a task that gets a new runner.

    Args:
        prepared: The cell.
        port: Port of the runner; a random one by default.
    """

    resumed = False
    is_enclosed = False
    shared_values = ""

    @property
    def outlives_notebook(self) -> bool:
        """Whether the pod stays when the notebook's own pod is deleted."""
        return self.options.detach

    def __init__(self, prepared: PreparedCell, port: int | None = None) -> None:
        self.options = prepared.options
        self._prepared = prepared
        self._identity = new_identity(port, prepared.options.name or "", prepared.namespace)
        self.name = self._identity.name
        self.pack_seconds = time.monotonic() - prepared.began
        self._retries = RetryPolicy(prepared.options)
        self._no_secrets = ""  # why the Secrets of this task cannot be created
        self._shares = True  # whether its Secrets may be shared with other tasks
        self._waiting_parts: WaitingParts | None = None
        self._notes: set[str] = set()
        self._in_job = False
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
        if isinstance(end, NoStream) and self.is_enclosed:
            _batch_places.add(self._place)
            return ""  # the cell runs
        if isinstance(end, NoStream):
            reason = "" if self._is_batch else BATCH_FALLBACK_NOTE.format(end.summary)
            _batch_places.add(self._place)
        else:
            reason = self._retries.retry_reason(end)
        if reason and not self._in_job:
            self._new_identity()
        return reason

    def hint_for(self, error: BaseException) -> str:
        """Return a one-line hint for an error of the cell; empty if there is none."""
        return self._prepared.hint_for(error)

    def free_inputs(self) -> None:
        """Free the inputs: the task has ended. Their names and sizes stay known."""
        self._prepared = self._prepared.without_values()
        self._drop_parts()

    def on_cell_begun(self) -> None:
        """Count the Secrets of the task no longer, except those of a Job, whose next pod needs them."""
        if not self._in_job:
            self._drop_parts()

    def _drop_parts(self) -> None:
        if self._waiting_parts is not None:
            self._waiting_parts.drop(self.name)

    async def start_runner(self, listener: TaskListener) -> StartedRunner:
        """Create the pod, or start the process.

        Raises:
            PodtaskError: The runner cannot be started.
        """
        self._show_notices(listener)
        # The hash of large inputs is made while the pod starts. Whoever needs it earlier waits for it.
        inputs = self._prepared.inputs
        ignore_result(asyncio.ensure_future(asyncio.to_thread(lambda: inputs.sha256)))
        if self.options.local:
            return await self._start_process(listener)
        while True:
            try:
                started = await self._start_pod(listener)
            except NameTaken as error:
                log.debug("%s Creating the pod with another name.", error)
                started = None
            if started is not None:
                return started
            self._new_identity()

    async def _start_process(self, listener: TaskListener) -> StartedRunner:
        identity = self._identity
        manifest = self._prepared.manifest.stamped(identity)
        listener.on_manifest(manifest)
        ignored = ignored_parts(manifest)
        if ignored:
            listener.on_notice(f"Runs on this machine. Ignored parts of the template: {', '.join(ignored)}.")
        backend = await LocalProcess.start(manifest, listener)
        job_for = self._job_maker(manifest, listener)
        return StartedRunner(backend, self._channel(backend, identity, job_for, listener), LOCAL_PLACE)

    async def _start_pod(self, listener: TaskListener) -> StartedRunner | None:
        """Create the pod, and the Secrets of a detached task; None if these were refused and the pod was deleted.

        Raises:
            NameTaken: Another pod has this name.
            StartError: The task was stopped before its pod was created.
            PodtaskError: The pod cannot be created.
        """
        options, identity = self.options, self._identity
        listener.on_phase(CONNECTING)
        saving = asyncio.ensure_future(asyncio.to_thread(self._save_secret, identity))
        identity = await self._with_user_and_owner(identity, listener)
        if not await saving and options.detach:
            listener.on_note(
                f"The secret of {identity.name} cannot be kept privately in {owner_secrets.folder()}. Only "
                "this kernel can stop the task or release its result; others can follow it."
            )
        if listener.stopped:  # the manifest and the inputs are freed when a task ends
            raise StartError(f"{identity.name} was stopped before its pod was created.")
        manifest = self._unstamped.stamped(identity)
        job_for = self._job_maker(manifest, listener)
        parts: Sequence[CellPart] = ()
        if self._is_batch:
            manifest = self._embed(manifest, job_for(platform.python_version()), listener)
        elif options.detach:
            manifest, parts = await self._enclose(manifest, identity.user, listener)
        self.is_enclosed = manifest.is_enclosed
        listener.on_manifest(manifest)
        where = f"pod {identity.name}, container {manifest.primary}"
        counting = None if not parts else ignore_result(asyncio.ensure_future(self._parts_fit()))
        job_pod = await self._create_job(manifest, listener)
        pod = job_pod or await self._create_pod(manifest, listener)
        if self._is_batch:
            return StartedRunner(pod, LogChannel(pod, identity.key, listener), where)
        if counting is not None and not await counting:
            self._no_secrets = self._limit_reached(pod.where)
            await _delete(pod)
            return None
        if parts and not await self._create_secrets(pod, identity, parts):
            return None
        job_for_pod = _remembering(manifest, job_for)

        def channel_to(backend: Backend) -> Channel:
            return self._channel(backend, identity, job_for_pod, listener)

        if job_pod is None:
            return StartedRunner(pod, channel_to(pod), where)
        self._in_job, self._retries = True, RetryPolicy(self.options, self.options.retries)
        return StartedRunner.in_job(job_pod, channel_to, f"Job {identity.name}, container {manifest.primary}")

    def _save_secret(self, identity: Identity) -> bool:
        """Keep the owner's secret of a task; return whether other kernels of the user have it, too."""
        return owner_secrets.save(identity, self.options.results == PLAIN)

    @property
    def _unstamped(self) -> PodManifest:
        """The pod without what distinguishes one task."""
        return self._prepared.manifest

    def _channel(
        self, backend: Backend, identity: Identity, job_for: Callable[[str], Job], listener: TaskListener
    ) -> Channel:
        unpickles = self.options.results != PLAIN
        return Channel(backend, identity.key, identity.secret, job_for, listener, unpickles)

    def _job_maker(self, manifest: PodManifest, listener: TaskListener) -> Callable[[str], Job]:
        """Return a function that returns the job for a runner of a Python version."""

        def job_for(python: str) -> Job:
            return self._prepared.job_for(python, manifest.name, manifest.linger_seconds, listener.on_note)

        return job_for

    async def _enclose(
        self, manifest: PodManifest, user: str, listener: TaskListener
    ) -> tuple[PodManifest, Sequence[CellPart]]:
        """Return the pod of a detached task with its cell enclosed if possible, and what its Secrets have."""
        # Start-up cost: a local run needs no client library.
        from ..cluster.namespace import open_namespace
        from ..manage.waiting_parts import waiting_parts

        def enclosed_without(no_secrets: str) -> Awaitable[EnclosedPod]:
            shares = self._shares and self._place not in _places_without_sharing
            return asyncio.to_thread(enclose, self._prepared, manifest, no_secrets, shares=shares)

        namespace = await open_namespace(self.options.context, self.options.namespace)
        enclosed = await enclosed_without(self._no_secrets or _places_without_secrets.get(self._place, ""))
        self._waiting_parts = waiting_parts(namespace, user)
        if enclosed.parts and not self._waiting_parts.claim(manifest.name, enclosed.parts):
            enclosed = await enclosed_without(self._limit_reached(namespace.where))
        if self._wants_job(enclosed.manifest) and self._place not in _places_without_jobs:
            self._note_once(RERUN_NOTE.format(self.options.retries), listener)
        if enclosed.note:
            self._note_once(enclosed.note, listener)
        if self.options.outputs:
            self._note_once(describe_keeping(self.options, manifest.linger_seconds), listener)
        return enclosed.manifest, enclosed.parts

    def _note_once(self, line: str, listener: TaskListener) -> None:
        """Show a line, unless it was shown with an earlier pod of this task."""
        if line not in self._notes:
            self._notes.add(line)
            listener.on_note(line)

    async def _parts_fit(self) -> bool:
        """Return whether the parts of the cell are within the limit of the user, whatever other kernels have."""
        return self._waiting_parts is None or await self._waiting_parts.still_fit(self.name)

    def _limit_reached(self, where: str) -> str:
        """Return why Secrets cannot be created in a namespace, given with its context, once the user has too many."""
        # Start-up cost: a local run needs no client library.
        from ..manage.waiting_parts import MAX_BYTES

        return SECRETS_LIMIT.format(where, MAX_BYTES / 1e6)

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
        if self.options.notify and self.options.detach and not prepared.notification.url:
            listener.on_note(NO_WEBHOOK_NOTE)

    def _wants_job(self, manifest: PodManifest) -> bool:
        """Return whether a Job is to create the pod: it must replace the pod without this notebook."""
        return bool(self.options.detach and self.options.retries and manifest.is_enclosed)

    async def _create_job(self, manifest: PodManifest, listener: TaskListener) -> JobPod | None:
        """Create the Job of a detached task with retries; None without these, or if Jobs are refused."""
        if not self._wants_job(manifest):
            return None
        # Start-up cost: a local run needs no client library.
        from ..backends.job_pod import JobDenied, JobPod
        from ..cluster.refusals import Refusal

        refusal = _places_without_jobs.get(self._place, "")
        try:
            if not refusal:
                return await JobPod.create(manifest, self.options, listener)
        except JobDenied as error:
            where = f"A Job cannot be created in {error.where}"
            refusal = f"{where} ({error.server_message.rstrip('.')})"
            if error.code == 403 and "cannot create resource" in error.server_message:
                refusal = f"{where} (verb create, resource jobs.batch)"
                _places_without_jobs[self._place] = refusal
        except (NameTaken, Refusal):
            owner_secrets.remove(manifest.name)  # this task will have no pod of this name
            raise
        listener.on_note(NO_JOB_NOTE.format(refusal))
        return None

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

    async def _create_secrets(self, pod: Pod, identity: Identity, parts: Sequence[CellPart]) -> bool:
        """Create the Secrets of a task; if they are refused, delete the pod, and return False.

        Raises:
            ClusterError: The API server does not answer, or does not accept the login.
        """
        # Start-up cost: a local run needs no client library.
        from ..cluster.refusals import RequestDenied
        from ..cluster.secrets import SharingDenied

        try:
            await pod.create_secrets(identity, parts)
        except SharingDenied as error:
            log.debug("%s: its Secrets are not shared: %s", identity.name, error)
            await _delete(pod)
            self._shares = False
            if error.may_not:
                _places_without_sharing.add(self._place)
            return False
        except ClusterError as error:
            await _delete(pod)
            if not isinstance(error, RequestDenied) or error.code == 401:
                raise
            where = f"Secrets cannot be created in {pod.where}"
            self._no_secrets = f"{where} ({error.server_message.rstrip('.')})"
            if error.code == 403 and "cannot create resource" in error.server_message:
                self._no_secrets = f"{where} (verb create, resource secrets)"
                _places_without_secrets[self._place] = self._no_secrets
            return False
        return True

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
        if self.outlives_notebook:
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
        if self._prepared.notification.url:
            listener.on_note(BATCH_WEBHOOK_NOTE)
            job = replace(job, meta={**job.meta, "notify": None})
        return embed_job(manifest, job)

    def _new_identity(self) -> None:
        self._drop_parts()
        self._identity = new_identity(None, self._prepared.options.name or "", self._prepared.namespace)
        self.name = self._identity.name


async def _delete(pod: Pod) -> None:
    """Delete a pod that did not get its Secrets, and forget the owner's secret of its task."""
    await pod.delete()
    await asyncio.to_thread(owner_secrets.remove, pod.name)


def _remembering(manifest: PodManifest, job_for: Callable[[str], Job]) -> Callable[[str], Job]:
    """Return the same function; it remembers the version of the pod's Python."""

    def job_for_pod(python: str) -> Job:
        remember_minor(manifest, python)
        return job_for(python)

    return job_for_pod
