"""The use of CPU and memory is read from control groups of both versions."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from podtask.runner.supervisor import usage
from podtask.runner.supervisor.usage import UsageMeter

# Files of a container with 2 CPUs and 1 GiB, before and after half a second of CPU time.
VERSION_2 = {
    "cpu.stat": "usage_usec {}\nuser_usec 1\nsystem_usec 2\n",
    "cpu.max": "200000 100000\n",
    "memory.current": "300000000\n",
    "memory.stat": "anon 150000000\nactive_file 1\ninactive_file 100000000\n",
    "memory.max": "1073741824\n",
}
VERSION_1 = {
    "cpuacct/cpuacct.usage": "{}000\n",
    "cpu/cpu.cfs_quota_us": "200000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "memory/memory.usage_in_bytes": "300000000\n",
    "memory/memory.stat": "cache 1\ninactive_file 7\ntotal_inactive_file 100000000\n",
    "memory/memory.limit_in_bytes": "1073741824\n",
}
NO_LIMITS = {
    "cpu.max": "max 100000\n",
    "memory.max": "max\n",
    "cpu/cpu.cfs_quota_us": "-1\n",
    "memory/memory.limit_in_bytes": "9223372036854771712\n",
}


class Clock:
    now = 50.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(usage, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


def write(folder: Path, files: dict[str, str], cpu_microseconds: int) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text.format(cpu_microseconds))


@pytest.mark.parametrize("files", [VERSION_2, VERSION_1], ids=["version 2", "version 1"])
def test_usage_is_measured_once_a_second(files: dict[str, str], clock: Clock, tmp_path: Path) -> None:
    """CPU is in cores since the last measurement, memory is what the kernel cannot free at once."""
    write(tmp_path, files, 7_000_000)
    meter = UsageMeter(str(tmp_path))
    write(tmp_path, files, 7_500_000)
    clock.now += 0.9
    assert meter.measure() is None
    assert meter.next_at == 51.0
    clock.now += 1.1
    limits = {"cpu_limit": 2.0, "memory_limit": 1 << 30}
    assert meter.measure() == {"cpu": 0.25, "memory": 200_000_000, **limits}
    clock.now += 1
    found = meter.measure()
    assert found is not None
    assert found["cpu"] == 0


@pytest.mark.parametrize("files", [VERSION_2, VERSION_1], ids=["version 2", "version 1"])
def test_limits_that_are_not_set_are_left_out(files: dict[str, str], clock: Clock, tmp_path: Path) -> None:
    """A container without limits has no numbers in place of them."""
    write(tmp_path, {name: NO_LIMITS.get(name, text) for name, text in files.items()}, 0)
    meter = UsageMeter(str(tmp_path))
    clock.now += 1
    assert meter.measure() == {"cpu": 0.0, "memory": 200_000_000}


def test_machine_without_control_groups_is_not_measured(clock: Clock, tmp_path: Path) -> None:
    """Without the files there is nothing to send, and the main loop does not wake up for it."""
    meter = UsageMeter(str(tmp_path))
    clock.now += 10
    assert meter.measure() is None
    assert meter.next_at == float("inf")


def test_memory_near_its_limit_is_said_once(tmp_path: Path) -> None:
    """From 90 % of the limit on; a container without a limit has no such line."""
    meter = UsageMeter(str(tmp_path))
    assert meter.memory_warning({"cpu": 1.0, "memory": 990 << 20}) == ""
    assert meter.memory_warning({"cpu": 1.0, "memory": 899 << 20, "memory_limit": 1000 << 20}) == ""
    said = meter.memory_warning({"cpu": 1.0, "memory": 900 << 20, "memory_limit": 1000 << 20})
    assert said.startswith("The container uses 900 of 1000 MiB of memory.")
    assert meter.memory_warning({"cpu": 1.0, "memory": 950 << 20, "memory_limit": 1000 << 20}) == ""


@pytest.mark.parametrize("files", [VERSION_2, VERSION_1], ids=["version 2", "version 1"])
def test_memory_is_measured_at_any_time(files: dict[str, str], tmp_path: Path) -> None:
    """The list of sessions shows it, also between two measurements."""
    write(tmp_path, files, 0)
    assert UsageMeter(str(tmp_path)).measure_memory() == {"memory": 200_000_000, "memory_limit": 1 << 30}
    assert UsageMeter(str(tmp_path / "missing")).measure_memory() == {}
