"""Find the runner of a task that another kernel has started."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from typing import Any

from ..backends.base import Backend, Termination
from ..backends.job_pod import JobPod
from ..backends.pod import Pod
from ..channel.channel import Channel
from ..channel.job import RunnerResult
from ..channel.log_channel import LogChannel
from ..cluster.namespace import Namespace
from ..cluster.refusals import RequestDenied
from ..config.files import ignored_files
from ..config.option_types import parse_task_name
from ..config.options import PLAIN, RunOptions
from ..errors import ClusterError, InputError, NoStream, TaskError
from ..manage.lookup import look_up_task
from ..manifest import owner_secrets
from ..manifest.identity import lock_of
from ..manifest.task_pod import TaskPod
from ..manifest.task_secrets import OWNER_KEY, owner_name
from ..pickling.hints import missing_module_hint
from .interfaces import StartedRunner, TaskListener
from .retry import RetryPolicy

log = logging.getLogger(__name__)
NOT_THE_OWNER = (
    "The owner's secret of {name} is not here: you follow it, and can neither interrupt it nor answer it."
)


class ExistingRunner:
    """The launcher of a task whose runner exists already.

    Args:
        name: Name of the pod, or the user's name for the task.
        options: Options with the kubeconfig context and the namespace to use.
        trust: Whether to unpickle the values of a task whose owner's secret this user does not have.
    """

    resumed = True
    is_enclosed = False
    shared_values = ""

    def __init__(self, name: str, options: RunOptions, trust: bool = False) -> None:
        self._trust = trust
        self.options = options
        self.name = parse_task_name(name)
        self.pack_seconds = 0.0
        self._retries: RetryPolicy | None = None  # of a Job

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """An empty mapping: another kernel has sent the inputs."""
        return {}

    def retry_reason(self, end: Termination | RunnerResult | NoStream) -> str:
        """Return how a Job runs the cell again; empty without one, because this kernel does not have the cell."""
        return self._retries.retry_reason(end) if self._retries and not isinstance(end, NoStream) else ""

    def hint_for(self, error: BaseException) -> str:
        """Return a one-line hint for an error of the cell; empty if there is none."""
        return missing_module_hint(error) if isinstance(error, ModuleNotFoundError) else ""

    def on_cell_begun(self) -> None:
        """Do nothing: another kernel has counted the Secrets."""

    def free_inputs(self) -> None:
        """Do nothing: another kernel has the inputs."""

    async def start_runner(self, listener: TaskListener) -> StartedRunner:
        """Find the pod.

        Raises:
            PodtaskError: The pod does not exist, it does not run a task, or its result was already fetched.
        """
        for line in ignored_files(only_new=True):
            listener.on_note(line)
        namespace, pod = await look_up_task(self.name, self.options)
        key = pod.key
        self.is_enclosed = pod.is_enclosed
        listener.on_manifest(pod)
        if pod.session:
            raise InputError(
                f"{pod.name} is the pod of session {pod.session}.",
                f"%%podtask --session {pod.session} runs a cell in it, %podtask names {pod.session} lists its variables.",
            )
        if pod.is_result_fetched and not pod.is_replaced:
            raise TaskError(
                f"The result of {pod.name} was already fetched ({pod.cell_status}). The cell is not run again.",
                f"%podtask logs {pod.name} shows its output, %podtask delete {pod.name} removes it.",
            )
        pod.check_protocol()
        plain = self.options.results == PLAIN or owner_secrets.is_plain(pod.task)
        self.options = pod.options.replace(namespace=self.options.namespace, context=self.options.context)
        secret = owner_secrets.load(pod.task, pod.key, pod.lock)
        if secret is None and self._trust:
            secret = await _secret_in_cluster(namespace, pod)
        if plain or (secret is None and not self._trust):
            self.options = self.options.replace(results=PLAIN)
        if secret is None:
            listener.on_note(NOT_THE_OWNER.format(name=pod.task))
        where = f"pod {pod.name}, container {pod.primary}"
        if pod.is_batch:
            backend = Pod.adopt(namespace, pod, listener)
            return StartedRunner(backend, LogChannel(backend, key, listener, secret is None), where)
        unpickles = self.options.results != PLAIN

        def channel_to(backend: Backend) -> Channel:
            return Channel(backend, key, secret, None, listener, unpickles)

        job = await _read_job(namespace, pod)
        if job is None:
            backend = Pod.adopt(namespace, pod, listener)
            return StartedRunner(backend, channel_to(backend), where)
        retries_left = int(job["spec"]["backoffLimit"]) - int(job.get("status", {}).get("failed", 0))
        self._retries = RetryPolicy(self.options, max(0, retries_left))
        followed = JobPod.adopt_from_job(namespace, pod, job, listener)
        return StartedRunner.in_job(followed, channel_to, where)


async def _read_job(namespace: Namespace, pod: TaskPod) -> dict[str, Any] | None:
    """Return the Job that replaces a pod; None for a plain pod, and for a Job that the user may not read."""
    if pod.job is None:
        return None
    try:
        return await namespace.jobs.get(pod.job.name)
    except RequestDenied as error:
        log.debug("%s: its Job is not followed: %s", pod.name, error)
        return None


async def _secret_in_cluster(namespace: Namespace, pod: TaskPod) -> str | None:
    """Return the owner's secret of a task from its Secret in the cluster; None if there is none, or it may not be read.

    Whoever may create pods and Secrets may write one, so it proves no more than the user's trust.
    """
    try:
        found = await namespace.secrets.get(owner_name(pod.task))
        secret = base64.b64decode(found["data"][OWNER_KEY]).decode()
    except (ClusterError, LookupError, TypeError, ValueError) as error:
        log.debug("%s: the owner's secret is not in the cluster: %s", pod.name, error)
        return None
    return secret if lock_of(secret) == pod.lock else None
