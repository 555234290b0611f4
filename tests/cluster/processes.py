"""Processes that outlive the process that starts them, identified by ID and start time, never by name."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError, run

_BOOT = Path("/proc/sys/kernel/random/boot_id")
# The process writes its own record before it executes the program, so that no process runs
# without a record, even if the starting process is killed. Its stdin is a pipe of the starting process;
# the record is complete when the pipe is closed.
_RECORD_AND_BECOME = 'cat /proc/$$/stat /proc/sys/kernel/random/boot_id > "$0" && exec "$@" < /dev/null'


@dataclass(frozen=True)
class Process:
    """A process of the current boot, identified by its start time too, because process IDs are reused."""

    pid: int
    started: int

    def state(self) -> str | None:
        """Return the state letter of the kernel (`T`: stopped), or None after the process has ended."""
        try:
            fields = _stat_fields(Path(f"/proc/{self.pid}/stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            return None
        if int(fields[19]) != self.started:
            return None
        # The first thread may be a zombie while other threads still hold sockets.
        if fields[0] in "ZX" and int(fields[17]) <= 1:
            return None
        return fields[0]

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; return False if the process has already ended."""
        descriptor = self._open()
        if descriptor is None:
            return False
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True

    def wait(self, seconds: float) -> bool:
        """Wait until the process ends; return False if it is still running after the given time."""
        descriptor = self._open()
        if descriptor is None:
            return True
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        finally:
            os.close(descriptor)

    def _open(self) -> int | None:
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        # Checked after opening: from now on, the descriptor cannot refer to another process.
        if self.state() is None:
            os.close(descriptor)
            return None
        return descriptor


def start(command: Sequence[str | Path], *, record: Path, log: Path) -> Process:
    """Start a process in its own session and append its output to a log.

    Raises:
        ClusterError: The process was not recorded.
    """
    words = [str(word) for word in command]
    record.unlink(missing_ok=True)
    ours, theirs = os.pipe()
    try:
        with log.open("ab") as output:
            # `--fork` makes it a child of init, so that it does not become a zombie of this process.
            subprocess.run(
                ["setsid", "--fork", "sh", "-c", _RECORD_AND_BECOME, record, *words],
                stdin=theirs,
                stdout=output,
                stderr=output,
                cwd="/",
                check=True,
            )
        os.close(theirs)
        theirs = -1
        os.read(ours, 1)
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)
    process = recorded(record)
    if process is None:
        raise ClusterError(f"{words[0]} could not be started: {record} has no process in it")
    return process


def recorded(record: Path) -> Process | None:
    """Return the process of a record, or None if there is no record or it is from an earlier boot."""
    if not record.exists():
        return None
    lines = record.read_text().splitlines()
    if len(lines) != 2 or lines[1] != _BOOT.read_text().strip():
        return None
    return Process(int(lines[0].split(" ", 1)[0]), int(_stat_fields(lines[0])[19]))


def identified(pid: int) -> Process | None:
    """Return the process that has this ID now, or None."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(pid, int(_stat_fields(stat)[19]))


def with_argument(argument: str) -> list[Process]:
    """Return the processes with exactly this argument."""
    found = []
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        # Identified before its arguments are read, so that it cannot be a later process with the same ID.
        process = identified(int(directory.name))
        try:
            arguments = (directory / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if process is not None and argument.encode() in arguments:
            found.append(process)
    return found


def end(processes: Iterable[Process]) -> None:
    """Kill processes and wait until they have ended.

    Raises:
        ClusterError: A process is still running.
    """
    ending = [process for process in processes if process.signal(signal.SIGKILL)]
    deadline = time.monotonic() + 10
    left = [str(process.pid) for process in ending if not process.wait(max(0.0, deadline - time.monotonic()))]
    if left:
        shown = run(["ps", "-o", "pid,stat,wchan:20,args", "-p", ",".join(left)])
        raise ClusterError(f"these do not end, not even by SIGKILL:\n{shown}")


def _stat_fields(line: str) -> list[str]:
    # The name in parentheses may contain blanks. State, parent and other fields follow it.
    return line.rsplit(")", 1)[1].split()
