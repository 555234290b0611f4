"""Time to find the inputs of a cell in its code and to pickle them, before anything is sent."""

from __future__ import annotations

import importlib
import time

from podtask.cell.cell import Cell
from podtask.config.options import RunOptions
from podtask.lifecycle.prepare import prepare
from podtask.pickling.state import capture_state

from tests.bench.table import Measurement

COUNT = 30
SIZE = 1 << 10
SAMPLES = 20


def measure(rounds: int) -> Measurement:
    """Return the row for many small inputs, without the first cell of a kernel, which imports modules."""
    namespace = {f"name{place}": bytes([place]) * SIZE for place in range(COUNT)}
    source = "\n".join(f"print(len({name}))" for name in namespace)
    options = RunOptions.of(local=True)
    samples = []
    for _ in range(SAMPLES * rounds + 1):
        start = time.perf_counter()
        work = prepare(Cell.of(source), options, namespace)
        samples.append((time.perf_counter() - start) * 1000)
        if set(work.inputs.sizes) != set(namespace):
            raise RuntimeError("not all inputs were found")
    return Measurement(
        f"{COUNT} inputs of a kilobyte: capture and pickling", "ms", samples[1:], [], None, "<= 10 ms"
    )


def measure_state(rounds: int) -> Measurement:
    """Return the row for the state of libraries of which none was set up."""
    for name in ("logging", "decimal", "numpy", "pandas", "matplotlib.pyplot"):
        importlib.import_module(name)
    samples = []
    for _ in range(SAMPLES * rounds + 1):
        start = time.perf_counter()
        capture_state({}, waits=True)
        samples.append((time.perf_counter() - start) * 1000)
    return Measurement("state of libraries that nobody set up", "ms", samples[1:], [], None, "<= 0.2 ms")
