"""Whether a task is tried once more in another pod, and why. Pure.

By itself only where the cell provably never ran; what has begun is repeated on request alone, as
nobody else knows whether it may run twice.
"""

from __future__ import annotations

from ..backends.base import Termination
from ..channel.job import RunnerResult
from ..config.options import RunOptions
from ..errors import StartError
from ..manifest.labels import PORT_TAKEN

PORT_TRIES = 3


class Attempts:
    """What is left of the tries of one task.

    Args:
        options: of the task: how often, and whether a cell that had begun is repeated.
    """

    def __init__(self, options: RunOptions) -> None:
        self._ports = PORT_TRIES
        self._left = options.retries or 0
        self._begun_too = options.retry_on == "lost"

    def next(self, found: Termination | RunnerResult) -> str:
        """Returns why there is another try, as a line for the user; empty where there is none.

        Raises:
            StartError: every port that was tried is taken.
        """
        if isinstance(found, Termination) and found.code == PORT_TAKEN:
            self._ports -= 1
            if not self._ports:
                raise StartError(
                    "Another container of the pod takes every port the runner chooses.",
                    "Look at what the sidecars listen on.",
                )
            return "The runner's port was taken by another container; trying another one."
        if isinstance(found, Termination):
            say, lost, begun = found.message, found.lost, found.started
        else:
            say, _, lost = found.stopped
            begun = True
        if not self._left or not lost or (begun and not self._begun_too):
            return ""
        self._left -= 1
        return f"{say.rstrip('.')}. Once more in another pod; retries left: {self._left}."
