"""What a runner is given, and what it gives: plain values between task and channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..backends.base import Phase
from ..runner import protocol


@dataclass(frozen=True)
class Job:
    """The work for a runner: the meta of the run frame, and the pickled inputs in pieces."""

    meta: dict[str, Any]
    inputs: tuple[Any, ...]

    @property
    def size(self) -> int:
        """Bytes of the inputs."""
        return sum(map(len, self.inputs))


def frames(job: Job, offset: int) -> Iterator[bytes]:
    """Yields the frames that bring a job's inputs from an offset on, then the one that runs it."""
    here = 0
    for piece in job.inputs:
        with memoryview(piece) as view:
            for start in range(max(0, offset - here), len(view), protocol.MAX_DATA):
                meta = {"id": "inputs", "offset": here + start}
                yield protocol.encode(protocol.BLOB, meta, view[start : start + protocol.MAX_DATA])
        here += len(piece)
    meta = {**job.meta, "inputs": "inputs" if here else None, "inputs_size": here}
    yield protocol.encode(protocol.RUN, meta)


@dataclass
class RunnerResult:
    """The end of a task: the meta of its end frame, and the pickled values in their parts.

    Args:
        end: the meta.
        parts: the pickles, then each buffer.
        stopped: why the runner was told to stop from outside, what to do, and whether its place
            was lost, to no fault of the cell.
    """

    end: dict[str, Any]
    parts: list[bytearray]
    stopped: tuple[str, str, bool] = ("", "", False)

    def put(self, offset: int, data: bytes) -> None:
        """Writes data where it belongs; the parts lie one behind the other."""
        for part in self.parts:
            if data and offset < len(part):
                end = min(len(part), offset + len(data))
                part[offset:end] = data[: end - offset]
                data = data[end - offset :]
                offset = 0
            elif data:
                offset -= len(part)


def phase_of_state(meta: dict[str, Any]) -> Phase:
    """Return the phase that a runner reports in the meta of a state frame."""
    if meta["step"] == "pip":
        return Phase("Installing", ", ".join(meta["specs"]))
    return Phase("Running")
