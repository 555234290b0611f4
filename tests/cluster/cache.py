"""Cache of built files outside the checkout; each file name contains the hash of its recipe."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.mounts import unmount_below


def directory() -> Path:
    """Return the cache directory; create it if it is missing."""
    named = os.environ.get("PODTASK_TEST_CACHE")
    if named:
        path = Path(named).expanduser().resolve()
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        path = Path(base).expanduser().resolve() / "podtask-tests"
    path.mkdir(parents=True, exist_ok=True)
    return path


def key(*parts: str | bytes) -> str:
    """Return the hash of the parts of a recipe; the boundaries between the parts count."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; the kernel releases it when its holder ends in any way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def obtain(name: str, make: Callable[[Path, Path], None]) -> Path:
    """Return the cached file with a name; make the file first if it is missing.

    Args:
        name: Name of the file, which contains the hash of its recipe.
        make: Called with an empty working directory and the path to write; what it wrote
            gets its final name only when complete, so a killed build leaves nothing that
            looks finished.
    """
    final = directory() / name
    if final.exists():
        return final
    with locked(directory() / "locks" / name):
        if final.exists():
            return final
        building = directory() / "building"
        building.mkdir(exist_ok=True)
        for left in building.glob(f"{name}.*"):
            _remove_tree(left)
        work = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=building))
        try:
            made = work / "made"
            inner = work / "work"
            inner.mkdir()
            make(inner, made)
            made.rename(final)
        finally:
            _remove_tree(work)
    return final


def _remove_tree(path: Path) -> None:
    # A debootstrap that was killed leaves /proc mounted in its tree.
    unmount_below(path)
    shutil.rmtree(path)
