"""Order of the tests that use the cluster, among all test processes of this machine."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Literal

from tests.cluster import cache

Use = Literal["shared", "exclusive", "first"]
SHARED, EXCLUSIVE = fcntl.LOCK_SH, fcntl.LOCK_EX


class ClusterLock:
    """Lock that a test process holds while it uses the cluster.

    A shared test runs beside other shared tests. An exclusive test restarts or pauses a part of the cluster,
    so that it runs alone. A first test kills all pods: it waits until every other process that used the cluster
    has ended, and no other process begins to use it before the last first test has ended.

    The kernel releases the locks when the process ends in any way.
    """

    def __init__(self) -> None:
        folder = cache.directory() / "locks"
        folder.mkdir(exist_ok=True)
        self._process = (folder / "process").open("w")
        self._test = (folder / "test").open("w")
        self._queue = folder / "queue"
        self._process_mode: int | None = None

    @contextmanager
    def held(self, use: Use) -> Iterator[None]:
        """Wait until a test may use the cluster, and keep the others out for the duration of the block."""
        mode = EXCLUSIVE if use == "first" else SHARED
        if mode != self._process_mode:
            self._wait(self._process, mode)
            self._process_mode = mode
        self._wait(self._test, SHARED if use == "shared" else EXCLUSIVE)
        try:
            yield
        finally:
            fcntl.flock(self._test, fcntl.LOCK_UN)

    def _wait(self, file: IO[str], mode: int) -> None:
        # Whoever waits is next: a later shared test does not overtake an exclusive one.
        with cache.locked(self._queue):
            fcntl.flock(file, mode)
