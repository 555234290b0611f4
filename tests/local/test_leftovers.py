"""Event loops, threads and processes of a cell, including those that it leaves running."""

from __future__ import annotations

import os
import re
import select
import sys
from pathlib import Path

import pytest

from tests.notebook import Kernel, Shell

pytestmark = pytest.mark.usefixtures("local_backend")


@pytest.mark.feature("A33")
def test_await_at_the_top(shell: Shell) -> None:
    """await, async for and async comprehensions work at the top level of a cell, in one event loop."""
    out, _ = shell.output(
        "%%podtask -o values\nimport asyncio\n"
        "async def numbers():\n    for n in range(3):\n        await asyncio.sleep(0)\n        yield n\n"
        "values = [n async for n in numbers()]\n"
        "async for n in numbers():\n    print(n)\n"
        "async with asyncio.Lock():\n    pass\n"
        "one = asyncio.get_running_loop()\n"
        "task = asyncio.create_task(asyncio.sleep(0, 'done'))\n"
        "assert asyncio.get_running_loop() is one\n"
        "await task"
    )
    assert out.startswith("0\n1\n2\n")
    assert "'done'" in out
    assert shell["values"] == [0, 1, 2]


@pytest.mark.feature("A33")
def test_tasks_without_await(shell: Shell) -> None:
    """asyncio.create_task works in a cell without await; asyncio.run does too."""
    source = "import asyncio\nasync def f():\n    print('ran')\n"
    assert shell.output("%%podtask\n" + source + "t = asyncio.create_task(f())")[0] == "ran\n"
    assert shell.output("%%podtask\n" + source + "asyncio.run(f())")[0] == "ran\n"


@pytest.mark.parametrize(
    "cell",
    [
        "t = start()",
        "made = [*map(lambda n: start(), range(1))]",
        "class Starter:\n    def __enter__(self): start()\n    def __exit__(self, *_): pass\nwith Starter(): pass",
        "getattr(asyncio, 'create' + '_task')(work())",
        "asyncio.get_running_loop().call_soon(print, 'ran')",
        "asyncio.gather(work())",
    ],
)
def test_running_loop_is_found_whatever_words_the_cell_has(shell: Shell, cell: str) -> None:
    """H: code of any kind finds a running loop, as in a kernel; its tasks run when the statements are done."""
    shell.run(
        "import asyncio\nasync def work():\n    await asyncio.sleep(0)\n    print('ran')\n"
        "def start():\n    return asyncio.create_task(work())"
    )
    assert shell.output(f"%%podtask\nimport asyncio\n{cell}\nprint('end');")[0] == "end\nran\n"


def test_client_that_needs_a_running_loop(shell: Shell) -> None:
    """H: aiohttp.ClientSession() can be made in a cell without await, and nothing complains at the end."""
    pytest.importorskip("aiohttp")
    out, err = shell.output(
        "%%podtask\nimport aiohttp\nsession = aiohttp.ClientSession()\nprint(session.closed)"
    )
    assert out == "False\n"
    assert "Unclosed" not in err


@pytest.mark.parametrize(
    "cell",
    [
        "asyncio.run(work())",
        "asyncio.get_event_loop().run_until_complete(work())",
        "loop = asyncio.new_event_loop()\nloop.run_until_complete(work())\nloop.close()",
        "threading.Thread(target=asyncio.run, args=[work()]).start()",
        "task = asyncio.create_task(asyncio.sleep(0))\nasyncio.run(work())\nasyncio.get_running_loop()",
    ],
)
def test_loop_of_the_cell_runs_beside_ours(shell: Shell, cell: str) -> None:
    """H: a cell may still run a loop of its own; other threads have none until they run one."""
    source = "import asyncio, threading\nasync def work():\n    await asyncio.sleep(0)\n    print('ran')\n"
    assert shell.output(f"%%podtask\n{source}{cell};")[0] == "ran\n"


def test_tasks_of_a_failed_cell_run(shell: Shell) -> None:
    """H: tasks that were started before an error run, as in a kernel."""
    shown = shell.shown_error(
        "%%podtask\nimport asyncio\nasync def work():\n    print('ran')\n"
        "t = asyncio.create_task(work())\n1 / 0"
    )
    assert "ran\n" in shown
    assert "ZeroDivisionError" in shown


def test_tasks_left_running_are_ended_and_named(shell: Shell) -> None:
    """Tasks of asyncio that last more than a second after the cell are ended and named."""
    _, err = shell.output(
        "%%podtask\nimport asyncio\n"
        "short = asyncio.create_task(asyncio.sleep(0.1), name='short')\n"
        "long = asyncio.create_task(asyncio.sleep(600), name='long')\n"
    )
    assert "left running and ended: asyncio task 'long'" in err
    assert "'short'" not in err


def test_threads_left_running_are_ended_and_named(shell: Shell) -> None:
    """A thread may print for another second; idle pools and helper threads are not reported."""
    out, err = shell.output(
        "%%podtask\nimport threading, time\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor()\npool.submit(int).result()\n"
        "go = threading.Event()\n"
        "def short():\n    go.wait(0.1)\n    print('late')\n"
        "threading.Thread(target=short).start()\n"
        "threading.Thread(target=time.sleep, args=[600], name='sleeper').start()\n"
        "print('end')"
    )
    assert out == "end\nlate\n"
    assert "left running and ended: thread 'sleeper'" in err
    assert "Pool" not in err.split("left running")[1]


