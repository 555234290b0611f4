"""Cells of a session on this machine: variables stay, errors and interrupts leave them, and the user is told what is lost."""

from __future__ import annotations

import asyncio
import html
import os
import select
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import podtask
import pytest
from podtask.api.session_list import own_sessions
from podtask.channel import channel
from podtask.display.details import Details
from podtask.event_loop import loop
from podtask.pickling.arriving_values import ArrivingValues
from podtask.pickling.outputs import EarlyUnpacking
from podtask.sessions import registry

from tests.notebook import Kernel, Shell

pytestmark = pytest.mark.usefixtures("ended_sessions")


@pytest.fixture
def ended_sessions() -> Iterator[None]:
    """End the sessions of the test's process, and forget them."""
    yield
    for session in registry.open_sessions():
        session.end()
    registry._sessions.clear()


def cell(source: str, flags: str = "") -> str:
    return f"%%podtask --local --session s {flags}\n{textwrap.dedent(source)}"


def test_variables_stay_between_cells(shell: Shell) -> None:
    """Variables, functions and classes of one cell are there in the next; -o brings one back."""
    shell.run(cell("import os\nx = 1\npid = os.getpid()\nclass Model:\n    rate = x\ndef f():\n    return x"))
    assert shell.run(cell("x += 1\n(x, f(), Model.rate, os.getpid() == pid)")) == (2, 2, 1, True)
    assert "x" not in shell.ip.user_ns
    shell.run(cell("y = [x]", "-o y"))
    assert shell["y"] == [2]
    assert shell.run("_") != [2]


def test_first_cell_gets_the_inputs_and_later_cells_keep_them(shell: Shell) -> None:
    """A value of the notebook is sent when the session does not have it; -i sends it again."""
    shell["given"] = [1, 2]
    assert shell.run(cell("given.append(3)\nlen(given)")) == 3
    assert shell.run(cell("len(given)")) == 3
    assert shell["given"] == [1, 2]
    assert shell.run(cell("len(given)", "-i given")) == 2


def test_error_of_a_cell_is_raised_and_the_session_goes_on(shell: Shell) -> None:
    """The error has the lines of the cell, and names the session; the next cell runs."""
    shown = shell.shown_error(cell("x = 5\nx / 0"))
    assert "ZeroDivisionError: division by zero" in shown
    assert "x / 0" in shown
    assert "in session s (a process on this machine)" in shown
    assert shell.run(cell("x")) == 5


def test_crash_names_what_is_lost_and_the_next_cell_runs(shell: Shell) -> None:
    """A cell that ends the process: the error says how, a line names the lost variables; inputs are sent again."""
    shell["given"] = 3
    shell.run(cell("import os\nx = given"))
    shown = shell.shown_error(cell("os._exit(3)"))
    assert "exited with code 3" in shown
    assert "session s goes on with a new process; lost: given, os, x" in shown
    assert shell.run(cell("(given, 'x' in globals())")) == (3, False)


@pytest.mark.fault(120)
def test_process_killed_between_two_cells(kernel: Kernel) -> None:
    """The next cell gets its inputs again, in a new process."""
    kernel.run("given = 4")
    pid = kernel.run(cell("import os\nmine = given\nos.getpid()")).result
    assert pid is not None
    kernel.run("import os\nfrom podtask.sessions.registry import find_session\nsession = find_session('s')")
    kernel.run(f"with session.until_process_ends():\n    os.kill({pid['text/plain']}, 9)")
    shown = kernel.run(cell("('mine' in globals(), given)"))
    assert shown.result == {"text/plain": "(False, 4)"}
    assert any("lost: given, os, mine" in line for line in shown.lines)


def test_stop_button_stops_the_cell_only(kernel: Kernel) -> None:
    """An interrupted cell raises KeyboardInterrupt, and its variables are there in the next cell."""
    kernel.start(cell("x = 1\nprint('begun')\nimport signal\nsignal.pause()"))
    kernel.until("begun")
    kernel.interrupt()
    stopped = kernel.finish()
    assert stopped.error is not None
    assert stopped.error[0] == "KeyboardInterrupt"
    assert kernel.run(cell("x")).result == {"text/plain": "1"}


def test_short_cell_shows_no_status_line(kernel: Kernel) -> None:
    """The first cell shows where it ran; a short one shows its output and value only."""
    first = kernel.run(cell("1"))
    assert any("in session s" in line for line in first.lines)
    second = kernel.run(cell("print('two')\n2"))
    assert (second.stdout, second.result) == ("two\n", {"text/plain": "2"})
    assert second.displays == []


def test_detached_cells_run_in_the_order_of_submission(shell: Shell, tmp_path: Path) -> None:
    """A cell that is submitted while another one runs waits for it, and finds its variables."""
    os.mkfifo(tmp_path / "pipe")
    shell.run(cell(f"open({str(tmp_path / 'pipe')!r}).read()\norder = [1]", "-d --as first"))
    shell.run(cell("order.append(2)", "-d --as second"))
    (tmp_path / "pipe").write_text("go on")  # waits until the first cell reads
    assert shell.run(cell("order.append(3)\norder")) == [1, 2, 3]
    assert shell["first"].status == shell["second"].status == "ok"


