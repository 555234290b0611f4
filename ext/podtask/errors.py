"""The errors of podtask. There is a class only where a caller would catch it.

* PodtaskError
  · InputError                what the user gave is wrong; nothing was submitted
  · ClusterError              the API server cannot be reached, or refuses the request
    - NoStream                neither port-forward nor exec is allowed
    - NameTaken               another pod has the name of the new pod
  · StartError                the pod was created, but the cell cannot start
  · TaskError                 the task ended without a result of its cell: killed, deleted, lost
    - TaskTimeout             the task, or waiting for it, took longer than allowed

A message says what is wrong and where; the hint says what to do next. A notebook shows these lines
without a traceback: frames of podtask do not help the user to fix the mistake.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class PodtaskError(Exception):
    """The root of podtask's errors.

    Args:
        message: One sentence: what is wrong, and where.
        hint: One sentence: what to do next; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    @property
    def _public_name(self) -> str:
        """Name of the class in this module that a user would catch."""
        return next(each.__name__ for each in type(self).__mro__ if each.__module__ == __name__)

    def _render_traceback_(self) -> list[str]:
        return [
            f"{self._public_name}: {line}" if number == 0 else f"  {line}"
            for number, line in enumerate(str(self).splitlines())
        ]


class InputError(PodtaskError):
    """An input of the user is wrong; nothing was submitted."""


class ClusterError(PodtaskError):
    """The API server cannot be reached, or refuses the request."""


class NoStream(ClusterError):
    """No stream to the pod is allowed: neither port-forward nor exec."""


class NameTaken(ClusterError):
    """Another pod has the name of the new pod."""


class StartError(PodtaskError):
    """The pod was created, but its cell cannot start."""


class TaskError(PodtaskError):
    """The task ended without a result of its cell: killed, deleted or lost."""


class TaskTimeout(TaskError, TimeoutError):
    """The task, or waiting for it, took longer than allowed."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a pod.

    Args:
        path: Path of the field, ``spec.containers[0].image``.
        message: What is wrong with it.
        hint: What to do about it.
    """

    path: str
    message: str
    hint: str


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known word that is nearest, or an empty string.

    Args:
        word: The unknown word.
        known: The words to choose from.
    """
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {matches[0]!r}?" if matches else ""
