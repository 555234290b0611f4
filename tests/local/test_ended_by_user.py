"""A local cell that ends by its user's wish shows one line and no frame of podtask (rows U1 and U5 of the cases of use).

``tests/faults/test_ended_by_user.py`` tries all ways with cells in pods.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.notebook import CellOutput, Kernel, Shell

ENDLESS = "print('up', flush=True)\nimport signal\nsignal.pause()"
DETACHED = f"%%podtask --local -d --name train\n{ENDLESS}"
STOPPED = re.compile(r"stopped; process podtask-[0-9a-f]{10} was ended\.")


def start_detached(kernel: Kernel) -> str:
    """Start a detached cell, wait until it runs, and return the id of its messages."""
    own = kernel.start(DETACHED)
    kernel.cells(lambda cells: "up" in cells.get(own, CellOutput()).stdout)
    return own


def only_line(ran: CellOutput) -> str:
    """Return the only line of a cell's error, after its type; fail if there are frames."""
    assert ran.error is not None
    kind, text, shown = ran.error
    assert shown == f"{kind}: {text}"
    assert ran.stderr == ""
    return text


# The last one is what the button of TaskList does.
@pytest.mark.parametrize(
    "way",
    [
        "%podtask cancel train",
        "%podtask delete train",
        "train.cancel()",
        "train.delete()",
        "train.cancel_nowait()",
    ],
)
def test_detached_cell_is_cancelled(kernel: Kernel, way: str) -> None:
    """U1, U5: a detached cell that is cancelled says so in its status line, and shows no error."""
    own = start_detached(kernel)
    other = kernel.start(way)
    found = kernel.cells(
        lambda cells: (
            any("cancelled after" in line for line in cells.get(own, CellOutput()).lines) and other in cells
        )
    )
    assert found[own].stderr == ""
    assert found[own].error is None
    assert re.fullmatch(r"■ train · cancelled after \d+\.\d s, local", found[own].lines[-1])
    assert kernel.run("print(train.status)").stdout == "cancelled\n"


# An interrupt that comes before the handle waits is an ordinary one.
ANNOUNCE_WAIT = """
from podtask.lifecycle import task
class Announced(task.WaitEvent):
    def wait(self, timeout=None):
        print("waits", flush=True)
        return super().wait(timeout)
task.WaitEvent = Announced
"""


@pytest.mark.parametrize("ask", ["train.result()", "raise train.error", "train.exception()", "await train"])
def test_result_of_a_cancelled_task(kernel: Kernel, ask: str) -> None:
    """U1: what a handle raises after it was cancelled is one line."""
    start_detached(kernel)
    kernel.run("%podtask cancel train")
    assert STOPPED.fullmatch(only_line(kernel.run(ask)))


@pytest.mark.parametrize("wait", ["train.exception()", "train.values", "train.assign()"])
def test_kernel_interrupt_while_a_cell_waits_for_a_detached_task(kernel: Kernel, wait: str) -> None:
    """U1: the stop button ends the waiting with one line, and the task keeps running."""
    start_detached(kernel)
    kernel.run(ANNOUNCE_WAIT)
    kernel.start(wait)
    kernel.until("waits\n")
    kernel.interrupt()
    assert only_line(kernel.finish(20)) == "stopped waiting; train keeps running."
    assert kernel.run("print(train.status)").stdout == "Running\n"
    kernel.run("train.cancel()")


def test_kernel_interrupt_while_a_cell_awaits_a_detached_task(kernel: Kernel) -> None:
    """U1: the stop button ends ``await task`` with one line, and the task keeps running."""
    start_detached(kernel)
    kernel.start("print('awaits', flush=True)\nawait train")
    kernel.until("awaits\n")
    kernel.interrupt()
    assert only_line(kernel.finish(20)) == "stopped waiting; train keeps running."
    assert kernel.run("print(train.status)").stdout == "Running\n"
    kernel.run("train.cancel()")


STOPPED_LINE = re.compile(r"■ stopped after \d+\.\d s, local")
STUBBORN = """\
%%podtask --local
import signal
word = 'up'
while True:
    try:
        print(word, flush=True)
        signal.pause()
    except KeyboardInterrupt:
        word = 'not yet'"""


