"""A short soak; `make soak` runs the long one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.soak.chaos import Soak

LOCAL, PODS = 90, 60


@pytest.mark.cluster
@pytest.mark.timeout(600)
@pytest.mark.exclusive
def test_short_soak(cluster: Any, namespace: str, tmp_path: Path) -> None:
    """Each of 150 tasks ends correctly or with an error that names its kill, and nothing is left."""
    assert cluster.node
    report = Soak(cluster, namespace, tmp_path, pause=10).run(LOCAL, PODS, at_once=15)
    assert report.faults(LOCAL + PODS) == []
    assert report.disturbances.keys() == {
        "cuts of all connections",
        "pods killed",
        "restarts of the API server",
        "stops of the client",
    }
