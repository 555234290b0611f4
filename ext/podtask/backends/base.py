"""What a backend is to a task: something that starts a runner, reaches it, sees it end.

Protocols and plain values only; ``local`` and ``pods`` implement them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..diagnosis.model import WAITS
from ..runner import protocol

T = TypeVar("T")


@dataclass(frozen=True)
class Phase:
    """A phase of a task.

    Args:
        name: "Pending", "Running", ..., or the reason why the pod does not start.
        text: A sentence that says more; may be empty.
        waiting: Whether the task waits, until its start timeout, for something that may still change.
    """

    name: str
    text: str = ""
    waiting: bool = False

    @property
    def line(self) -> str:
        """Name and text in one line."""
        return ": ".join(part for part in (self.name, self.text) if part)

    @property
    def full_text(self) -> str:
        """The text, and whether the task waits."""
        return f"{self.text}{WAITS}" if self.waiting else self.text

    def __str__(self) -> str:
        return ": ".join(part for part in (self.name, self.full_text) if part)


CONNECTING = Phase("Connecting")  # until the pod can be created


class RunnerListener(Protocol):
    """Receives what a backend and a channel report of one runner, in the event loop."""

    def on_phase(self, phase: Phase) -> None:
        """Receive the current phase; it may be the same as before."""

    def on_note(self, text: str) -> None:
        """Receive a line for the user."""

    def on_frame(self, frame: protocol.Frame) -> None:
        """Receive a spooled frame of the runner; each comes once, in order."""


class ByteStream(Protocol):
    """A connection to the runner's port: ordered bytes, both ways."""

    async def send(self, data: bytes) -> None:
        """Sends bytes, all or an error (OSError)."""

    async def receive(self) -> bytes:
        """Returns the next bytes; empty at the end, OSError when the connection broke."""

    async def close(self) -> None:
        """Ends the connection; never fails."""


@dataclass(frozen=True)
class Termination:
    """How the primary container ended, as far as the backend can see.

    Args:
        message: one sentence for the user.
        hint: what to do next.
        code: exit code of the runner, where there is one.
        started: False where the cell provably never ran.
        lost: its place was lost, to no fault of the pod: another one may do better.
    """

    message: str
    hint: str = ""
    code: int | None = None
    started: bool = True
    lost: bool = False


@dataclass(frozen=True)
class Snapshot:
    """What is seen of a task without asking for much.

    Args:
        events: of the cluster, a line each, oldest first.
        tails: the last lines of the containers beside the cell's, by name.
    """

    events: tuple[str, ...] = ()
    tails: tuple[tuple[str, str], ...] = ()


class Backend(Protocol):
    """One started runner: a pod, or a process on this machine."""

    name: str
    url: str

    @property
    def way(self) -> str:
        """How the runner is reached: "port-forward", "exec", "batch" or "local"; the last one tried."""

    async def connect(self, greet: Callable[[ByteStream], Awaitable[T]]) -> T:
        """Tries to reach the runner until ``greet`` has succeeded on a stream; returns its value."""

    async def ended(self) -> Termination:
        """Waits until the runner has ended, or can never start."""

    async def delete(self, grace: float | None = None) -> None:
        """Ends and removes it; gone already is fine."""

    async def stopped(self) -> tuple[str, str, bool]:
        """Returns why it was told to stop, what to do, and whether its place was lost.

        The texts are empty where nothing is known.
        """

    async def drain_notes(self) -> None:
        """Waits a moment for notes that are on their way, before it is deleted."""

    async def why(self) -> str:
        """Returns where it is, and what to change, in one line."""

    async def events(self) -> list[dict[str, Any]]:
        """Returns what the cluster reported of it, oldest first."""

    async def glimpse(self) -> Snapshot:
        """Returns what is known of its events, and what its sidecars wrote last; never fails."""

    def leave(self) -> None:
        """Forgets it without ending it: somebody else follows it."""

    async def whole_log(self) -> bytes:
        """Returns all that is left of the runner's log; nothing where it is gone."""

    async def logs(self, container: str | None) -> str:
        """Returns what a container has written to its log."""
