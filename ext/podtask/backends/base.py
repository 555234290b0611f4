"""The interface of a backend: it starts a runner, connects to it, and reports its end.

Protocols and plain values only; ``local.py`` and ``pod.py`` implement them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..diagnosis.model import GATED, Diagnosis
from ..runner import protocol

T = TypeVar("T")


@dataclass(frozen=True)
class Phase:
    """A phase of a task.

    Args:
        name: "Pending", "Running", ..., or the reason why the pod does not start.
        text: The cause, or what the task waits for; may be empty.
        waiting: Whether the task waits, until its start timeout, for something that may still change.
        hint: What to do; may be empty.
        limit: Seconds after which the task fails if nothing changes; None if it waits longer.
    """

    name: str
    text: str = ""
    waiting: bool = False
    hint: str = ""
    limit: float | None = None

    @classmethod
    def from_diagnosis(cls, diagnosis: Diagnosis) -> Phase:
        """Return the phase of a pod that a diagnosis describes."""
        hint = "" if diagnosis.ended else diagnosis.hint
        limit = None if diagnosis.phase == "Running" else diagnosis.give_up_seconds
        return cls(diagnosis.phase, diagnosis.message, diagnosis.waiting, hint, limit)

    @property
    def line(self) -> str:
        """Name and text in one line."""
        return ": ".join(part for part in (self.name, self.text) if part)

    @property
    def full_text(self) -> str:
        """Text, hint and how long the task waits, in one line."""
        sentence = f"{self.text}. {self.hint}" if self.hint else self.text
        if self.waiting and self.name == GATED:
            return f"{sentence} (The time in a queue does not count.)"
        if self.waiting:
            return f"{sentence} (Waits until --start-timeout.)"
        return f"{sentence} (Waits for {self.limit:g} s.)" if self.limit else sentence

    def __str__(self) -> str:
        return ": ".join(part for part in (self.name, self.full_text) if part)


CONNECTING = Phase("Connecting")  # until the pod can be created


def refusal_text(refusals: Mapping[str, str]) -> str:
    """Return how streams were refused, for each transport, in one line."""
    return ", ".join(f"{transport} is refused ({reason})" for transport, reason in refusals.items())


class RunnerListener(Protocol):
    """Receives the reports of a backend and a channel on one runner; called in the event loop."""

    @property
    def stopped(self) -> bool:
        """Whether the user has stopped the task. A runner that has not started must not start."""

    def on_phase(self, phase: Phase) -> None:
        """Receive the current phase; it may be the same as before."""

    def on_note(self, text: str) -> None:
        """Receive a line for the user."""

    def on_runner_note(self, text: str) -> None:
        """Receive a line of the runner for the user, which may come after the result."""

    def on_notice(self, text: str) -> None:
        """Receive a line that each cell with the same template gets; the user sees it once."""

    def on_stuck_sidecars(self, causes: Mapping[str, str]) -> None:
        """Receive the sidecars that do not start while the cell runs: name -> cause."""

    def on_stream_refused(self, transport: str, reason: str) -> None:
        """Receive in a few words how a stream to a running container was refused."""

    def on_frame(self, frame: protocol.Frame) -> None:
        """Receive a spooled frame of the runner; each comes once, in order."""

    def on_usage(self, frame: protocol.Frame) -> None:
        """Receive a usage frame: what the container uses, about once a second."""

    async def wait_for_room(self) -> None:
        """Wait until more frames may be received: the runner is not read faster than its output is shown."""


class ByteStream(Protocol):
    """A connection to the runner's port: ordered bytes in both directions."""

    async def send(self, data: bytes) -> None:
        """Send all bytes, or raise OSError."""

    async def receive(self) -> bytes:
        """Return the next bytes; empty at the end of the stream. Raise OSError if the connection broke."""

    async def close(self) -> None:
        """Close the connection; never fail."""


@dataclass(frozen=True)
class Termination:
    """How the primary container ended, as far as the backend can see.

    Args:
        message: One sentence for the user.
        hint: What to do next.
        code: Exit code of the runner, if there is one.
        started: Whether the cell may have run; False if it provably never did.
        lost: Whether the cluster ended the pod, so that another pod may succeed.
    """

    message: str
    hint: str = ""
    code: int | None = None
    started: bool = True
    lost: bool = False


@dataclass(frozen=True)
class StopReason:
    """Why a pod was terminated while its cell was running; the texts are empty if the reason is unknown.

    Args:
        message: One sentence for the user.
        hint: What to do next.
        lost: Whether the pod was lost through no fault of its own, so that another one may succeed.
    """

    message: str = ""
    hint: str = ""
    lost: bool = False


@dataclass(frozen=True)
class Snapshot:
    """Events and sidecar logs of a task at one moment.

    Args:
        events: One line for each event of the pod, oldest first.
        tails: (name, last lines) of each container but the primary one.
    """

    events: tuple[str, ...] = ()
    tails: tuple[tuple[str, str], ...] = ()


class Backend(Protocol):
    """One started runner: a pod, or a process on this machine."""

    name: str
    url: str

    @property
    def transport(self) -> str:
        """How the runner is reached: "port-forward", "exec", "batch" or "local"."""

    async def connect(self, handshake: Callable[[ByteStream], Awaitable[T]]) -> T:
        """Try to connect until ``handshake`` succeeds on a stream; return its value."""

    async def wait_until_ended(self) -> Termination:
        """Wait until the runner has ended, or can never start."""

    async def delete(self, grace: float | None = None) -> None:
        """End and delete the runner, if it still exists."""

    async def delete_read_secrets(self) -> None:
        """Delete the Secrets that brought the cell, once the runner has read them; never fail."""

    async def stop_reason(self) -> StopReason:
        """Return why the runner was terminated."""

    async def drain_notes(self) -> None:
        """Wait a moment for pending notes, before the pod is deleted."""

    async def why(self) -> str:
        """Return in one line what the runner waits for and what to change."""

    async def events(self) -> list[dict[str, Any]]:
        """Return the Kubernetes events of the pod, oldest first; none for a local process."""

    async def snapshot(self) -> Snapshot:
        """Return the events seen so far and the last lines of the sidecars; never fail."""

    def release(self) -> None:
        """Stop following the runner without deleting it: another kernel may follow it."""

    async def whole_log(self) -> bytes:
        """Return the runner's log; empty if it is gone."""

    async def logs(self, container: str | None) -> str:
        """Return the log of a container, by default of the primary one."""
