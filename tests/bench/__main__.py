"""``python -m tests.bench`` prints the table of measurements; ``--rounds N`` takes more samples."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from tests.bench import authentication, capture, cells, form, many, maps, memory, raw, sessions
from tests.bench.table import Measurement, text
from tests.cluster import provider
from tests.cluster.handle import Cluster, start_cluster
from tests.cluster.proxy import Proxy

NAMESPACE = f"podtask-bench-{os.getpid()}"


def main() -> int:
    """Measure everything and print the table; return the exit code."""
    words = argparse.ArgumentParser(prog="python -m tests.bench")
    words.add_argument("--rounds", type=int, default=9, help="samples of each kind")
    rounds = words.parse_args().rounds
    rows = [
        cells.load_ext(rounds),
        capture.measure(rounds),
        capture.measure_state(rounds),
        *memory.measure(),
        *form.measure(max(2, rounds // 3)),
        many.running(rounds),
        *sessions.measure(rounds * 30),
        *maps.measure(max(2, rounds // 3)),
    ]
    reason = provider.unavailable()
    if reason is not None:
        print(text(rows))
        print(f"without a cluster: {reason}", file=sys.stderr)
        return 1
    cluster = start_cluster()
    with cluster.temporary_namespace(NAMESPACE), tempfile.TemporaryDirectory() as folder:
        rows += on_cluster(cluster, Path(folder), rounds)
    print(text(rows))
    print(
        f"\nPython {platform.python_version()}, {os.cpu_count()} CPUs, {rounds} rounds; the peer "
        "of the cells is `kubectl run --rm --attach` of the same print, of the transfers a raw "
        "port-forward or frames without authentication, of %load_ext IPython alone, of 100 tasks the same cell without them."
    )
    return 0


def on_cluster(cluster: Cluster, folder: Path, rounds: int) -> list[Measurement]:
    """Return the rows that need a cluster."""
    rows = []
    near = cluster.write_kubeconfig(folder / "near", namespace=NAMESPACE)
    bench = cells.Bench(cluster, near)
    rows.append(cells.cold(bench, "cold cell", "<= 0.20", rounds))
    for delay, goal in ((50, "<= 0.25"), (150, "<= 0.40")):
        proxy = Proxy(*cluster.server, delay_ms=delay)
        far = cluster.write_kubeconfig(folder / f"far{delay}", port=proxy.port, namespace=NAMESPACE)
        slow = cells.Bench(cluster, far)
        rows.append(cells.cold(slow, f"cold cell, {delay} ms of round trip", goal, rounds))
        slow.close()
        proxy.close()
    os.environ["KUBECONFIG"] = str(near)
    rates = raw.Rates(NAMESPACE)
    rows += cells.transfer(bench, rates.measure, cells.MIB, max(3, rounds // 2))
    rows += cells.transfer(bench, rates.measure, 10 * cells.MIB, 1)
    rates.close()
    unauthenticated = cells.Bench(cluster, near)
    authentication.disable(unauthenticated, folder / "runner")
    rows += authentication.measure(bench, unauthenticated, cells.MIB, max(3, rounds))
    unauthenticated.close()
    rows.append(cells.latency(bench))
    bench.close()
    rows.append(many.waiting(near, rounds))
    return rows


if __name__ == "__main__":
    sys.exit(main())
