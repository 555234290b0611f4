"""Batch mode: cells that need only the rights to create pods and to read their logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask.manifest.labels import CELL_ANNOTATION

from tests.notebook import Kernel, Shell
from tests.pods.test_commands import UNTIL
from tests.pods.waiting import submit

from .conftest import in_namespace

pytestmark = pytest.mark.cluster
RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]


@pytest.fixture
def least_rights(restricted_kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a kubeconfig with the least rights; streams to pods are forbidden."""
    config = restricted_kubeconfig(RULES)
    monkeypatch.setenv("KUBECONFIG", str(config))
    return config


def check_no_pods(cluster: Any, namespace: str) -> None:
    """Check that no pod remains."""
    cluster.kubectl("wait", "--for=delete", "pod", "--all", "-n", namespace, "--timeout=20s", check=False)
    assert cluster.kubectl_json("get", "pods", "-n", namespace)["items"] == []


@pytest.mark.server_versions
def test_cell_works_without_any_stream(pods: Shell, least_rights: Path, cluster: Any, namespace: str) -> None:
    """Inputs, output, errors and values work; one message and each closing line mention batch mode."""
    pods.run("data = list(range(1000))")
    out, shown = pods.output("%%podtask -o x,y\nprint('seen', len(data))\nx, y = sum(data), 'ö'")
    assert "seen 1000" in out
    assert "Neither port-forward nor exec is allowed" in f"{out}{shown}"
    assert "· in batch mode" in f"{out}{shown}"
    assert (pods["x"], pods["y"]) == (499_500, "ö")
    out, shown = pods.output("%%podtask\nprint('again')")
    assert "again" in out
    assert "· in batch mode" in f"{out}{shown}"
    assert (
        "Neither port-forward" not in f"{out}{shown}"
    )  # known by now, so no pod is created that cannot work
    assert "ZeroDivisionError" in pods.shown_error("%%podtask\n1 / 0")
    check_no_pods(cluster, namespace)


def test_output_comes_while_the_cell_runs(
    start_kernel: Callable[..., Kernel], least_rights: Path, cluster: Any, namespace: str
) -> None:
    """Lines appear before the cell ends; an interrupt deletes the pod and keeps the output."""
    kernel = start_kernel(least_rights)
    kernel.start(
        "%%podtask --channel batch\nimport time\nfor n in range(1000):\n    print('tick', n)\n    time.sleep(0.1)"
    )
    kernel.until("tick 3\n")
    kernel.interrupt()
    ended = kernel.finish()
    assert ended.error is not None
    assert ended.error[0] == "KeyboardInterrupt"
    check_no_pods(cluster, namespace)


COUNTS = "import time\nfor n in range(200):\n    print(n, flush=True)\n    time.sleep(0.05)\nn"
COUNTED = "".join(f"{n}\n" for n in range(200))


@pytest.mark.fault(29, 33, 34)
def test_log_that_is_cut_loses_nothing(
    least_rights: Path,
    api_proxy: Callable[..., Any],
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After cuts of the log connection, each line appears once, and the value arrives."""
    proxy = api_proxy(least_rights)
    config = in_namespace(proxy.kubeconfig, namespace, tmp_path / "proxied.yaml")
    monkeypatch.setenv("KUBECONFIG", str(config))
    task = submit(None, COUNTS, channel="batch")
    for line in (b"20\n", b"60\n", b"120\n"):
        wait_for_line(task, line)
        proxy.cut()
    assert task.result(120) == 199
    assert task.logs() == COUNTED
    assert proxy.cuts >= 3


@pytest.mark.fault(29)
@pytest.mark.exclusive
def test_outage_of_the_api_server_does_not_end_a_batch_task(
    pods: Shell, least_rights: Path, cluster: Any
) -> None:
    """If the API server stops while the log is followed, the rest arrives after it returns."""
    task = submit(None, COUNTS, channel="batch")
    wait_for_line(task, b"20\n")
    with cluster.api_server_down():
        pass
    assert task.result(180) == 199
    assert task.logs() == COUNTED


def wait_for_line(task: podtask.Task, line: bytes) -> None:
    """Wait until a task has printed a line."""
    while (update := task.updates.get(timeout=60)).kind != "done":
        if update.frame is not None and line in update.frame.data:
            return
    raise AssertionError(f"{line!r} was not printed") from task.error


def test_what_does_not_fit_is_refused(pods: Shell, least_rights: Path, cluster: Any, namespace: str) -> None:
    """Inputs of 200 kB that cannot be compressed are rejected; the error contains their size and the missing right."""
    pods.run("import os; data = os.urandom(200_000)")
    shown = pods.shown_error("%%podtask --channel batch\nlen(data)")
    assert "the limit of batch mode is 160 kB" in shown
    assert cluster.kubectl_json("get", "pods", "-n", namespace)["items"] == []


def test_result_that_may_not_be_logged_is_refused(pods: Shell, least_rights: Path) -> None:
    """With --no-log-result, the result could not come back, so no pod is created."""
    shown = pods.shown_error("%%podtask --channel batch --no-log-result\n1")
    assert "but --no-log-result forbids that" in shown


def test_another_python_is_refused(pods: Shell, least_rights: Path) -> None:
    """If the image has another minor version, the error names the version that the cell needs."""
    shown = pods.shown_error("%%podtask --channel batch --image python:3.9-slim\n1")
    assert "batch mode needs the notebook's Python" in shown
    assert "Choose another image with --image, for example python:" in shown


def test_log_that_may_not_be_read_is_named(
    pods: Shell, restricted_kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to pods/log too, the error names the verb and the resource."""
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(RULES[:1])))
    assert "verb get, resource pods/log" in pods.shown_error("%%podtask --channel batch\n1")


def test_chosen_channel_has_no_fallback(pods: Shell, least_rights: Path) -> None:
    """``--channel exec`` does not fall back; the error names the missing right."""
    assert "resource pods/exec" in pods.shown_error("%%podtask --channel exec\n1")
    assert "resource pods/portforward" in pods.shown_error("%%podtask --channel port-forward\n1")


@pytest.mark.pod("P14")
def test_batch_task_is_followed_by_another_kernel(
    start_kernel: Callable[..., Kernel], pods: Shell, least_rights: Path, cluster: Any, namespace: str
) -> None:
    """After its kernel was killed, the pod ends Completed, and another kernel reads the result from its log."""
    kernel = start_kernel(least_rights)
    kernel.run("%%podtask -d --as far --channel batch -o x\nprint('from the log')\nx = 42")
    kernel.run(UNTIL.format("from the log"))
    kernel.kill()
    pod = ("pod", "--all", "-n", namespace)
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", *pod, "--timeout=60s")
    (found,) = cluster.kubectl_json("get", "pods", "-n", namespace)["items"]
    terminated = found["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (0, "Completed")
    assert "ok, in its log" in pods.output("%podtask list")[0]
    task = podtask.attach("far")
    assert task.result(120) is None
    assert task.values == {"x": 42}
    assert "from the log" in task.logs()


def test_manifest_does_not_show_the_cell(pods: Shell, least_rights: Path) -> None:
    """The displayed manifests do not contain the cell or the values of --env."""
    task = podtask.submit(
        "import os\nos.environ['TOKEN'][::-1]",
        options=podtask.RunOptions.of(channel="batch", env={"TOKEN": "hunter2"}),
    )
    assert task.result(120) == "2retnuh"
    assert task.manifest["metadata"]["annotations"][CELL_ANNOTATION] == "(the cell and its inputs)"
    assert "hunter2" not in str(task.manifest)