def test_stop_while_the_cell_runs(kernel: Kernel) -> None:
    """U1, U16: the error of a stopped cell has the cell's own frames, and its line says that it was stopped."""
    kernel.start(f"%%podtask --local\n{ENDLESS}")
    kernel.until("up\n")
    kernel.interrupt()
    ran = kernel.finish(20)
    assert ran.error is not None
    assert ran.error[0] == "KeyboardInterrupt"
    assert "signal.pause()" in ran.error[2]
    assert "podtask/" not in ran.error[2]
    assert STOPPED_LINE.fullmatch(ran.lines[-1])


def test_second_stop_ends_a_cell_that_does_not_react(kernel: Kernel) -> None:
    """U1, U16: after each press the line says what happens; the end is one line."""
    own = kernel.start(STUBBORN)
    kernel.until("up\n")
    kernel.interrupt()
    shown = kernel.cells(
        lambda cells: (
            "not yet\n" in cells.get(own, CellOutput()).stdout
            and any("stopping; press again to end the process" in line for line in cells[own].lines)
        )
    )
    assert shown[own].error is None
    kernel.interrupt()
    last = kernel.finish(20)
    assert STOPPED.fullmatch(only_line(last))
    assert STOPPED_LINE.fullmatch(last.lines[-1])


def test_stop_in_a_terminal(shell: Shell, tmp_path: Path) -> None:
    """U1, U16: Ctrl-C in a terminal shows the cell's frames only, and one line that the cell was stopped."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    def interrupt_when_up() -> None:
        gate.read_text()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt_when_up)
    thread.start()
    shown = shell.shown_error(
        f"%%podtask --local\nimport signal\nopen({str(gate)!r}, 'w').close()\nsignal.pause()"
    )
    thread.join()
    assert STOPPED_LINE.fullmatch(shown.splitlines()[-1])
    assert "KeyboardInterrupt" in shown
    assert "podtask/" not in shown


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("%%podtask\n1", r"stopped; pod podtask-\w+ was not created\."),
        ("podtask.run('1')", r"stopped; pod podtask-\w+ was not created\."),
        ("podtask.task(abs)(1)", r"stopped; pod podtask-\w+ was not created\."),
        ("%podtask list", r"stopped waiting\."),
        ("%podtask logs train", r"stopped waiting\."),
        ("%podtask cancel train", r"stopped waiting\."),
    ],
)
def test_stop_while_the_api_server_is_silent(silent_cluster: socket.socket, cell: str, text: str) -> None:
    """U1: the stop button while a cell or a command waits for the API server shows one line."""
    env = {name: value for name, value in os.environ.items() if name != "PODTASK_BACKEND"}
    kernel = Kernel(env)
    try:
        kernel.run("%load_ext podtask\nimport podtask")
        kernel.start(cell)
        connection, _ = silent_cluster.accept()
        with connection:
            kernel.interrupt()
            ran = kernel.finish(20)
    finally:
        kernel.close()
    assert re.fullmatch(text, only_line(ran))


def test_terminal_shows_one_line(shell: Shell) -> None:
    """U1: the same line in a terminal."""
    shell.run(f"%%podtask --local -d --name train\n{ENDLESS}")
    shell["train"].cancel()
    lines = shell.shown_error("train.result()").strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("CancelledError: stopped; process podtask-")


def test_command_names_the_task_by_its_pod_or_its_name(kernel: Kernel) -> None:
    """U5: the name of the pod works like the name of the task; a task that has ended is not cancelled again."""
    start_detached(kernel)
    assert re.fullmatch(
        r"Cancelled: podtask-\w+\n",
        kernel.run("get_ipython().run_line_magic('podtask', f'cancel {train.name}')").stdout,
    )
    assert kernel.run("print(train.cancelled())").stdout == "True\n"


def test_two_tasks_of_one_name_are_not_confused(kernel: Kernel, tmp_path: Path) -> None:
    """U5: a name that two running tasks of this kernel have ends neither of them."""
    start_detached(kernel)
    kernel.run("first = train")
    start_detached(kernel)
    assert kernel.run("%podtask cancel train").error is not None
    assert kernel.run("print(first.status, train.status)").stdout == "Running Running\n"
    kernel.run("first.cancel(), train.cancel()")
