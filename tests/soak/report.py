"""The report of a soak: count events, find violations and print figures."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field
from typing import Any

MIB = 1 << 20
# Allowed growth from the first half of a run to the second. A leak per task grows far more.
MORE_MEMORY = 16 * MIB
MORE_HANDLES = 40  # threads or descriptors of tasks that run while a sample is taken
# Allowed growth without running tasks since the end of the first one. Connections to the API server
# are kept for minutes to be reused.
MORE_AT_REST = {"threads": 3, "files": 3, "sockets": 40}
# Texts of errors about a killed pod.
KILLED = re.compile(
    r"(TaskError|StartError): .*(deleted|terminated while|killed by|exit code 137)", re.DOTALL
)


@dataclass
class Report:
    """Hold the counts and samples of a soak.

    Args:
        killed: Pods that were killed.
        ended: Outcome of each task, as reported by the client.
        samples: Resources of the client, in order of time.
        disturbances: Number of disturbances of each kind.
        leftovers: Descriptions of objects that were left at the end.
        seconds: Duration of the soak.
    """

    killed: set[str] = field(default_factory=set)
    ended: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, int]] = field(default_factory=list)
    disturbances: dict[str, int] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, kind: str, count: int = 1) -> None:
        """Count a disturbance."""
        self.disturbances[kind] = self.disturbances.get(kind, 0) + count

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Number of tasks that ended in an error."""
        return [each for each in self.ended if each["error"]]

    def faults(self, expected: int) -> list[str]:
        """Return a line for each violation; ``expected`` is the number of tasks."""
        found = [
            f"task {each['ended']} ({each['pod']}): {each['wrong']}" for each in self.ended if each["wrong"]
        ]
        found += [
            f"task {each['ended']} ({each['pod']}), which nobody killed: {each['error']}"
            for each in self.failures
            if each["pod"] not in self.killed
        ]
        found += [
            f"task {each['ended']}: an error that is not its kill's: {each['error']}"
            for each in self.failures
            if each["pod"] in self.killed and not (each["named"] and KILLED.match(each["error"]))
        ]
        if len({each["ended"] for each in self.ended}) != expected:
            found.append(f"{len(self.ended)} of {expected} tasks ended")
        found += self.leftovers
        first, last = self._halves("memory")
        if last - first > MORE_MEMORY:
            found.append(f"memory grew from {first / MIB:.0f} to {last / MIB:.0f} MiB")
        for what in ("threads", "descriptors"):
            first, last = self._halves(what)
            if last - first > MORE_HANDLES:
                found.append(f"{what} grew from {first} to {last}")
        return found + self._kept()

    def _kept(self) -> list[str]:
        """Return the resources that are held after the last task but were not held after the first one."""
        first, *_, last = [
            {**each, "files": each["descriptors"] - each["sockets"]} for each in self.samples if each["rests"]
        ]
        return [
            f"{what} at rest grew from {first[what]} to {last[what]}"
            for what, more in MORE_AT_REST.items()
            if last[what] - first[what] > more
        ]

    def text(self) -> str:
        """Return the figures."""
        good = sum(not each["error"] and not each["wrong"] for each in self.ended)
        local = sum(each["local"] for each in self.ended)
        memory, descriptors = self._halves("memory"), self._halves("descriptors")
        threads, end = self._halves("threads"), self.samples[-1]
        begin = next(each for each in self.samples if each["rests"])
        done = ", ".join(f"{kind} {count}" for kind, count in self.disturbances.items())
        return "\n".join(
            [
                f"tasks          {len(self.ended)} ({local} local, {len(self.ended) - local} in pods) in {self.seconds:.0f} s",
                f"right results  {good}; the others: {len(self.failures)} named failures of {len(self.killed)} killed pods",
                f"disturbances   {done}",
                f"memory         {memory[0] / MIB:.0f} MiB in the first half (highest), {memory[1] / MIB:.0f} in the second",
                f"threads        {threads[0]} and {threads[1]}; at rest {begin['threads']}, at the end {end['threads']}",
                f"descriptors    {descriptors[0]} and {descriptors[1]}; at rest {begin['descriptors']}, at the end {end['descriptors']}",
                f"left           {'; '.join(self.leftovers) or 'nothing: no pod, process or file'}",
            ]
        )

    def _halves(self, what: str) -> tuple[int, int]:
        """Return the maximum of each half of the samples; for memory a percentile, because peaks pass."""
        values = [each[what] for each in self.samples]
        middle = max(1, len(values) // 2)
        return tuple(
            int(statistics.quantiles(half * 2, n=4)[-1]) if what == "memory" else max(half)  # type: ignore[return-value]
            for half in (values[:middle], values[middle:])
        )
