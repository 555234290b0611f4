"""Peak memory of notebook and worker during the transfer of a large array, relative to its size."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.bench.table import Measurement

SIZE = 1 << 30
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
"""
# Runs in a separate process, so that the peak is that of one array in one direction.
PROGRAM = (
    PEAK
    + """
import json, sys
import numpy, podtask
way, count = sys.argv[1], int(sys.argv[2]) // 8
source = PEAK + (
    "total = array.sum()\\n" if way == "in" else "import numpy\\narray = numpy.ones(count)\\n"
) + "there = peak()"
given = 0
if way == "in":
    array = numpy.ones(count)
    given = array.nbytes
start = peak() - given
names = ["there"] if way == "in" else ["there", "array"]
options = podtask.RunOptions.of(local=True, max_input="4Gi", outputs=names)
values = podtask.submit(source, options=options).outcome().values
assert values.get("array", numpy.ones(1))[-1] == 1.0
print(json.dumps([(peak() - start) / (8 * count), values["there"] / (8 * count)]))
"""
)


def measure() -> list[Measurement]:
    """Return rows for both directions: peak memory of notebook and worker as a multiple of the array's size."""
    rows = []
    for way, words in (("in", "1 GiB of array in"), ("back", "1 GiB of array back")):
        command = [sys.executable, "-c", f"PEAK = {PEAK!r}\n{PROGRAM}", way, str(SIZE)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for side, value in zip(("notebook", "worker"), json.loads(done.stdout), strict=True):
            rows.append(Measurement(f"{words}: memory of the {side}", "x", [value], [], value, "<= 2.2"))
    return rows
