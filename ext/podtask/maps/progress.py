"""How far a map is: counts, rate, and its failures in groups. Plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FailureGroup:
    """Items that have failed in the same way.

    Args:
        kind: Name of the class of the error.
        location: File and line of the frame that raised it; empty if that is not known.
        count: How many items have failed so.
        first: The lowest index among them.
        message: The message of that one, in one line.
    """

    kind: str
    location: str
    count: int
    first: int
    message: str


@dataclass(frozen=True)
class Progress:
    """A map at one moment.

    Args:
        total: Number of items.
        done: Items that have ended, with the failed ones and without the stopped ones.
        failed: Items that have failed or are lost.
        stopped: Items that have not run to their end, because the map was stopped.
        workers: Workers that take items.
        starting: Workers that do not take items yet.
        waits_for: What the first worker waits for while none takes items; empty otherwise.
        seconds: Seconds since the first worker was ready.
        failures: The failures in groups, the largest first.
    """

    total: int
    done: int
    failed: int
    stopped: int
    workers: int
    starting: int
    waits_for: str
    seconds: float
    failures: tuple[FailureGroup, ...]

    @property
    def rate(self) -> float:
        """Items per second; 0 if none has ended."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the last item ends; None if nothing is known yet."""
        return (self.total - self.done - self.stopped) / self.rate if self.rate else None
