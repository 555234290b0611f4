"""``%podtask stack``: the stacks of all threads of a running cell, which goes on."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask.display.stacks import render_stacks
from podtask.sessions import registry

from tests.notebook import Shell

pytestmark = pytest.mark.feature("N18")
LOCAL = podtask.RunOptions.of(local=True)
# A cell that says that it has begun, and waits until it may go on, in the main thread and in one more.
WAITS = """
import threading
def wait_here():
    with open({begun!r}, "w") as file:
        file.write("begun")
    with open({go!r}) as file:
        return file.read()
def beside():
    ready.set()
    event.wait()
ready, event = threading.Event(), threading.Event()
thread = threading.Thread(target=beside, daemon=True)
thread.start()
ready.wait()
answer = wait_here()
event.set()
answer
"""
# One call of C that holds the GIL: in it, a shell says that it has begun, and waits.
HOLDS_GIL = """
import ctypes
libc = ctypes.PyDLL(None)
libc.system(b"printf begun > '{begun}'; read line < '{go}'")
"""


@pytest.fixture(autouse=True)
def ended_sessions() -> Iterator[None]:
    """End the sessions of the test, and forget them."""
    yield
    for session in registry.open_sessions():
        session.end()
    registry._sessions.clear()


@pytest.fixture
def fifos(tmp_path: Path) -> dict[str, str]:
    """Return the names of two pipes: the cell writes to the first when it has begun, and reads the second to go on."""
    found = {name: str(tmp_path / name) for name in ("begun", "go")}
    for path in found.values():
        os.mkfifo(path)
    return found


def has_begun(fifos: dict[str, str]) -> bool:
    """Wait until the cell has begun."""
    return Path(fifos["begun"]).read_text() == "begun"


def go_on(fifos: dict[str, str]) -> None:
    """Let the cell go on."""
    Path(fifos["go"]).write_text("went on")


@pytest.mark.parametrize("flags", ["", "--session s"])
def test_stacks_of_a_detached_cell(shell: Shell, fifos: dict[str, str], flags: str) -> None:
    """Both threads, with the lines of the cell marked and none of the runner's frames; the cell goes on."""
    shell.run(f"%%podtask --local -d --name nightly {flags}\n{WAITS.format(**fifos)}")
    assert has_begun(fifos)
    shown, _ = shell.output("%podtask stack nightly")
    first, second = shown.strip().split("\n\n")
    lines = first.splitlines()
    assert lines[0].startswith("Thread 0x")
    assert lines[0].endswith(" (most recent call last):")
    assert lines[1] == "> Cell In[1], line 16, in <module>: answer = wait_here()"
    assert re.match(r"> Cell In\[1\], line [5-8], in wait_here: \w+", lines[2])
    assert re.search(r"\n> Cell In\[1\], line 1[01], in beside: (ready.set|event.wait)\(\)", second)
    assert "podtask" not in shown.replace(os.path.dirname(fifos["go"]), "")
    go_on(fifos)
    assert shell["nightly"].result(60) == "went on"


def test_stacks_of_a_session(shell: Shell, fifos: dict[str, str]) -> None:
    """Of the cell that runs in it, and of nothing once it has ended."""
    shell.run("import podtask\nsession = podtask.session('s', local=True)")
    assert "Session s has not started." in shell.shown_error("%podtask stack s")
    task = shell["session"].submit(WAITS.format(**fifos))
    assert has_begun(fifos)
    assert "in wait_here" in shell.output("%podtask stack s")[0]
    assert "in wait_here" in shell.output("%podtask stack s")[0]
    go_on(fifos)
    assert task.result(60) == "went on"
    shell["session"].run("thread.join()")
    assert shell.output("%podtask stack s")[0] == "No cell runs, and no thread of one.\n"


def test_stacks_while_c_code_holds_the_gil(fifos: dict[str, str]) -> None:
    """No Python code of the process can run meanwhile."""
    task = podtask.submit(HOLDS_GIL.format(**fifos), options=LOCAL)
    assert has_begun(fifos)
    shown = render_stacks(task.read_stacks(), lambda filename: "")
    assert ", line 4, in <module>" in shown
    assert not task.done()
    task.cancel()


def test_what_cannot_be_asked(shell: Shell, fifos: dict[str, str]) -> None:
    """An unknown name, a task that has ended, and a process that is stopped."""
    assert "has no running task or session 'nobody'" in shell.shown_error("%podtask stack nobody")
    shell.run("%%podtask --local --name ended\n1")
    assert "does not run" in shell.shown_error("%podtask stack ended")
    source = "import os, threading\nopen({!r}, 'w').write(str(os.getpid()))\nthreading.Event().wait()"
    task = podtask.submit(source.format(fifos["begun"]), options=LOCAL)
    os.kill(int(Path(fifos["begun"]).read_text()), signal.SIGSTOP)
    with pytest.raises(podtask.TaskError, match="does not answer: it is stopped, or has ended"):
        task.read_stacks()
    task.cancel()


def test_signal_of_a_users_handler(fifos: dict[str, Any]) -> None:
    """A cell that takes all signals for itself is asked in vain, and is not harmed."""
    source = f"import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n{WAITS.format(**fifos)}"
    task = podtask.submit(source, options=LOCAL)
    assert has_begun(fifos)
    with pytest.raises(podtask.TaskError, match="does not answer"):
        task.read_stacks()
    go_on(fifos)
    assert task.result(60) == "went on"


TEXT = """\
Thread 0x00007f01 [reader] (most recent call first):
  File "<podtask runner>/streams.py", line 5 in flush
  File "/usr/lib/python3/threading.py", line 7 in run

Current thread 0x00007f00 (most recent call first):
  File "<podtask runner>/streams.py", line 9 in write
  File "/lib/model.py", line 3 in fit
  File "/tmp/cell.py", line 2 in <module>
  File "<podtask runner>/worker/execute.py", line 70 in run
  File "<podtask runner>/worker/main.py", line 70 in run
  ...
"""


def test_render() -> None:
    """Threads and frames of the runner are left out, and what cannot be read is skipped."""
    shown = render_stacks(TEXT, lambda filename: "Cell In[3]" if filename == "/tmp/cell.py" else "")
    assert shown.splitlines() == [
        "Thread 0x00007f00 (most recent call last):",
        "> Cell In[3], line 2, in <module>: ",
        "  /lib/model.py, line 3, in fit",
    ]
    assert render_stacks("", lambda filename: "") == "No cell runs, and no thread of one."
