"""Cells in a real kernel, timed from the execute request to the displayed value."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.table import Measurement, compare
from tests.cluster.handle import Cluster
from tests.notebook import CellOutput, Kernel

IMAGE = "python:3.11-slim"
MIB = 100


class Bench:
    """Kernel and kubectl that use the same API server in the same way.

    Args:
        cluster: Cluster of the tests.
        kubeconfig: Kubeconfig for its API server, for example through a slow proxy.
    """

    def __init__(self, cluster: Cluster, kubeconfig: Path) -> None:
        self._cluster = cluster
        self._kubeconfig = kubeconfig
        env = {name: value for name, value in os.environ.items() if name != "PODTASK_BACKEND"}
        self.kernel = Kernel({**env, "KUBECONFIG": str(kubeconfig)})
        self.kernel.run("%load_ext podtask")

    def cell(self, options: str, source: str) -> tuple[float, CellOutput]:
        """Run a cell; return the seconds until the notebook receives its end."""
        start = time.perf_counter()
        ran = self.kernel.run(f"%%podtask --image {IMAGE} {options}\n{source}", 120)
        seconds = time.perf_counter() - start
        if ran.error is not None:
            raise RuntimeError(ran.error[2])
        return seconds, ran

    def kubectl_run(self, number: int) -> float:
        """Run the same print with kubectl; return the seconds until kubectl exits."""
        name = f"bench-{os.getpid()}-{number}"
        start = time.perf_counter()
        self._cluster.kubectl(
            "run",
            name,
            f"--image={IMAGE}",
            "--image-pull-policy=IfNotPresent",
            "--rm",
            "--attach",
            "--restart=Never",
            "--quiet",
            "--",
            "python3",
            "-c",
            "print('hello')",
            kubeconfig=self._kubeconfig,
            check=False,
        )
        return time.perf_counter() - start

    def close(self) -> None:
        """End the kernel."""
        self.kernel.close()


def cold(bench: Bench, what: str, goal: str, rounds: int) -> Measurement:
    """Compare a cold cell with kubectl run, one after the other."""
    bench.cell("", "print('hello')")  # the first cell of a kernel imports the client library
    ours, peer = [], []
    for number in range(rounds):
        ours.append(bench.cell("", "print('hello')\n6 * 7")[0])
        peer.append(bench.kubectl_run(number))
    return compare(what, "s", ours, peer, goal)


def latency(bench: Bench) -> Measurement:
    """Measure the time from a print in the pod to the message in the notebook, with the same clock."""
    source = "import time\nfor n in range(200):\n    print(time.time())\n    time.sleep(0.05)"
    bench.kernel.start(f"%%podtask --image {IMAGE}\n{source}")
    delays: list[float] = []
    rest = ""
    for message in bench.kernel.messages(60):
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            now = time.time()
            *lines, rest = (rest + message["content"]["text"]).split("\n")
            delays += [(now - float(line)) * 1000 for line in lines]
    late = sum(delay >= 150 for delay in delays) / len(delays)
    goal = f"95 % under 150 ms ({100 * (1 - late):.0f} % here)"
    return Measurement("a printed line until it is in the notebook", "ms", delays, [], None, goal)


def transfer(
    bench: Bench, baseline: Callable[[int], dict[str, float]], mib: int, rounds: int
) -> list[Measurement]:
    """Compare the transfer of a value in each direction, without the pod's start, with a raw port-forward.

    Args:
        bench: Runs the cells.
        baseline: Returns a sample of the same transfers through a raw port-forward, in MB/s.
        mib: Size of the value.
        rounds: Number of samples.
    """
    ours: dict[str, list[float]] = {}
    peers: dict[str, list[float]] = {}
    for _ in range(rounds):
        add_samples(ours, rates(bench, mib))
        add_samples(peers, baseline(mib))
    rows = []
    for way, words in (("back", f"{mib} MB of value back"), ("in", f"{mib} MB of input in")):
        pickled = peers[f"{way} pickled"]
        rows += [
            compare(words, "MB/s", ours[way], peers[way], ">= 0.70 of raw port-forward"),
            compare(words, "MB/s", ours[way], pickled, ">= 0.90 of pickles through a raw port-forward"),
        ]
    return rows


def rates(bench: Bench, mib: int) -> dict[str, float]:
    """Return one sample in MB/s for each direction of a value, without the pod's start."""
    bench.kernel.run(f"big = bytes({mib} << 20)")
    base = min(bench.cell("", "value = 1")[0] for _ in range(3))
    back = bench.cell("-o value", f"value = bytes({mib} << 20)")[0] - base
    bench.kernel.run("value = None")
    into = bench.cell("--max-input 4Gi", "size = len(big)")[0] - base
    bench.kernel.run("del big")
    return {"back": mib / back, "in": mib / into}


def add_samples(samples: dict[str, list[float]], found: dict[str, float]) -> None:
    """Add one sample to the list of each name."""
    for name, sample in found.items():
        samples.setdefault(name, []).append(sample)


def load_ext(rounds: int) -> Measurement:
    """Measure the CPU time of %load_ext podtask, and check that it does not import heavy modules."""
    program = (
        "import json, resource, sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "if sys.argv[1] == 'with': shell.run_line_magic('load_ext', 'podtask')\n"
        "use = resource.getrusage(resource.RUSAGE_SELF)\n"
        "heavy = [name for name in ('kubernetes', 'aiohttp', 'ipywidgets') if name in sys.modules]\n"
        "print(json.dumps([use.ru_utime + use.ru_stime, heavy]))\n"
    )
    spent: dict[str, list[float]] = {"with": [], "without": []}
    heavy: list[str] = []
    for _ in range(rounds):
        for kind, samples in spent.items():
            done = subprocess.run(
                [sys.executable, "-c", program, kind], capture_output=True, text=True, check=True
            )
            seconds, found = json.loads(done.stdout.splitlines()[-1])
            samples.append(seconds * 1000)
            heavy += found
    extra = statistics.median(spent["with"]) - statistics.median(spent["without"])
    goal = f"<= 60 ms over IPython alone ({extra:.0f} ms here; imports of ours: {heavy or 'none'})"
    return Measurement("%load_ext podtask, CPU", "ms", spent["with"], spent["without"], None, goal)
