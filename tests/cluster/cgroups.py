"""The control groups that contain the pods: create, list and remove them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tests.cluster.layout import CGROUP
from tests.cluster.processes import Process, identified

_ROOT = Path("/sys/fs/cgroup")


def make() -> None:
    """Create the group in which the kubelet keeps its pods; the kubelet requires that it exists."""
    unified = _ROOT / "cgroup.controllers"
    if unified.exists():
        # Version 2: a group has only the controllers that its parent enables.
        offered = " ".join(f"+{name}" for name in unified.read_text().split())
        (_ROOT / "cgroup.subtree_control").write_text(offered)
        (_ROOT / CGROUP).mkdir(exist_ok=True)
        return
    for hierarchy in _hierarchies():
        group = hierarchy / CGROUP
        group.mkdir(exist_ok=True)
        # Version 1: a new cpuset is empty, so no process could run in it.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (group / name).exists():
                (group / name).write_text((hierarchy / name).read_text())


def members() -> list[Process]:
    """Return all processes in the groups of the pods."""
    pids = {int(pid) for group in _groups() for pid in _read(group / "cgroup.procs").split()}
    return [process for pid in pids if (process := identified(pid)) is not None]


def remove() -> None:
    """Remove the groups; they must not contain any process."""
    for group in _groups():
        group.rmdir()


def exist() -> bool:
    """Return whether any group exists."""
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
