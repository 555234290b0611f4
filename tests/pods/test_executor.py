"""``podtask.Executor`` in pods: calls, a worker that dies, and nothing left."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.errors import Lost

from tests.notebook import Shell
from tests.pods.waiting import IMAGE

pytestmark = pytest.mark.cluster


@pytest.mark.feature("N22")
def test_calls_run_in_pods_and_nothing_is_left(pods: Shell, cluster: Any, namespace: str) -> None:
    """Calls run in pods that stay between them; one that dies loses its call alone; the block deletes all."""
    pods.run(
        "import os, podtask, socket\nfactor = 3\n"
        "def scale(x): return x * factor, socket.gethostname()\n"
        f"pool = podtask.Executor(2, image={IMAGE!r})\n"
        "found = [each.result(120) for each in [pool.submit(scale, x) for x in range(20)]]\n"
    )
    assert [value for value, _ in pods["found"]] == [3 * x for x in range(20)]
    names = {host for _, host in pods["found"]}
    listed = cluster.kubectl("get", "pods", "-n", namespace, "--output=name").split()
    assert {f"pod/{name}" for name in names} <= set(listed)
    assert len(listed) <= 2
    pods.run("error = pool.submit(os._exit, 3).exception(120)\n")
    assert isinstance(pods["error"], Lost)
    assert "exited with code 3" in pods["error"].message
    pods.run("again = pool.submit(scale, 5).result(120)[0]\n")
    assert pods["again"] == 15
    left = cluster.kubectl("get", "pods", "-n", namespace, "--output=name").split()
    pods.run("pool.shutdown()\n")
    cluster.kubectl("wait", "--for=delete", *left, "-n", namespace, "--timeout=60s")
    assert cluster.kubectl("get", "pods,jobs,services", "-n", namespace, "--output=name") == ""