def test_another_pod_is_an_error_with_the_difference(shell: Shell) -> None:
    """An option that shapes the pod and differs is refused; --replace begins a new session."""
    shell.run(cell("x = 1"))
    with pytest.raises(podtask.InputError, match=r"--memory is not set there and 4Gi here. Nothing has run."):
        shell.run(cell("x", "--memory 4Gi"))
    assert shell.run(cell("x")) == 1
    assert shell.run("%%podtask --session s\nx") == 1
    assert shell.run(cell("'x' in globals()", "--memory 4Gi --replace")) is False


def test_session_that_ended_is_begun_again(shell: Shell) -> None:
    """A session whose idle time is over says so with the next cell, which runs in a new one."""
    shell.run(cell("x = 1", "--idle 0.3s"))
    registry.find_session("s").wait_until_ended()
    out, err = shell.output(cell("print('x' in globals())"))
    assert out.endswith("False\n")
    assert "Session s had ended: no cell ran in it for 0.3 s (--idle)" in out + err


def test_ended_session_ends_the_cells_that_run_and_wait(shell: Shell) -> None:
    """%podtask end while cells run: each says that the session has ended, and what is lost."""
    shell.run(cell("x = 1"))
    shell.run(cell("import threading\nthreading.Event().wait()", "-d --as first"))
    shell.run(cell("x", "-d --as second"))
    shell.run("%podtask end s")
    for name in ("first", "second"):
        error = shell[name].exception(30)
        assert isinstance(error, podtask.TaskError)
        assert "Session s has ended: it was ended. Lost: x." in str(error)
        work = shell[name]._follower.channel._work
        done, _ = loop().run(asyncio.wait({work}, timeout=30))
        assert done == {work}  # nothing waits for a result that cannot come


def test_second_stop_ends_the_process_of_the_session(kernel: Kernel) -> None:
    """A cell that ignores the stop button: the second one ends its process, and the session goes on without variables."""
    kernel.run(cell("x = 1"))
    stubborn = (
        "import signal\nwhile True:\n    try:\n        print('up', flush=True)\n        signal.pause()\n"
        "    except KeyboardInterrupt:\n        pass"
    )
    kernel.start(cell(stubborn))
    kernel.until("up")
    kernel.interrupt()
    kernel.until("up")
    kernel.interrupt()
    stopped = kernel.finish()
    assert stopped.error is not None
    assert "the process of session s was ended, and its variables are lost" in stopped.error[1]
    assert kernel.run(cell("'x' in globals()")).result == {"text/plain": "False"}


def test_session_whose_connection_failed_is_begun_again(shell: Shell) -> None:
    """After a failure of the connection for good, the next cell says why and runs in a new session."""
    shell.run(cell("x = 1"))
    runner = registry.find_session("s")._runner
    assert runner is not None
    runner.channel.failure = podtask.TaskError("The runner reported an internal error.", "Report this.")
    out, err = shell.output(cell("print('x' in globals())"))
    assert out.endswith("False\n")
    assert "Session s had ended: The runner reported an internal error. A new one begins" in out + err


def test_large_last_value_stays(shell: Shell) -> None:
    """A last value of more than 256 KiB is shown and not brought back."""
    out, err = shell.output(cell("large = bytes(300_000)\nlarge"))
    assert "the last value (bytes) was not returned: over 256 KiB" in out + err
    shell.run(cell("pass", "-o large"))
    assert len(shell["large"]) == 300_000


