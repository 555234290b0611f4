"""``python -m tests.soak``: run thousands of small tasks among faults of every kind."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.cluster import provider
from tests.cluster.handle import Cluster, start_cluster
from tests.soak.chaos import Soak


def main() -> int:
    """Run the soaks, print the figures and violations of each, and return the exit code."""
    words = argparse.ArgumentParser(prog="python -m tests.soak")
    words.add_argument("--local", type=int, default=1500, help="tasks on this machine")
    words.add_argument("--pods", type=int, default=500, help="tasks in pods")
    words.add_argument("--at-once", type=int, default=40)
    words.add_argument("--pause", type=float, default=120, help="seconds of a stopped client")
    words.add_argument("--runs", type=int, default=1, help="soaks, one after the other")
    words.add_argument("--busy", type=int, default=0, help="the last soaks with a busy process on each core")
    given = words.parse_args()
    reason = provider.unavailable()
    if reason is None and provider.given_kubeconfig():
        reason = "it restarts the API server, which is not done to PODTASK_TEST_KUBECONFIG's"
    if reason is not None:
        print(f"no soak: {reason}", file=sys.stderr)
        return 2
    cluster = start_cluster()
    faults = 0
    for run in range(given.runs):
        busy = run >= given.runs - given.busy
        with _busy_cores() if busy else contextlib.nullcontext():
            faults += _soak(cluster, f"podtask-soak-{os.getpid()}-{run}", given)
    return 1 if faults else 0


def _soak(cluster: Cluster, namespace: str, given: argparse.Namespace) -> int:
    """Run one soak, print its figures and violations, and return the number of violations."""
    with cluster.temporary_namespace(namespace), tempfile.TemporaryDirectory() as folder:
        soak = Soak(cluster, namespace, Path(folder), given.pause)
        report = soak.run(given.local, given.pods, given.at_once)
    print(report.text(), flush=True)
    faults = report.faults(given.local + given.pods)
    for fault in faults:
        print(f"FAULT          {fault}", flush=True)
    return len(faults)


@contextlib.contextmanager
def _busy_cores() -> Iterator[None]:
    """Keep a process busy for each core."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
