"""The errors of podtask. There is a class only where a caller would catch it.

* PodtaskError
  · InputError                an input of the user is wrong; nothing was submitted
  · ClusterError              the API server cannot be reached, or refuses the request
    - NoStream                neither port-forward nor exec opens a stream to the pod
    - NameTaken               another pod has the name of the new pod
    - AnswerTooLarge          an answer of the API server is larger than podtask reads
  · StartError                the pod was created, but the cell cannot start
  · TaskError                 the task ended without a result: it was killed, deleted or lost
    - TaskTimeout             the task, or waiting for it, took longer than allowed
    - Lost                    an item of a map was lost with its worker

The message says what is wrong and where, and the hint says what to do next. A notebook shows both
without a traceback, because podtask's own frames do not help the user to fix the mistake.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from .runner.safe_text import safe_text


class PodtaskError(Exception):
    """Base class of all errors of podtask.

    Args:
        message: One sentence: what is wrong, and where.
        hint: One sentence: what to do next; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        message, hint = safe_text(message), safe_text(hint)
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    @property
    def _public_name(self) -> str:
        """Name of the class that a user can catch: the nearest one in this module."""
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
    """No stream to the pod can be opened: neither port-forward nor exec is allowed, or works.

    Attributes:
        summary: The reason in one sentence.
    """

    summary = "Neither port-forward nor exec is allowed there."


class NameTaken(ClusterError):
    """Another pod has the name of the new pod."""


class AnswerTooLarge(ClusterError):
    """An answer of the API server is larger than podtask reads. Another attempt does not help."""


class StartError(PodtaskError):
    """The pod was created, but its cell cannot start."""


class TaskError(PodtaskError):
    """The task ended without a result: it was killed, deleted or lost."""


class TaskTimeout(TaskError, TimeoutError):
    """The task, or waiting for it, took longer than allowed."""


class Lost(TaskError):
    """An item of a map was lost with its worker: it may have run, and has no result."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a pod.

    Args:
        path: Path of the field, for example ``spec.containers[0].image``.
        message: What is wrong with it.
        hint: What to do about it.
    """

    path: str
    message: str
    hint: str


Ended = TypeVar("Ended", bound=BaseException)


def ended_by_user(kind: type[Ended], text: str) -> Ended:
    """Return an error for an end that the user wanted: IPython shows it in one line, without frames.

    Args:
        kind: KeyboardInterrupt or CancelledError.
        text: What was ended, and what happened to the pod.
    """
    error = kind(safe_text(text))
    error._render_traceback_ = functools.partial(list, [f"{kind.__name__}: {safe_text(text)}"])  # type: ignore[attr-defined]
    return error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the most similar known word; empty if none is similar.

    Args:
        word: The unknown word.
        known: The words to choose from.
    """
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {matches[0]!r}?" if matches else ""
