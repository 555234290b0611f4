"""Detached cells in pods and their task handles."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import Any

import pytest
from podtask import TaskTimeout

from tests.notebook import Shell
from tests.pods.waiting import IMAGE

pytestmark = pytest.mark.cluster


@pytest.mark.feature("A38")
def test_handle_of_a_detached_cell(pods: Shell, cluster: Any, namespace: str) -> None:
    """The magic returns at once; the handle provides status, wait, logs, result and values."""
    pods.run(
        f"%%podtask -d --as job -o total --image {IMAGE}\n"
        "import os, time\nprint('begun')\nwhile not os.path.exists('/tmp/go'):\n    time.sleep(0.01)\n"
        "print('released')\ntotal = 42\n'the result'"
    )
    task = pods["job"]
    while "begun" not in task.logs():
        assert task.updates.get(timeout=60).kind != "done", task.error
    assert (task.status, task.running(), task.done(), task.wait(0)) == (
        "Running",
        True,
        False,
        False,
    )
    with pytest.raises(TaskTimeout, match="It keeps running"):
        task.result(0)
    assert "total" not in pods.ip.user_ns
    cluster.kubectl("exec", task.name, "-n", namespace, "--", "touch", "/tmp/go")
    assert task.result(60) == "the result"
    assert (task.status, task.running(), task.done(), task.wait(0)) == ("ok", False, True, True)
    assert task.logs() == "begun\nreleased\n"
    assert task.assign(pods.ip.user_ns) == ["total"]
    assert pods["total"] == 42


@pytest.mark.feature("A38")
def test_detached_cell_is_cancelled(pods: Shell, cluster: Any, namespace: str) -> None:
    """cancel() ends the cell and its pod."""
    pods.run(f"%%podtask -d --as job --image {IMAGE}\nimport time\nprint('up')\ntime.sleep(600)")
    task = pods["job"]
    while "up" not in task.logs():
        assert task.updates.get(timeout=60).kind != "done", task.error
    task.cancel()
    assert task.cancelled()
    with pytest.raises(CancelledError):
        task.exception(0)
    cluster.kubectl("wait", "--for=delete", f"pod/{task.name}", "-n", namespace, "--timeout=20s")
