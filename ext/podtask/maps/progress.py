"""How far a map is: counts, rate, and its failures in groups. Plain values."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..backends.base import Phase


class ItemState(enum.IntEnum):
    """What has become of an item; a byte of :attr:`Progress.states`."""

    WAITING = 0
    RUNNING = 1
    SUCCEEDED = 2
    FAILED = 3
    LOST = 4
    STOPPED = 5


@dataclass(frozen=True)
class FailureGroup:
    """Items that have failed in the same way.

    Args:
        kind: Name of the class of the error.
        location: File and line of the frame that raised it; empty if that is not known.
        indexes: The items that have failed so, in ascending order.
        message: The message of the first one, in one line.
    """

    kind: str
    location: str
    indexes: tuple[int, ...]
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
        waits_for: What the first worker that does not take items waits for; None if it starts, or runs on this machine.
        seconds: Seconds since the first worker was ready.
        failures: The failures in groups, the largest first.
        states: The :class:`ItemState` of each item, in order.
        start_failures: How many workers have ended before they took an item.
        start_error: The error of the last one of them; None if there is none.
    """

    total: int
    done: int
    failed: int
    stopped: int
    workers: int
    starting: int
    waits_for: Phase | None
    seconds: float
    failures: tuple[FailureGroup, ...]
    states: bytes
    start_failures: int = 0
    start_error: BaseException | None = None

    @property
    def rate(self) -> float:
        """Items per second; 0 if none has ended."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the last item ends; None if nothing is known yet."""
        return (self.total - self.done - self.stopped) / self.rate if self.rate else None
