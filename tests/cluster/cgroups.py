"""The control groups that hold the pods: made before, emptied and removed after."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tests.cluster.layout import CGROUP
from tests.cluster.processes import Process, identified

_ROOT = Path("/sys/fs/cgroup")


def make() -> None:
    """Make the group that the kubelet keeps its pods in; it wants it to exist."""
    unified = _ROOT / "cgroup.controllers"
    if unified.exists():
        # Version 2: children have only what their parent hands down.
        offered = " ".join(f"+{name}" for name in unified.read_text().split())
        (_ROOT / "cgroup.subtree_control").write_text(offered)
        (_ROOT / CGROUP).mkdir(exist_ok=True)
        return
    for hierarchy in _hierarchies():
        group = hierarchy / CGROUP
        group.mkdir(exist_ok=True)
        # Version 1: a new cpuset is empty, and nothing could run in it.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (group / name).exists():
                (group / name).write_text((hierarchy / name).read_text())


def members() -> list[Process]:
    """Return every process in the pods' groups."""
    pids = {int(pid) for group in _groups() for pid in _read(group / "cgroup.procs").split()}
    return [process for pid in pids if (process := identified(pid)) is not None]


def remove() -> None:
    """Remove the groups; no process may be left in them."""
    for group in _groups():
        group.rmdir()


def exist() -> bool:
    """Say whether any group is there."""
    return bool(_groups())


def _groups() -> list[Path]:
    """Return our groups of every hierarchy, children before their parents."""
    return [
        Path(directory)
        for hierarchy in _hierarchies()
        for directory, _, _ in os.walk(hierarchy / CGROUP, topdown=False)
    ]


def _hierarchies() -> list[Path]:
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [path for path in _ROOT.iterdir() if (path / "cgroup.procs").exists()]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        # The group went away between listing and reading.
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return ""
        raise
