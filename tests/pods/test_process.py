"""``%podtask shell``: a process next to a running cell, in its container or in a sidecar."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import pytest
from podtask import Task

from tests.local.test_completion import offered
from tests.notebook import Kernel, Shell
from tests.pods.waiting import HOLD, IMAGE, submit, wait_for_input_request

pytestmark = pytest.mark.cluster
SIDE = {
    "name": "side",
    "image": "nopython:1",
    "command": ["sleep", "300"],
    "env": [{"name": "WHERE", "value": "aside"}],
}


@pytest.fixture
def held(pods: Shell, cluster: Any, namespace: str) -> Any:
    """Start a task called ``held`` whose cell waits, with a running sidecar."""
    task = submit({"containers": [SIDE]}, HOLD, name="held")
    wait_for_input_request(task)
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{task.name}", "-n", namespace)
    yield task
    task.cancel()


@pytest.mark.feature("P07")
def test_command_runs_next_to_the_cell(pods: Shell, held: Task) -> None:
    """A command has separate streams, arguments as in a terminal, an exit code, and no input."""
    out, err = pods.output("%podtask shell held -- sh -c 'echo \"one  two\"; echo apart >&2; exit 3'")
    assert (out, err) == ("one  two\nexit code 3\n", "apart\n")
    assert pods.output("%podtask shell held -- cat")[0] == "exit code 0\n"
    out, _ = pods.output("%podtask shell held -- python3 -c 'print(\"ä\" * 200_000)'")
    assert out == "ä" * 200_000 + "\nexit code 0\n"
    out, _ = pods.output(f"%podtask shell {held.name} -- python3 -c 'import os; print(os.getpid())'")
    assert int(out.split()[0]) > 1
    assert held.running()


@pytest.mark.feature("P07", "N09")
def test_command_runs_in_a_sidecar(pods: Shell, held: Task) -> None:
    """-c selects the container; the error about an unknown container lists the existing ones."""
    out, _ = pods.output("%podtask shell held -c side -- sh -c 'printf $WHERE'")
    assert out == "aside\nexit code 0\n"
    shown = pods.shown_error("%podtask shell held -c sid -- ls")
    assert "Containers: side, primary." in shown


@pytest.mark.feature("P07")
def test_terminal_gets_a_line_that_works(pods: Shell, held: Task, cluster: Any, namespace: str) -> None:
    """Without a command, it prints a kubectl command that opens a shell in the container."""
    line = shlex.split(pods.output("%podtask shell held")[0])
    assert line[:3] == ["kubectl", "--context", line[2]]
    assert line[3:9] == ["-n", namespace, "exec", "-it", held.name, "-c"]
    assert line[9] == "primary"
    words = [word if word != "-it" else "-i" for word in line[1:]]  # there is no terminal here
    assert cluster.kubectl(*words, input="echo $((6 * 7))\n") == "42\n"
    side = shlex.split(pods.output("%podtask shell held -c side")[0])
    assert side[9] == "side"


@pytest.mark.feature("P07")
def test_command_that_cannot_run_is_reported(pods: Shell, held: Task) -> None:
    """A missing program, an open quotation mark and an unknown task are reported."""
    shown = pods.shown_error("%podtask shell held -- nosuchprogram")
    assert "'nosuchprogram' was not run in container 'primary'" in shown
    assert "Traceback" not in shown
    assert "No closing quotation" in pods.shown_error("%podtask shell held -- sh -c 'x")
    assert "Task 'nobody' not found in " in pods.shown_error("%podtask shell nobody -- ls")
    assert "%podtask shell NAME" in pods.shown_error("%podtask shell")
    waits = submit({"nodeSelector": {"no": "such"}, "containers": []}, name="waits")
    while "affinity" not in waits.phase:
        waits.updates.get(timeout=60)
    shown = pods.shown_error("%podtask shell waits -- ls")
    waits.cancel()
    assert "Cannot run a command in container 'primary'" in shown
    assert "%podtask why waits" in shown


@pytest.mark.feature("P07")
def test_right_that_is_missing_is_named(
    pods: Shell, held: Task, restricted_kubeconfig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error about a missing right names verbs and resource in two lines."""
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(rules)))
    shown = pods.shown_error("%podtask shell held -- ls")
    assert "verbs get and create, resource pods/exec" in shown
    assert "Traceback" not in shown


@pytest.mark.feature("N13")
def test_tab_offers_tasks(pods: Shell, held: Task) -> None:
    """Tab offers the tasks of the namespace where a command expects the name of a task."""
    pods.run("%podtask list")
    for command in ("shell", "attach", "logs", "cancel", "delete"):
        assert offered(pods, f"%podtask {command} he") == ["held"]
    assert "held" not in offered(pods, "%podtask gc he")


@pytest.mark.feature("P07", "S05")
def test_interrupt_ends_the_command(start_kernel: Callable[..., Kernel]) -> None:
    """The stop button ends the command; the cell keeps running."""
    kernel = start_kernel()
    kernel.run(f"%%podtask -d --as held --image {IMAGE}\nprint('up')\nimport time; time.sleep(300)")
    kernel.run("while 'up' not in held.logs(): held.updates.get(timeout=60)")
    kernel.start("%podtask shell held -- sh -c 'echo begun; sleep 300'")
    kernel.until("begun\n")
    kernel.interrupt()
    ran = kernel.finish(10)
    assert ran.error is not None
    assert ran.error[0] == "KeyboardInterrupt"
    assert kernel.run("print(held.status); held.cancel()").stdout == "Running\n"
