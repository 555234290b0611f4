"""Decide whether a task is retried in another pod. Pure.

A task is retried by default only if its cell provably never ran. A cell that has started is retried
only on request, because only its author knows whether it may run twice.
"""

from __future__ import annotations

from ..backends.base import Termination
from ..channel.job import RunnerResult
from ..config.options import RunOptions
from ..errors import StartError
from ..runner.protocol import EXIT_PORT_TAKEN

PORT_TRIES = 3


class RetryPolicy:
    """Decides whether a task is retried, and counts its retries.

    Args:
        options: Options of the task: ``retries`` and ``retry_on``.
        job_retries: Retries of the Job that creates the pods, which also runs again a cell that has started; None
            without a Job.
    """

    def __init__(self, options: RunOptions, job_retries: int | None = None) -> None:
        self._in_job = job_retries is not None
        self._port_tries_left = PORT_TRIES
        self._retries_left = (options.retries or 0) if job_retries is None else job_retries
        self._retry_started = self._in_job or options.retry_on == "lost"

    def retry_reason(self, end: Termination | RunnerResult) -> str:
        """Return why the task is retried, as a line for the user; empty if it is not.

        Raises:
            StartError: Every port that was tried is in use.
        """
        is_port_taken = isinstance(end, Termination) and end.code == EXIT_PORT_TAKEN
        if is_port_taken and not self._in_job:
            self._port_tries_left -= 1
            if not self._port_tries_left:
                raise StartError(
                    "Another container of the pod uses every port that the runner chooses.",
                    "Check which ports the sidecars listen on.",
                )
            return "The runner's port is in use by another container. Trying another port."
        if isinstance(end, Termination):
            message, lost, started = end.message, end.lost or is_port_taken, end.started
        else:
            message = f"The pod was lost: {end.stop_reason.message}"
            lost, started = end.stop_reason.lost, True
        if not self._retries_left or not lost or (started and not self._retry_started):
            return ""
        self._retries_left -= 1
        retrying = "Its Job starts another one" if self._in_job else "Retrying in another pod"
        return f"{message.rstrip('.')}. {retrying}; retries left: {self._retries_left}."
