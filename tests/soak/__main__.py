"""``python -m tests.soak``: run thousands of small tasks among faults of every kind."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.cluster import provider
from tests.cluster.handle import start_cluster
from tests.soak.chaos import Soak


def main() -> int:
    """Run the soak, print its figures and violations, and return the exit code."""
    words = argparse.ArgumentParser(prog="python -m tests.soak")
    words.add_argument("--local", type=int, default=1500, help="tasks on this machine")
    words.add_argument("--pods", type=int, default=500, help="tasks in pods")
    words.add_argument("--at-once", type=int, default=40)
    words.add_argument("--pause", type=float, default=120, help="seconds of a stopped client")
    given = words.parse_args()
    reason = provider.unavailable()
    if reason is None and provider.given_kubeconfig():
        reason = "it restarts the API server, which is not done to PODTASK_TEST_KUBECONFIG's"
    if reason is not None:
        print(f"no soak: {reason}", file=sys.stderr)
        return 2
    cluster = start_cluster()
    namespace = f"podtask-soak-{os.getpid()}"
    with cluster.temporary_namespace(namespace), tempfile.TemporaryDirectory() as folder:
        soak = Soak(cluster, namespace, Path(folder), given.pause)
        report = soak.run(given.local, given.pods, given.at_once)
    print(report.text())
    faults = report.faults(given.local + given.pods)
    for fault in faults:
        print(f"FAULT          {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
