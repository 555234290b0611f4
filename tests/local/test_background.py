"""Detached cells: an immediate handle, output under their own cell, values only on request."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.notebook import CellOutput, Kernel, Shell

GATE = "import pathlib, time\nwhile not pathlib.Path({!r}).exists():\n    time.sleep(0.01)\n"


@pytest.mark.feature("A38", "N08")
def test_output_goes_on_under_its_own_cell(kernel: Kernel, tmp_path: object) -> None:
    """U22: streams, displays and the result appear in the submitting cell, and its handle is not shown beside its line."""
    gate = f"{tmp_path}/gate"
    own = kernel.start(
        "%%podtask --local -d --as train -o total\n"
        "import sys\nfrom IPython.display import display, HTML\nprint('begun')\n"
        + GATE.format(gate)
        + "print('released')\nprint('apart', file=sys.stderr)\ndisplay(HTML('<b>bold</b>'))\n"
        "total = 42\n'the result'\n"
    )
    first = kernel.finish()
    assert first.error is None
    assert first.lines[0].startswith("○ train · ")
    assert not any("<Task" in line for line in first.lines)  # the status line says it already
    assert "released" not in first.stdout
    other = kernel.start(f"print('in between')\nopen({gate!r}, 'w').close()\ntrain.wait(60)\nprint('after')")
    found = kernel.cells(
        lambda cells: any(
            line.endswith(" · back: total; train.assign() sets it")
            for line in cells.get(own, CellOutput()).lines
        )
    )
    theirs, mine = found[other], found[own]
    assert "released\n" in first.stdout + mine.stdout
    assert mine.stderr == "apart\n"
    assert any(shown.get("text/html") == "<b>bold</b>" for shown in mine.displays)
    assert mine.lines[-2] == "'the result'"
    assert "released" not in theirs.stdout
    assert theirs.error is None
    kernel.cells(
        lambda cells: any("after" in each.stdout for each in cells.values()) or "after" in theirs.stdout
    )
    assert "NameError" in str(kernel.run("total").error)
    assert kernel.run("print(train.assign(), total, train.result())").stdout == "['total'] 42 the result\n"


def test_error_is_shown_in_its_cell_and_raised_on_request(kernel: Kernel) -> None:
    """U22: the error of a detached cell is shown in its cell, and its handle raises the original type."""
    own = kernel.start("%%podtask --local -d\n1 / 0")
    found = kernel.cells(lambda cells: "by zero" in cells.get(own, CellOutput()).stderr)
    assert "ZeroDivisionError: division by zero" in found[own].stderr
    assert "    1 / 0\n" in found[own].stderr
    assert found[own].error is None
    caught = kernel.run("try:\n    _task.result()\nexcept ZeroDivisionError as error:\n    print(error)")
    assert caught.stdout == "division by zero\n"


def test_detached_cell_says_things_once(kernel: Kernel) -> None:
    """U22: its line names it once from the start to the end; its output and its error come once."""
    own = kernel.start("%%podtask --local -d --as train\nprint('out')\nleft = 1\n{}['k']")
    found = kernel.cells(
        lambda cells: any(line.startswith("✗") for line in cells.get(own, CellOutput()).lines)
    )[own]
    assert [line for line in found.lines if line.count("train") != 1] == []
    assert re.fullmatch(
        r"✗ train · failed after \d+\.\d s, local( · not brought back: left)?", found.lines[-1]
    )
    assert (found.stdout, found.stderr.count("KeyError: 'k'")) == ("out\n", 1)


def test_input_in_a_detached_cell_raises_eoferror(kernel: Kernel) -> None:
    """``input()`` in a detached cell raises EOFError, since no user waits for the cell."""
    kernel.run("%%podtask --local -d\ntry:\n    input('?')\nexcept EOFError:\n    print('nobody')\n")
    assert kernel.run("_task.wait(60); print(_task.logs())").stdout == "nobody\n\n"


def test_terminal_prints_the_output_immediately(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """In a terminal, a detached cell prints its output immediately, and its handle is also a variable."""
    shell.run("%%podtask --local -d --as job\nprint('hello')\n6 * 7")
    assert shell["job"].result(60) == 42
    assert shell["job"] is shell["_task"]


@pytest.mark.feature("N08")
def test_displayed_handle_shows_the_last_state(kernel: Kernel, tmp_path: object) -> None:
    """A displayed handle is updated in its cell until it shows how the task ended."""
    gate = f"{tmp_path}/gate"
    kernel.run("%%podtask --local -d --as train\nprint('begun')\n" + GATE.format(gate))
    own = kernel.start("display(train)")
    before = kernel.finish()
    assert ["podtask-card" in each["text/html"] for each in before.displays] == [True]
    kernel.start(f"open({gate!r}, 'w').close()")
    found = kernel.cells(
        lambda cells: any("train · ok" in each["text/html"] for each in cells.get(own, CellOutput()).displays)
    )
    last = found[own].displays[-1]
    assert last["text/plain"].endswith(": ok>")
    assert "begun" in last["text/html"]
    assert "Pending" not in last["text/html"]
    assert "train · ok" in kernel.run("train").displays[0]["text/html"]


def test_cell_has_one_line(kernel: Kernel) -> None:
    """U20: a cell has one display, which is replaced and at its end says everything."""
    kernel.start("%%podtask --local -o total\nprint('out')\ntotal = 42")
    ids, line = set(), ""
    for message in kernel.messages(60):
        if "display_data" in message["msg_type"]:
            ids.add(message["content"]["transient"].get("display_id"))
            line = message["content"]["data"]["text/plain"]
    assert len(ids) == 1
    assert re.fullmatch(r"✓ \d+\.\d s, local · back: total", line)


def test_notice_is_shown_once(kernel: Kernel) -> None:
    """U20: a notice on the template is a line of the first cell only; the others have it in their details."""
    kernel.run("t = {'nodeName': 'x', 'containers': [{'name': 'side', 'image': 'busybox'}]}")
    first, second = (kernel.run("%%podtask --local -t t\n1") for _ in range(2))
    assert sum(line.startswith("Runs on this machine. Ignored") for line in first.lines) == 1
    assert not any(line.startswith("Runs on this machine.") for line in second.lines)
    assert "Runs on this machine. Ignored" in second.displays[-1]["text/html"]
    kernel.run("t['nodeName'] = 'y'")
    other = kernel.run("%%podtask --local -t t\n1")
    assert sum(line.startswith("Runs on this machine. Ignored") for line in other.lines) == 1


SCRIPT = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "podtask")
shell.run_cell_magic("podtask", "-d --local --as held", "input()")
while shell.user_ns["held"].updates.get().kind != "frame":
    pass
print("the script ends", flush=True)
"""


def test_script_that_ends_before_its_detached_cell_shows_no_error() -> None:
    """The interpreter exits while a detached cell runs: nothing has failed."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert "the script ends" in ended.stdout
    assert "failed" not in ended.stdout + ended.stderr
    assert "Error" not in ended.stdout + ended.stderr
