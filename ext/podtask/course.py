"""How a task gets at its runner: a new pod or process for a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from .attempts import Attempts
from .backend import Ending, Placement
from .channel import Channel
from .job import Job, Verdict
from .local import LocalProcess, ignored
from .manifest import Identity, render
from .options import RunOptions
from .pickles import MINOR
from .runner import wire
from .work import Work, new_identity


@dataclass(frozen=True)
class Ears:
    """What is told of a course.

    Args:
        planned: called with the task's name, and its pod in wire form.
        on_phase: called with a phase and a sentence.
        on_frame: called with each spooled frame, once, in order.
        note: called with a line for the user.
    """

    planned: Callable[[str, dict[str, Any]], None]
    on_phase: Callable[[str, str], None]
    on_frame: Callable[[wire.Frame], None]
    note: Callable[[str], None]


@dataclass(frozen=True)
class Begun:
    """A runner that is followed.

    Args:
        placement: where it is.
        channel: to it.
        key: the task's, hex.
        where: in words, for the last line of an error.
    """

    placement: Placement
    channel: Channel
    key: str
    where: str


class Course(Protocol):
    """The way of one task, from the start of its runner or from where that is."""

    options: RunOptions
    name: str

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """What was sent: name -> (type's name, bytes)."""

    async def begin(self, ears: Ears) -> Begun:
        """Starts, or finds, the runner.

        Raises:
            PodtaskError: it cannot be had; says why.
        """

    def again(self, found: Ending | Verdict) -> str:
        """Returns why there is another try, as a line for the user; empty where there is none."""

    def hint(self, error: BaseException) -> str:
        """Returns what may mend an error of the cell, in a line; empty where nothing is known."""


class Fresh:
    """A cell gets a runner of its own.

    Args:
        work: the cell.
        port: of the runner; a random one by default.
    """

    def __init__(self, work: Work, port: int | None = None) -> None:
        self.options = work.options
        self._work = work
        self._identity = new_identity(port, work)
        self.name = self._identity.name
        self._attempts = Attempts(work.options)

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """What was sent: name -> (type's name, bytes)."""
        return self._work.inputs.sizes

    def again(self, found: Ending | Verdict) -> str:
        """Returns why there is another try, as a line for the user; empty where there is none."""
        why = self._attempts.next(found)
        if why:
            self._identity = new_identity(None, self._work)
            self.name = self._identity.name
        return why

    def hint(self, error: BaseException) -> str:
        """Returns what may mend an error of the cell, in a line; empty where nothing is known."""
        return self._work.hint(error)

    async def begin(self, ears: Ears) -> Begun:
        """Creates the pod, or starts the process.

        Raises:
            PodtaskError: it cannot be had; says why.
        """
        options, identity = self.options, self._identity
        if not options.local:
            identity = await self._arrive(identity, ears)
        rendered = render(self._work.template, options, identity, MINOR)
        ears.planned(identity.name, rendered.pod)
        for notice in rendered.notices:
            ears.note(notice)
        placement: Placement
        if options.local:
            left_out = ignored(rendered)
            if left_out:
                ears.note(f"Runs on this machine: {', '.join(left_out)} of the template ignored.")
            placement = await LocalProcess.start(rendered, identity, ears.on_phase)
            where = "a process on this machine"
        else:
            from .pods import Pod  # only here: a local run needs no client library

            placement = await Pod.create(rendered, options, ears.on_phase, ears.note)
            where = f"pod {identity.name}, container {rendered.primary}"

        def job_for(python: str) -> Job:
            return self._work.job_for(python, identity.name, rendered.linger, ears.note)

        channel = Channel(placement, identity.key, job_for, ears.on_frame)
        return Begun(placement, channel, identity.key, where)

    async def _arrive(self, identity: Identity, ears: Ears) -> Identity:
        """Has a look at what is there of this notebook; returns the identity with its owner."""
        from .earlier import look
        from .owner import notebook_pod

        await look(self.options, identity.notebook, ears.note)
        # What is detached is to outlive its notebook.
        return (
            identity
            if self.options.detach
            else replace(identity, owner=await notebook_pod(self.options))
        )
