"""The CPU and memory that the primary container uses at the moment, from its control group (version 1 or 2)."""

import os
import time
from typing import Any, Dict, NamedTuple, Optional, Tuple

CGROUP_FOLDER = "/sys/fs/cgroup"
INTERVAL_SECONDS = 1.0
WARNING_SHARE = 0.9  # of the limit of memory
NO_LIMIT_BYTES = 1 << 60  # without a limit, version 1 reports a number near 2**63


class CgroupFiles(NamedTuple):
    """Where one version of control groups has its numbers.

    Attributes:
        cpu: File with the CPU time so far, alone or in the first line.
        cpu_unit: Seconds of one unit of it.
        cpu_limit: Files with CPU time that may be used in a period, and the period; or one file with both.
        memory: File with the used memory in bytes.
        memory_statistics: File that says how much of it are cached pages.
        cached: Name in that file of the pages of files that the kernel frees first. The kubelet subtracts them, too.
        memory_limit: File with the limit of memory in bytes.
    """

    cpu: str
    cpu_unit: float
    cpu_limit: Tuple[str, ...]
    memory: str
    memory_statistics: str
    cached: str
    memory_limit: str


VERSIONS = (
    CgroupFiles(
        "cpu.stat", 1e-6, ("cpu.max",), "memory.current", "memory.stat", "inactive_file", "memory.max"
    ),
    CgroupFiles(
        "cpuacct/cpuacct.usage",
        1e-9,
        ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
        "memory/memory.limit_in_bytes",
    ),
)


class UsageMeter:
    """Measures the use of CPU and memory about once a second.

    Args:
        folder: Where the control group of the container is mounted.

    Attributes:
        next_at: When the next measurement is due (monotonic).
    """

    def __init__(self, folder: str = CGROUP_FOLDER) -> None:
        self._folder = folder
        self._files = next((each for each in VERSIONS if os.path.exists(self._path(each.cpu))), None)
        self._cpu: Optional[float] = None
        self._has_warned = False
        self._measured_at = time.monotonic()
        self.next_at = self._measured_at if self._files is not None else float("inf")
        self.measure()

    def measure(self) -> Optional[Dict[str, Any]]:
        """Return the use since the last measurement, once it is due; None before that, or if it cannot be read.

        "cpu" is in cores, "memory" in bytes. "cpu_limit" and "memory_limit" are the limits of the container; they are
        missing if it has none.
        """
        now = time.monotonic()
        if self._files is None or now < self.next_at:
            return None
        self.next_at = now + INTERVAL_SECONDS
        before, self._cpu = self._cpu, self._cpu_seconds(self._files)
        elapsed, self._measured_at = now - self._measured_at, now
        memory = self._memory(self._files)
        if before is None or self._cpu is None or memory is None:
            return None
        found: Dict[str, Any] = {"cpu": round((self._cpu - before) / elapsed, 3), "memory": memory}
        limits = {"cpu_limit": self._cpu_limit(self._files), "memory_limit": self._memory_limit(self._files)}
        return {**found, **{name: value for name, value in limits.items() if value is not None}}

    def memory_warning(self, used: Dict[str, Any]) -> str:
        """Return a line once the memory is nearly used up; empty before that, and after it was returned.

        Args:
            used: What :meth:`measure` has returned.
        """
        limit = used.get("memory_limit")
        if self._has_warned or not limit or used["memory"] < WARNING_SHARE * limit:
            return ""
        self._has_warned = True
        return (
            f"The container uses {used['memory'] >> 20} of {limit >> 20} MiB of memory. At its limit, processes are "
            "killed, and the variables of the session are lost."
        )

    def measure_memory(self) -> Dict[str, int]:
        """Return "memory" and "memory_limit" in bytes; without what cannot be read, or does not exist."""
        if self._files is None:
            return {}
        found = {"memory": self._memory(self._files), "memory_limit": self._memory_limit(self._files)}
        return {name: value for name, value in found.items() if value is not None}

    def _cpu_seconds(self, files: CgroupFiles) -> Optional[float]:
        number = _number(self._words(files.cpu)[-1:])
        return None if number is None else number * files.cpu_unit

    def _cpu_limit(self, files: CgroupFiles) -> Optional[float]:
        words = [word for name in files.cpu_limit for word in self._words(name)]
        quota, period = _number(words[:1]), _number(words[1:])
        return round(quota / period, 3) if quota is not None and period and quota > 0 else None

    def _memory(self, files: CgroupFiles) -> Optional[int]:
        used = _number(self._words(files.memory))
        cached = 0
        for line in self._lines(files.memory_statistics):
            name, _, number = line.partition(" ")
            if name == files.cached:
                cached = int(number)
        return None if used is None else max(0, used - cached)

    def _memory_limit(self, files: CgroupFiles) -> Optional[int]:
        limit = _number(self._words(files.memory_limit))
        return limit if limit is not None and limit < NO_LIMIT_BYTES else None

    def _words(self, name: str) -> Any:
        """Return the words in the first line of a file."""
        lines = self._lines(name)
        return lines[0].split() if lines else []

    def _lines(self, name: str) -> Any:
        try:
            with open(self._path(name)) as file:
                return file.read().splitlines()
        except OSError:
            return []

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)


def process_memory(pid: int) -> Dict[str, int]:
    """Return "memory", the bytes that a process has in memory; nothing where the system does not tell (macOS)."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return {"memory": int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")}
    except (OSError, IndexError, ValueError):
        return {}


def _number(words: Any) -> Optional[int]:
    """Return the first word as a number, None if it is not one, such as "max"."""
    try:
        return int(words[0])
    except (IndexError, ValueError):
        return None
