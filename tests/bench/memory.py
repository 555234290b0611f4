"""Peak memory of notebook and worker during the transfer of a large value, relative to its size."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.bench.table import Measurement

SIZE = 1 << 30
LIMIT = 2.2  # times the size of the value, on either side
WAYS = ("in", "back")
# What makes a value of a number of bytes: one is pickled in the stream, one out of band.
KINDS = {"bytes": "b'x' * size", "array": "numpy.ones(size // 8)"}
# Runs in a separate process, so that the peak is that of one value in one direction.
PROGRAM = """
import json, sys
import numpy, podtask
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
way, made, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
value, given, names = None, 0, ["last"]
source = f"import numpy\\nsize = {size}\\nvalue = {made}\\nlast = 0"
if way == "in":
    value, given, source = eval(made), size, "last = value[-1]"
else:
    names.append("value")
start = peak() - given
options = podtask.RunOptions.of(local=True, max_input="4Gi", outputs=names)
outcome = podtask.submit(source, options=options).outcome()
if memoryview(outcome.values.get("value", value)).nbytes != size:
    raise RuntimeError("not all bytes have arrived")
print(json.dumps([(peak() - start) / size, outcome.usage["process"] / size]))
"""


def peaks(way: str, kind: str, size: int) -> dict[str, float]:
    """Return the peak memory of notebook and worker as multiples of a value's size.

    Args:
        way: Direction of the value: "in" or "back".
        kind: What it is: "bytes" or "array".
        size: Its size in bytes.
    """
    command = [sys.executable, "-c", PROGRAM, way, KINDS[kind], str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(zip(("notebook", "worker"), json.loads(done.stdout), strict=True))


def measure() -> list[Measurement]:
    """Return rows for both directions and kinds: peak memory of notebook and worker by the value's size."""
    return [
        Measurement(f"1 GiB of {kind} {way}: memory of the {side}", "x", [found], [], found, f"<= {LIMIT}")
        for way in WAYS
        for kind in KINDS
        for side, found in peaks(way, kind, SIZE).items()
    ]
