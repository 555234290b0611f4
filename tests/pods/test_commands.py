"""``%podtask list`` and the commands that accept the name of a task, from any kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.notebook import Kernel, Shell
from tests.pods.test_comeback import HELD as WAITS_FOR_GATE
from tests.pods.test_comeback import open_gate, wait_until_ended
from tests.pods.waiting import HOLD, IMAGE, submit, wait_for_input_request

pytestmark = pytest.mark.cluster
UNTIL = "while {!r} not in _task.logs(): _task.updates.get(timeout=60)"
HELD = f"%%podtask -d --as held --image {IMAGE}\nprint('line one')\nimport time; time.sleep(300)"


@pytest.mark.feature("P03", "N09")
@pytest.mark.fault(44, 61)
def test_task_is_listed_read_and_cancelled(pods: Shell, cluster: Any, namespace: str) -> None:
    """A task can be listed with state and last line, its container logs read, and it can be cancelled."""
    side = [{"name": "side", "image": "nopython:1", "command": ["sh", "-c", "echo beside; sleep 300"]}]
    pods["t"] = {"containers": side}
    pods.run(HELD.replace("-d ", "-d -t t "))
    task = pods["held"]
    while "line one" not in task.logs():
        task.updates.get(timeout=60)
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{task.name}", "-n", namespace)
    out, _ = pods.output("%podtask list")
    heads, row = out.splitlines()
    assert heads.split() == ["name", "state", "age", "pod", "last", "line"]
    assert row.split()[0] == "held"
    assert task.name in row
    assert "line one" in row
    assert "line one" in pods.output("%podtask logs held")[0]
    assert pods.output("%podtask logs held side")[0] == "beside\n"
    assert "Containers: side, primary." in pods.shown_error("%podtask logs held nobody")
    assert pods.output("%podtask cancel held")[0] == f"Cancelled: {task.name}\n"
    assert task.wait(60)
    assert "Task 'nobody' not found in " in pods.shown_error("%podtask cancel nobody")


@pytest.mark.feature("P03", "N02")
def test_attach_brings_output_and_values(start_kernel: Callable[..., Kernel]) -> None:
    """After its kernel was killed, another kernel gets every line and the values by the task's name."""
    first = start_kernel()
    first.run(
        f"%%podtask -d --as mine -o found --image {IMAGE} --linger 60s\n"
        "import time\nfor n in range(5): print('line', n)\ntime.sleep(3)\nfound = 6 * 7\nfound + 1"
    )
    first.run(UNTIL.format("line 4"))
    first.kill()
    ran = start_kernel().run("%podtask attach mine\nfound")
    assert [line for line in ran.stdout.splitlines() if line.startswith("line")] == [
        f"line {n}" for n in range(5)
    ]
    assert ran.result == {"text/plain": "42"}


@pytest.mark.fault(28)
def test_log_is_available_as_soon_as_the_cell_prints(pods: Shell) -> None:
    """The log is available at once, although the API reports a running container up to 1 s late."""
    task = submit(None, HOLD)
    wait_for_input_request(task)
    assert "up\n" in task.logs("primary")
    task.reply({"eof": True})
    assert task.exception(60) is None


@pytest.mark.feature("P03", "N03")
def test_finished_pods_are_cleaned_up(
    start_kernel: Callable[..., Kernel], cluster: Any, namespace: str
) -> None:
    """A waiting result is kept for its time; then its pod is deleted, but no pods of other users."""
    first = start_kernel()
    first.run(
        f"%%podtask -d --as left --image {IMAGE} --linger 1s\nprint('begun')\nimport time; time.sleep(2)"
    )
    pod = first.run("print(_task.name)").stdout.strip()
    first.run(UNTIL.format("begun"))
    first.kill()
    ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=96"
    cluster.kubectl("wait", ended, f"pod/{pod}", "-n", namespace, "--timeout=60s")
    second = start_kernel()
    assert "results wait: left" in second.run("%podtask gc").stdout
    assert second.run("%podtask gc --keep 1s").stdout == f"Deleted: {pod}\n"
    cluster.kubectl("wait", "--for=delete", f"pod/{pod}", "-n", namespace, "--timeout=60s")


@pytest.mark.feature("N02", "N03")
@pytest.mark.fault(76)
def test_next_kernel_of_a_notebook_lists_tasks_and_cleans_up(
    start_kernel: Callable[..., Kernel],
    cluster: Any,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first cell of the next kernel lists running and finished tasks, and deletes pods after their --keep."""
    monkeypatch.setenv("JPY_SESSION_NAME", "/work/training.ipynb")
    first = start_kernel()
    first.run(HELD)
    first.run(UNTIL.format("line one"))
    pods = []
    for name in ("old --keep 0.01s", "done"):
        first.run(f"%%podtask -d --as {name} --image {IMAGE} --linger 1s\n{WAITS_FOR_GATE}")
        first.run(UNTIL.format("line 0"))
        pods.append(first.run("print(_task.name)").stdout.strip())
    first.kill()
    for pod in pods:
        open_gate(cluster, namespace, pod)
        wait_until_ended(cluster, namespace, pod)
    second = start_kernel()
    said = str(second.run(f"%%podtask --image {IMAGE}\nimport time; time.sleep(1)").displays)
    assert "1 task of this notebook is still running: held (%podtask attach NAME, or cancel NAME)" in said
    assert "finished, result not fetched: done (%podtask attach NAME)" in said
    assert "still running" not in str(second.run(f"%%podtask --image {IMAGE}\n1").displays)
    monkeypatch.setenv("JPY_SESSION_NAME", "/work/other.ipynb")
    third = start_kernel()
    other = str(third.run(f"%%podtask --image {IMAGE} --keep 1s\nimport time; time.sleep(1)").displays)
    assert "still running" not in other
    old, done = pods
    cluster.kubectl("wait", "--for=delete", f"pod/{old}", "-n", namespace, "--timeout=60s")
    assert done in cluster.kubectl("get", "pods", "-n", namespace, "-o", "name")
    assert third.run("%podtask cancel held").stdout.startswith("Cancelled: ")
