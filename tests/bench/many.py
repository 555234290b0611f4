"""Time of local cells in a kernel that has a hundred detached tasks."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.bench.table import Measurement, compare
from tests.notebook import Kernel

COUNT = 100
SAMPLES = 200
# Each task prints a line per second, as a training does.
RUNS = "%%podtask -d --local\nimport time\nfor n in range(600):\n    print('line', n)\n    time.sleep(1)"
WAITS = "%%podtask -d -t nowhere --image python:3.11-slim\n1"
UNTIL = "for each in tasks:\n    while {}:\n        each.updates.get()"
CANCEL_ALL = "for each in tasks: each.cancel_nowait()\nfor each in tasks: each.cancel()"


def running(rounds: int) -> Measurement:
    """Measure while a hundred tasks run on this machine and use its CPUs."""
    ready = UNTIL.format("'line' not in each.logs()")
    env = {**os.environ, "KUBECONFIG": os.devnull}
    return _measure(env, RUNS, ready, "a cell while 100 detached tasks run", rounds)


def waiting(kubeconfig: Path, rounds: int) -> Measurement:
    """Measure while a hundred pods wait for a node."""
    env = {name: value for name, value in os.environ.items() if name != "PODTASK_BACKEND"}
    ready = UNTIL.format("'affinity' not in each.phase")
    env["KUBECONFIG"] = str(kubeconfig)
    return _measure(env, WAITS, ready, "a cell while 100 detached pods wait", rounds)


def _measure(env: dict[str, str], cell: str, ready: str, what: str, rounds: int) -> Measurement:
    kernel = Kernel(env)
    try:
        kernel.run(
            "%load_ext podtask\ntasks = []\nnowhere = {'nodeSelector': {'no': 'such'}, 'containers': []}"
        )
        alone = _cells(kernel, rounds)
        for _ in range(COUNT):
            kernel.run(cell)
            kernel.run("tasks.append(_task)")
        ran = kernel.run(ready, 300)
        if ran.error is not None:
            raise RuntimeError(ran.error[2])
        beside = _cells(kernel, rounds)
        kernel.run(CANCEL_ALL, 120)
    finally:
        kernel.close()
    return compare(f"{what}, by one without them", "ms", beside, alone, "<= 2")


def _cells(kernel: Kernel, rounds: int) -> list[float]:
    found = []
    for _ in range(SAMPLES * rounds // 9):
        start = time.perf_counter()
        kernel.run("1 + 1")
        found.append((time.perf_counter() - start) * 1000)
    return found