def test_processes_left_running_are_ended_and_named(shell: Shell) -> None:
    """A child process is ended with the cell and named, even in its own session."""
    out, err = shell.output(
        "%%podtask -o pids\nimport subprocess\n"
        "more = [dict(), dict(start_new_session=True)]\n"
        "children = [subprocess.Popen(['sleep', '600'], **each) for each in more]\n"
        "subprocess.Popen(['sh', '-c', 'echo quick'])\n"
        "pids = [child.pid for child in children]\n"
    )
    assert out == "quick\n"
    for pid in shell["pids"]:
        assert f"process {pid} sleep 600" in err
    for pid in shell["pids"]:
        state = Path(f"/proc/{pid}/stat")
        assert not state.exists() or state.read_text().split()[2] == "Z"


def test_cell_without_leftovers_is_not_reported(shell: Shell) -> None:
    """If a cell leaves nothing running, the closing line mentions no leftovers, even after a process pool."""
    _, err = shell.output(
        "%%podtask\nimport multiprocessing\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n    print(pool.map(abs, [-1, 2]))\n"
    )
    assert "left running" not in err


@pytest.mark.parametrize(
    "source",
    [
        "from multiprocessing import resource_tracker\nresource_tracker.ensure_running()",
        "from multiprocessing import shared_memory\nblock = shared_memory.SharedMemory(create=True, size=8)\nblock.unlink()",
        "import multiprocessing\nwith multiprocessing.get_context('forkserver').Pool(1) as pool:\n    pool.map(abs, [1])",
        # As joblib's loky starts its tracker and its workers, and dask its workers.
        "import subprocess, sys\nfor word in ('from joblib.externals.loky.backend.resource_tracker import main', "
        "'loky.backend.popen_loky_posix'):\n"
        "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', word])",
        "import multiprocessing, time\n"
        "multiprocessing.get_context('fork').Process(target=time.sleep, args=[600], "
        "name='Dask Worker process (from Nanny)', daemon=True).start()",
    ],
    ids=["resource tracker", "shared memory", "fork server", "loky", "dask"],
)
def test_helper_processes_are_not_reported(shell: Shell, source: str, tmp_path: Path) -> None:
    """J1: helper processes of libraries are not reported, and nothing waits for them, however long the path of Python is."""
    long = tmp_path / ("long" * 20) / "python"
    long.parent.mkdir()
    long.symlink_to(sys.executable)
    head = f"import sys, multiprocessing\nsys.executable = {str(long)!r}\nmultiprocessing.set_executable(sys.executable)\n"
    _, err = shell.output(f"%%podtask\n{head}{source}")
    assert "left running" not in err


def test_workers_of_joblib_are_not_reported(shell: Shell) -> None:
    """J1: the idle workers of joblib and their tracker are not reported, and nothing waits for them."""
    pytest.importorskip("joblib")
    out, err = shell.output(
        "%%podtask\nfrom joblib import Parallel, delayed\n"
        "print(Parallel(n_jobs=2)(delayed(abs)(n) for n in (-1, 2)))"
    )
    assert out == "[1, 2]\n"
    assert "left running" not in err


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("pool = fork.Pool(1)\npool.map(abs, [-1])", "ForkPoolWorker-1"),
        ("pool = ProcessPoolExecutor(1, mp_context=fork)\npool.submit(abs, -1).result()", "ForkProcess-1"),
        ("manager = fork.Manager()\nshared = manager.dict(a=1)", "SyncManager-1"),
        ("if os.fork() == 0:\n    signal.pause()", "forked by the cell"),
    ],
    ids=["pool", "executor", "manager", "fork"],
)
def test_forked_processes_are_named_as_the_user_knows_them(shell: Shell, source: str, name: str) -> None:
    """J1: a process that a cell forks and leaves running is named, not with the command of podtask's runner."""
    _, err = shell.output(
        "%%podtask\nimport multiprocessing, os, signal\nfrom concurrent.futures import ProcessPoolExecutor\n"
        f"fork = multiprocessing.get_context('fork')\n{source}"
    )
    named = err.partition("left running and ended: ")[2]
    assert re.match(rf"process \d+ {name}\W", named)
    assert "import os" not in named
    assert "Thread" not in named


def test_process_of_the_cell_ends_by_sigterm(shell: Shell) -> None:
    """SIGTERM silently ends a forked process, as in a kernel, but not the cell."""
    out, err = shell.output(
        "%%podtask\nimport multiprocessing, signal\nfork = multiprocessing.get_context('fork')\n"
        "children = [fork.Process(target=signal.pause) for _ in range(8)]\n"
        "for child in children:\n    child.start()\n    child.terminate()\n"
        "for child in children:\n    child.join()\n"
        "print({child.exitcode for child in children}, signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    )
    assert out == "{-15} set()\n"
    assert "Traceback" not in err


def test_interrupt_ends_an_await(kernel: Kernel) -> None:
    """The stop button raises KeyboardInterrupt in a cell that awaits at the top level."""
    kernel.start(
        "%%podtask --local\nimport asyncio\ntry:\n    print('up')\n    await asyncio.sleep(60)\n"
        "finally:\n    print('cleaned')"
    )
    kernel.until("up\n")
    kernel.interrupt()
    ran = kernel.finish(20)
    assert ran.error is not None
    assert ran.error[0] == "KeyboardInterrupt"
    assert "cleaned\n" in ran.stdout


def test_local_runner_ends_when_its_kernel_is_gone(kernel: Kernel) -> None:
    """If the kernel is gone, a cell that waits for input ends, and no process remains."""
    kernel.start("%%podtask --local --linger 1s\nimport os\nprint(os.getppid())\ninput()")
    runner = int(kernel.until("\n").stdout)
    gone = os.pidfd_open(runner)
    try:
        kernel.kill()
        assert select.select([gone], [], [], 30)[0], "the runner is still there"
    finally:
        os.close(gone)
