"""The errors of podtask: one root, and a class only where somebody would catch it.

A message says what happened, where, and what to do next, in two or three lines. In a notebook
just that is shown: the way through our code is of no use to who made the mistake.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class PodtaskError(Exception):
    """What podtask has to say to its user.

    Args:
        message: one sentence: what is wrong, and where.
        hint: one sentence: what to do next; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        return [
            f"{type(self).__name__}: {line}" if n == 0 else f"  {line}"
            for n, line in enumerate(str(self).splitlines())
        ]


class InputError(PodtaskError):
    """Something given to podtask is wrong; nothing was submitted."""


class ClusterError(PodtaskError):
    """The API server cannot be reached, or refuses."""


class NoStream(ClusterError):
    """No stream to the pod is allowed, by any way."""


class NameTaken(ClusterError):
    """The name of the new pod is another's."""


class StartError(PodtaskError):
    """The pod was created and its cell cannot start."""


class TaskError(PodtaskError):
    """The task ended without a verdict of its cell: killed, deleted, out of time."""


class TaskTimeout(TaskError, TimeoutError):
    """The task, or the waiting for it, took longer than allowed."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a pod: the field's path, what it is, and what to do."""

    path: str
    message: str
    hint: str


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns `` Did you mean 'x'?`` for a near miss, else an empty string."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""
