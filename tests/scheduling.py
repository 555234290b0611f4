"""Distribution of the tests over the workers of pytest-xdist.

The tests of a file run in one worker, so that its fixtures are set up once. The files in ``tests/browser`` that need
no cluster stay together, because they share a browser and a JupyterLab. ``tests/cluster/locks.py`` keeps apart the
tests that disturb each other.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from xdist.scheduler import LoadScopeScheduling

BROWSER = "tests/browser"
# These files use the browser and the cluster.
BROWSER_AND_CLUSTER = ("tests/browser/test_cells.py", "tests/browser/test_tasks.py")
# The first file builds the cluster and restarts it. The second one is long and needs no cluster, so that the other
# worker does not wait for the first.
BEGIN_WITH = ("tests/cluster/test_power_cut.py", BROWSER)


class Scheduler(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """Assign one group of tests at a time to each worker, starting with `BEGIN_WITH`."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        for group in reversed(BEGIN_WITH):
            if group in self.workqueue:
                self.workqueue.move_to_end(group, last=False)
        super()._assign_work_unit(node)


def group_of(nodeid: str) -> str:
    """Return the group of a test. All tests of a group run in the same worker."""
    file = nodeid.partition("::")[0]
    if PurePosixPath(file).is_relative_to(BROWSER) and file not in BROWSER_AND_CLUSTER:
        return BROWSER
    return file
