"""Protocols and values that the modules of this package share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..backends.base import Backend, RunnerListener, Termination
from ..channel.job import RunnerResult
from ..config.options import RunOptions
from ..errors import NoStream
from ..manifest.pod_manifest import PodManifest


class TaskListener(RunnerListener, Protocol):
    """Receives the reports on one task; called in the event loop."""

    def on_manifest(self, manifest: PodManifest) -> None:
        """Receive the pod, before it is created or when it is found."""


class JobBackend(Backend, Protocol):
    """A runner in a pod that a Job creates."""

    def next_pod(self) -> JobBackend:
        """Return the runner in the pod with which the Job replaces this one."""


@dataclass(frozen=True)
class StartedRunner:
    """A runner that has been started or found.

    Args:
        backend: Where it runs.
        channel: Its channel.
        where: Pod and container in words, for the last line of an error.
        next_in_job: Returns the runner that follows if this one is lost; None if no Job starts another one.
        stays: Whether the runner stays when the task has ended: that of a session.
    """

    backend: Backend
    channel: RunnerChannel
    where: str
    next_in_job: Callable[[], StartedRunner] | None = None
    stays: bool = False

    async def leave(self) -> None:
        """End what a cancelled cell has in a runner that stays: its process. Any other runner is deleted later."""
        if self.stays:
            await self.backend.delete()

    @classmethod
    def in_job(
        cls, backend: JobBackend, channel_to: Callable[[Backend], RunnerChannel], where: str
    ) -> StartedRunner:
        """Return a runner that a Job replaces if it is lost.

        Args:
            backend: Where it runs.
            channel_to: Returns a new channel to a runner.
            where: Pod and container in words.
        """
        return cls(
            backend, channel_to(backend), where, lambda: cls.in_job(backend.next_pod(), channel_to, where)
        )


class Launcher(Protocol):
    """Provides the runner of one task: starts a new one, or finds one that another kernel has started."""

    options: RunOptions
    name: str
    resumed: bool  # whether the cell may have started long ago
    is_enclosed: bool  # whether the pod brings its cell, which may run without a connection
    pack_seconds: float  # seconds that packing the inputs took
    shared_values: (
        str  # in a session: which values were sent, and which not, and why; empty for any other task
    )

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """The variables that were sent: name -> (name of the type, bytes)."""

    async def start_runner(self, listener: TaskListener) -> StartedRunner:
        """Start or find the runner.

        Raises:
            PodtaskError: The runner cannot be started or found.
        """

    def retry_reason(self, end: Termination | RunnerResult | NoStream) -> str:
        """Return why the cell is run again in a new pod, as a line for the user; empty if it is not."""

    def hint_for(self, error: BaseException) -> str:
        """Return a one-line hint for an error of the cell; empty if there is none."""

    def on_cell_begun(self) -> None:
        """Note that the cell has begun: its runner has read the Secrets that brought it."""

    def free_inputs(self) -> None:
        """Free the inputs: the task has ended. Their names and sizes stay known."""


class RunnerChannel(Protocol):
    """Receives the frames and the result of a runner, over a connection or from its log."""

    one_way: bool  # whether nothing can be sent to the runner
    follows_only: bool  # whether the task is not this user's: its pod is neither interrupted nor deleted
    found_ended: bool  # whether the cell had ended, as far as is known, before this notebook followed it

    @property
    def reconnects(self) -> int:
        """How often the connection was made again; -1 before the first one."""

    @property
    def connected(self) -> bool:
        """Whether the runner is connected and has not reported the end of the cell."""

    async def run(self) -> RunnerResult:
        """Receive frames until the result and all values have arrived; return the result."""

    def read_result(self, log: bytes) -> RunnerResult | None:
        """Return the result that an ended runner left in its log, None if there is none."""

    async def interrupt(self) -> None:
        """Interrupt the cell."""

    async def read_stacks(self) -> str:
        """Return the stacks of all threads of the cell; empty if it does not answer."""

    async def reply(self, answer: dict[str, Any]) -> None:
        """Answer the cell's ``input()``."""

    def free_values(self) -> None:
        """Free the job and the result: the task has ended."""
