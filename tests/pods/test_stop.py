"""Stopping a cell: interrupts, a killed notebook, and the time limits that end the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.notebook import Kernel, Shell

pytestmark = pytest.mark.cluster
START = Callable[..., Kernel]
COUNTING = "import time\nfor n in range(10_000):\n    print('tick', n)\n    time.sleep(0.05)\n"


@pytest.mark.server_versions
@pytest.mark.feature("N03")
@pytest.mark.feature("S05", "A50")
@pytest.mark.fault(75)
def test_first_interrupt_reaches_the_cell(start_kernel: START, cluster: Any, namespace: str) -> None:
    """The stop button raises KeyboardInterrupt in the pod; the output so far appears within 1 s."""
    kernel = start_kernel()
    kernel.start(
        "%%podtask -o done\ntry:\n"
        + "".join(f"    {line}\n" for line in COUNTING.splitlines())
        + "except KeyboardInterrupt:\n    print('cleaning up')\n    done = n\n    raise\n"
    )
    before = kernel.until("tick 3\n")
    pressed = time.monotonic()
    kernel.interrupt()
    after = kernel.finish()
    assert time.monotonic() - pressed < 1
    assert after.error is not None
    assert after.error[0] == "KeyboardInterrupt"
    assert "time.sleep(0.05)" in after.error[2]
    text = before.stdout + after.stdout
    ticks = [line for line in text.splitlines() if line.startswith("tick")]
    assert ticks == [f"tick {n}" for n in range(len(ticks))]
    assert text.endswith("cleaning up\n")
    assert kernel.run("print(done)").stdout == f"{len(ticks) - 1}\n"
    cluster.kubectl("wait", "--for=delete", "pod", "--all", "-n", namespace, "--timeout=10s", check=False)
    assert cluster.kubectl_json("get", "pods", "-n", namespace, "-o", "json")["items"] == []


@pytest.mark.feature("N03")
def test_queued_cells_do_not_run_after_an_interrupt(start_kernel: START) -> None:
    """An interrupt stops "Run all", because the magic raises an exception."""
    kernel = start_kernel()
    kernel.start("%%podtask\n" + COUNTING)
    kernel.until("tick 1\n")
    queued = kernel.queue("after = 1")
    kernel.interrupt()
    assert kernel.finish().error is not None
    assert kernel.reply(queued) == "aborted"


@pytest.mark.feature("A50")
@pytest.mark.fault(55)
def test_deleted_pod_interrupts_its_cell(start_kernel: START, cluster: Any, namespace: str) -> None:
    """SIGTERM raises KeyboardInterrupt in the cell, which may print and clean up in the grace period."""
    kernel = start_kernel()
    kernel.start(
        "%%podtask -o done\ntry:\n"
        + "".join(f"    {line}\n" for line in COUNTING.splitlines())
        + "except KeyboardInterrupt:\n    time.sleep(2)\n    print('cleaned up')\n    done = n\n    raise\n"
    )
    before = kernel.until("tick 3\n")
    cluster.kubectl("delete", "pod", "--all", "-n", namespace, "--wait=false")
    after = kernel.finish()
    assert after.error is not None
    assert "the pod was deleted" in after.error[1]
    text = before.stdout + after.stdout
    assert text.endswith("cleaned up\n")
    ticks = text.count("tick")
    assert kernel.run("print(done)").stdout == f"{ticks - 1}\n"


@pytest.mark.feature("N03")
@pytest.mark.feature("S05")
@pytest.mark.fault(75)
def test_second_interrupt_deletes_the_pod(start_kernel: START, cluster: Any, namespace: str) -> None:
    """If a cell ignores the first interrupt, the second one deletes its pod."""
    kernel = start_kernel()
    kernel.start(
        "%%podtask\nimport time\nprint('deaf')\nwhile True:\n"
        "    try:\n        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n        print('heard')\n"
    )
    kernel.until("deaf\n")
    kernel.interrupt()
    kernel.until("heard\n")
    kernel.interrupt()
    ran = kernel.finish(10)
    assert ran.error is not None
    assert ran.error[0] == "KeyboardInterrupt"
    cluster.kubectl("wait", "--for=delete", "pod", "--all", "-n", namespace, "--timeout=20s", check=False)
    assert cluster.kubectl_json("get", "pods", "-n", namespace, "-o", "json")["items"] == []


@pytest.mark.fault(75)
def test_interrupt_of_a_waiting_pod_deletes_it(start_kernel: START, cluster: Any, namespace: str) -> None:
    """An interrupt deletes a pod that cannot be scheduled immediately."""
    kernel = start_kernel()
    kernel.run("template = {'nodeSelector': {'no': 'such'}, 'containers': []}")
    kernel.start("%%podtask -t template\n1")
    kernel.cells(lambda cells: any("Unschedulable" in str(cell.displays) for cell in cells.values()))
    kernel.interrupt()
    ran = kernel.finish(10)
    assert ran.error is not None
    assert ran.error[0] == "KeyboardInterrupt"
    cluster.kubectl("wait", "--for=delete", "pod", "--all", "-n", namespace, "--timeout=10s", check=False)
    assert cluster.kubectl_json("get", "pods", "-n", namespace, "-o", "json")["items"] == []


@pytest.mark.parametrize("phase", ["running", "done"])
@pytest.mark.fault(76)
def test_pod_of_a_killed_notebook_ends_by_its_bounds(
    start_kernel: START, cluster: Any, namespace: str, phase: str
) -> None:
    """After the kernel was killed, the cell runs until its timeout and linger time have passed."""
    kernel = start_kernel()
    body = COUNTING if phase == "running" else "print('tick 1')\nimport time\ntime.sleep(1)"
    kernel.start("%%podtask --timeout 3s --grace 1s --linger 2s\n" + body)
    kernel.until("tick 1\n")
    kernel.kill()
    (pod,) = cluster.kubectl_json("get", "pods", "-n", namespace, "-o", "json")["items"]
    name = pod["metadata"]["name"]
    ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=96"
    cluster.kubectl("wait", ended, f"pod/{name}", "-n", namespace, "--timeout=20s")
    found = cluster.kubectl_json("get", "pod", name, "-n", namespace, "-o", "json")
    state = found["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ('"status": "timeout"' if phase == "running" else '"status": "ok"') in state["message"]


@pytest.mark.feature("S09")
def test_cell_over_its_timeout_ends_with_its_output(pods: Shell) -> None:
    """A timeout interrupts the cell, and the error names the limit."""
    shown = pods.shown_error("%%podtask --timeout 2s -o n\n" + COUNTING)
    ticks = [line for line in shown.splitlines() if line.startswith("tick")]
    assert "ran longer than its --timeout" in shown
    assert ticks == [f"tick {n}" for n in range(pods["n"] + 1)]
