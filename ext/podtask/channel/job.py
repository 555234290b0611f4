"""The job that a channel sends to a runner, and the result that it receives. Plain values."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from ..backends.base import Phase, StopReason
from ..pickling.outputs import EarlyUnpacking
from ..runner import protocol


@dataclass(frozen=True)
class Job:
    """A job for a runner.

    Args:
        meta: The metadata of the run frame.
        inputs: The pickled inputs in pieces.
        inputs_id: The SHA-256 of the inputs, in hexadecimal digits; None if there are none.
    """

    meta: dict[str, Any]
    inputs: tuple[bytes | memoryview, ...] = ()
    inputs_id: str | None = None

    @property
    def size(self) -> int:
        """Size of the inputs in bytes."""
        return sum(map(len, self.inputs))


def run_frame(job: Job) -> bytes:
    """Return the frame that runs a job."""
    return protocol.encode(protocol.RUN, {**job.meta, "inputs": job.inputs_id, "inputs_size": job.size})


def job_frames(job: Job, offset: int) -> Iterator[tuple[bytes | memoryview, ...]]:
    """Yield the frame that runs a job, then those with its inputs from an offset on, each in parts.

    The cell's process starts and unpickles while the inputs arrive.
    """
    yield (run_frame(job),)
    position = 0
    for piece in job.inputs:
        with memoryview(piece) as view:
            for start in range(max(0, offset - position), len(view), protocol.MAX_DATA):
                meta = {"id": job.inputs_id, "offset": position + start}
                with view[start : start + protocol.MAX_DATA] as data:
                    yield protocol.encode_head(protocol.BLOB, meta, len(data)), data
        position += len(piece)


@dataclass
class RunnerResult:
    """The result of a runner: the metadata of its result frame, and the pickled values.

    Args:
        end: The metadata of the result frame.
        parts: The pickles, then the buffers.
        stop_reason: Why the pod was terminated, if it was.
        early: Has unpickled the first values while they arrived.
    """

    end: dict[str, Any]
    parts: list[bytearray]
    stop_reason: StopReason = StopReason()
    early: EarlyUnpacking | None = None
    _ends: list[int] = field(init=False, repr=False)  # of the parts, taken together

    @classmethod
    def announced(cls, end: dict[str, Any]) -> RunnerResult:
        """Return a result whose values are still to come.

        Raises:
            ValueError: The sizes of the parts do not add up to the size of the values: the pod would let the notebook
                reserve memory for values that it does not send.
        """
        sizes = end["sizes"] if end["size"] else []
        if sum(sizes) != end["size"]:
            raise ValueError("the sizes of its values do not add up")
        return cls(end, [bytearray(size) for size in sizes])

    def __post_init__(self) -> None:
        self._ends = list(accumulate(map(len, self.parts)))

    def put(self, offset: int, data: bytes) -> None:
        """Write data at an offset of all parts taken together."""
        index = bisect_right(self._ends, offset)
        view = memoryview(data)
        while view and index < len(self.parts):
            part = self.parts[index]
            start = offset - (self._ends[index] - len(part))
            count = min(len(view), len(part) - start)
            part[start : start + count] = view[:count]
            offset, view, index = offset + count, view[count:], index + 1


def phase_of_state(meta: dict[str, Any]) -> Phase:
    """Return the phase that a runner reports in the metadata of a state frame."""
    if meta["step"] == protocol.STEP_PIP:
        return Phase("Installing", ", ".join(meta.get("specs", [])))
    return Phase("Running")
