"""Distribution of the tests over the workers of pytest-xdist.

All tests that use the cluster run in one worker, one at a time, because some restart its parts. The others
are distributed by file, so that the fixtures of a file are set up once; the files in ``tests/browser`` that need no
cluster stay together, because they share a browser and a JupyterLab.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

CLUSTER = "cluster"
# Prefixes of the identifiers of these tests; ``check_groups`` verifies that the list is complete.
USES_CLUSTER = (
    "tests/browser/test_cells.py",
    "tests/browser/test_tasks.py",
    "tests/cluster/test_cluster.py",
    "tests/cluster/test_power_cut.py",
    "tests/differential/test_cells.py::test_pod",
    "tests/notebooks/test_notebooks.py::test_notebook_runs_in_pods",
    "tests/notebooks/test_notebooks.py::test_quickstart_runs_in_pods",
    "tests/notebooks/test_notebooks.py::test_gpu_notebook_runs_in_a_pod_with_a_gpu",
    "tests/pods/",
    "tests/soak/test_soak.py",
)


class Scheduler(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """Assign one group of tests at a time to each worker, starting with the group of the cluster."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        if CLUSTER in self.workqueue:
            self.workqueue.move_to_end(CLUSTER, last=False)
        super()._assign_work_unit(node)


def group_of(nodeid: str) -> str:
    """Return the group of a test. All tests of a group run in the same worker."""
    if nodeid.startswith(USES_CLUSTER):
        return CLUSTER
    file = PurePosixPath(nodeid.partition("::")[0])
    return "tests/browser" if file.is_relative_to("tests/browser") else str(file)


def check_groups(items: list[Any]) -> None:
    """Raise an error for a test that uses the cluster and is not in the group of the cluster.

    Raises:
        pytest.UsageError: The test would run in parallel with other tests that use the cluster.
    """
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()) and group_of(item.nodeid) != CLUSTER:
            raise pytest.UsageError(
                f"{item.nodeid} uses the cluster. Add it to USES_CLUSTER in tests/scheduling.py."
            )