def test_values_of_a_cell_with_plain_results_are_never_unpickled(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives for a cell with ``--results plain`` is not unpickled meanwhile, as it is for the other cells."""
    begun = []

    class Noted(EarlyUnpacking):
        def __init__(self, values: ArrivingValues) -> None:
            begun.append(values)
            super().__init__(values)

    monkeypatch.setattr(channel, "EarlyUnpacking", Noted)
    shell.run(cell("x = bytes(3 << 20)", "--results plain -o x"))
    assert (len(shell["x"]), begun) == (3 << 20, [])
    shell.run(cell("x = bytes(4 << 20)", "-o x"))
    assert (len(shell["x"]), len(begun)) == (4 << 20, 1)


def test_commands(shell: Shell) -> None:
    """%podtask names lists the variables, extend moves the end, end ends the session."""
    shell.run(cell("model = bytes(2000)\n_private = 1"))
    out, _ = shell.output("%podtask names s")
    assert out == "model  bytes  1 KiB\n"
    out, _ = shell.output("%podtask extend s 2h")
    assert out == "Session s lives for at least 2h from now.\n"
    out, _ = shell.output("%podtask end s")
    assert out == "Ended: session s\n"
    with pytest.raises(podtask.InputError, match=r"Session s has ended: it was ended."):
        shell.run("%podtask names s")
    with pytest.raises(podtask.InputError, match="You have no session 't'"):
        shell.run("%podtask names t")


@pytest.mark.usefixtures("local_backend")
def test_session_in_python() -> None:
    """The handle runs functions and source texts, sets and returns variables, and ends with its block."""

    def double(value: int) -> int:
        vars(sys.modules["__main__"])["model"] = value
        return 2 * value

    with podtask.session("s") as session:
        assert session.run(double, 4) == 8
        assert session.run("model + 1") == 5
        session.put(table={"a": 1})
        assert session.run("table['b'] = model\nlen(table)") == 2
        assert session.get("table") == {"a": 1, "b": 4}
        assert {"model", "table"} <= {variable.name for variable in session.names()}
        with pytest.raises(podtask.InputError, match="has no variable 'other'"):
            session.get("other")
        assert session.submit("model").result() == 4
    assert registry.open_sessions() == []


@pytest.mark.usefixtures("local_backend")
def test_decorated_function_in_a_session() -> None:
    """Calls of a function with a session run in one process."""

    @podtask.task(session="s")
    def count() -> int:
        import os

        return os.getpid()

    assert count() == count() == count.submit().result() != os.getpid()


SCRIPT = """
import podtask
session = podtask.session("s", local=True)
print(session.run("import os\\nos.getpid()"), flush=True)
input()
"""


def test_process_ends_with_the_program() -> None:
    """A program that ends ends its local sessions."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        watch = os.pidfd_open(int(program.stdout.readline()))
        program.stdin.close()
        wait_readable(watch)


def test_process_ends_some_time_after_a_killed_kernel(kernel: Kernel) -> None:
    """Nobody else can find a local session: it ends --linger after its kernel was killed."""
    pid = kernel.run(cell("import os\nos.getpid()", "--linger 1s")).result
    assert pid is not None
    watch = os.pidfd_open(int(pid["text/plain"]))
    kernel.kill()
    wait_readable(watch)


def wait_readable(descriptor: int) -> None:
    """Wait until a process has ended, at most 10 s."""
    ready, _, _ = select.select([descriptor], [], [], 10)
    os.close(descriptor)
    assert ready


@pytest.mark.fault(129)
def test_cell_that_removes_modules_does_not_harm_the_next(shell: Shell) -> None:
    """Modules that the runner has imported, and their parts, are gone from sys.modules: later cells run and return values."""
    removed = (
        "import sys\nfor name in ('json', 'pickle', 'struct', 'traceback'):\n    sys.modules.pop(name, None)"
    )
    shell.run(cell(f"x = [1]\n{removed}"))
    assert shell.run(cell("x += [len(x)]\nx", "-o x")) == [1, 1]
    assert "ZeroDivisionError" in shell.shown_error(cell("1 / 0"))
    assert shell.run(cell("import json\njson.dumps(x)")) == "[1, 1]"


@pytest.mark.fault(130)
def test_fork_in_a_cell(shell: Shell) -> None:
    """A child that ends its process neither answers for the session nor ends it."""
    source = "import os\nx = 1\npid = os.fork()\nif not pid:\n    os._exit(7)\nos.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    assert shell.run(cell(source)) == 7
    assert shell.run(cell("(x, os.getpid() != pid)")) == (1, True)


@pytest.mark.usefixtures("local_backend")
def test_details_say_which_values_were_sent() -> None:
    """The fold under a cell names what was sent, and what was not because the session has it."""
    with podtask.session("s") as session:
        session.run("model = 1")
        task = session.submit("model")
        assert task.result(60) == 1
        assert html.escape(task.shared_values) in Details(task).html()
        assert task.shared_values == "session's: model"


def test_list_without_a_cluster_shows_the_sessions_of_this_machine(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The table of sessions comes first, then the error that any command has without a cluster."""
    shell.run(cell("x, y = 1, 2"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    shown = shell.shown_error("%podtask list")
    head, row = shown.splitlines()[:2]
    assert head.split("  ")[0] == "session"
    assert row.split()[:3] == ["s", "idle", "2"]
    assert "this one" in row
    assert shown.splitlines()[-1].strip()
    assert "cluster" in shown.splitlines()[-2]


def test_commands_for_a_session_that_no_kernel_has(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a cluster, the error names the sessions of this kernel."""
    shell.run(cell("x = 1"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    for command in ("names", "end", "extend"):
        shown = shell.shown_error(f"%podtask {command} t" + " 1h" * (command == "extend"))
        assert "You have no session 't' here." in shown
        assert "Sessions: s." in shown


def test_memory_of_a_session_of_this_kernel() -> None:
    """The list knows the memory of a process on this machine as of the end of its last cell."""
    with podtask.session("s", local=True) as session:
        session.run("pass")
        [row] = [each for each in own_sessions() if each.name == "s"]
        assert row.memory is not None
        session.run("kept = bytes(range(256)) * (200 << 12)")
        [after] = [each for each in own_sessions() if each.name == "s"]
        assert after.memory is not None
        assert after.memory - row.memory > 150 << 20
