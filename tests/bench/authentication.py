"""The cost of authenticated frames: the same transfers, with a kernel and runners that leave the tags empty."""

from __future__ import annotations

import shutil
from pathlib import Path

from podtask.runner import bundle

from tests.bench.cells import Bench, add_samples, rates
from tests.bench.table import Measurement, compare

GOAL = ">= 0.95 of frames without authentication"
# Added to the protocol's module, in the program of the runner as in the kernel: a side without it accepts no frame.
WITHOUT_TAGS = "\nSeal._next_tag = lambda self, *parts: bytes(TAG_BYTES)\n"
PATCH = f"""
import pathlib
from podtask.runner import bundle, protocol
exec({WITHOUT_TAGS!r}, vars(protocol))
bundle.FOLDER = pathlib.Path({{folder!r}})
"""


def disable(bench: Bench, folder: Path) -> None:
    """Let a kernel, and the runners that it starts from now on, exchange frames without authentication.

    Args:
        bench: Has the kernel, which has not started a runner yet.
        folder: Receives the sources of these runners; it must not exist.
    """
    shutil.copytree(bundle.FOLDER, folder)
    with (folder / "protocol.py").open("a") as file:
        file.write(WITHOUT_TAGS)
    ran = bench.kernel.run(PATCH.format(folder=str(folder)))
    if ran.error is not None:
        raise RuntimeError(ran.error[2])


def measure(bench: Bench, unauthenticated: Bench, mib: int, rounds: int) -> list[Measurement]:
    """Compare the transfer of a value in each direction with that of frames without authentication, in turns.

    Args:
        bench: Runs cells as users do.
        unauthenticated: Runs cells after :func:`disable`.
        mib: Size of the value.
        rounds: Number of samples.
    """
    ours: dict[str, list[float]] = {}
    peers: dict[str, list[float]] = {}
    turns = [(ours, bench), (peers, unauthenticated)]
    for _ in range(rounds):
        for samples, each in turns:
            add_samples(samples, rates(each, mib))
        turns.reverse()  # so that neither is always the first
    words = {"back": f"{mib} MB of value back, authenticated", "in": f"{mib} MB of input in, authenticated"}
    return [compare(what, "MB/s", ours[way], peers[way], GOAL) for way, what in words.items()]
