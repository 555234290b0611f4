"""List and remove the mounts below a directory."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cluster.errors import ClusterError, run


def _mount_points() -> list[tuple[Path, str]]:
    """Return every mount point with the type of its file system, in the order of mounting."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split(" ")
        # The kernel writes blanks and backslashes in a path as octal escapes.
        plain = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)
        found.append((Path(plain), kind))
    return found


def mounted_below(directory: Path) -> list[Path]:
    """Return the mount points at or below a directory, the latest first."""
    points = [point for point, _ in _mount_points()]
    return [point for point in reversed(points) if point.is_relative_to(directory)]


def unmount_below(directory: Path) -> None:
    """Unmount everything at or below a directory, even if it is in use.

    Raises:
        ClusterError: Something is still mounted there, so that removing the tree could
            reach beyond it.
    """
    for point in mounted_below(directory):
        run(["umount", "--lazy", point])
    if left := mounted_below(directory):
        raise ClusterError(f"still mounted: {', '.join(map(str, left))}")


def file_system(directory: Path) -> str:
    """Return the type of the file system that contains a directory."""
    holding = [
        (len(point.parts), number, kind)
        for number, (point, kind) in enumerate(_mount_points())
        if directory.resolve().is_relative_to(point)
    ]
    return max(holding)[2]
