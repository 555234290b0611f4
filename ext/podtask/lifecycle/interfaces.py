"""The nouns that the modules of this package share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..backends.base import Backend, Termination
from ..channel.job import RunnerResult
from ..config.options import RunOptions
from ..errors import NoStream
from ..manifest.pod_manifest import PodManifest
from ..runner import protocol


@dataclass(frozen=True)
class TaskListener:
    """What is told of a course.

    Args:
        planned: called with the task's pod.
        on_phase: called with a phase and a sentence.
        on_frame: called with each spooled frame, once, in order; see :class:`Channel`.
        note: called with a line for the user.
    """

    planned: Callable[[PodManifest], None]
    on_phase: Callable[[str, str], None]
    on_frame: Callable[[protocol.Frame], None]
    note: Callable[[str], None]


@dataclass(frozen=True)
class StartedRunner:
    """A runner that is followed.

    Args:
        placement: where it is.
        channel: to it, or what is heard of it.
        where: in words, for the last line of an error.
    """

    placement: Backend
    channel: RunnerChannel
    where: str


class Launcher(Protocol):
    """The way of one task, from the start of its runner or from where that is."""

    options: RunOptions
    name: str
    resumed: bool  # its cell may have begun long ago
    pack_seconds: float  # seconds that the inputs took before it set out

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """What was sent: name -> (type's name, bytes)."""

    async def begin(self, listener: TaskListener) -> StartedRunner:
        """Starts, or finds, the runner.

        Raises:
            PodtaskError: it cannot be had; says why.
        """

    def again(self, found: Termination | RunnerResult | NoStream) -> str:
        """Returns why there is another try, as a line for the user; empty where there is none."""

    def hint(self, error: BaseException) -> str:
        """Returns what may mend an error of the cell, in a line; empty where nothing is known."""


class RunnerChannel(Protocol):
    """What comes of a runner, by a channel or by its log."""

    one_way: bool  # nothing can be said to it
    reconnects: int  # -1 before the first connection

    @property
    def connected(self) -> bool:
        """Whether its runner is heard, and has not said that the cell has ended."""

    async def run(self) -> RunnerResult:
        """Returns when the verdict and all values are here."""

    def last(self, log: bytes) -> RunnerResult | None:
        """Takes what a whole log has, after the runner's end; returns its verdict, None for none."""

    async def interrupt(self) -> None:
        """Interrupts the cell."""

    async def reply(self, answer: dict[str, Any]) -> None:
        """Answers the cell's question."""
