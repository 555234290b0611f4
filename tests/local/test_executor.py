"""``podtask.Executor`` on local workers: the calls of ``concurrent.futures``, lost workers, stop, exit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed, wait
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask.errors import InputError, Lost
from podtask.lifecycle.task import all_handles
from podtask.pickling import inputs

from tests.notebook import Shell

OWN_MODULE = '''
import os
import signal

class Box:
    """A class that the notebook and the workers share."""

    def __init__(self, value):
        self.value = value

def double(x, offset=0):
    """Double a number; fail for some."""
    print("doubling", x)
    if x == 7:
        raise ValueError("7 is odd")
    return 2 * x + offset

def unbox(box):
    """Return what a box holds, in a box."""
    return isinstance(box, Box), os.getpid(), Box(box.value + 1)

def leave(code):
    """End the whole process."""
    os._exit(code)

def block(started, release):
    """Say that it runs, then wait until the test writes."""
    open(started, "w").close()
    return open(release).read()

def sleep_for_ever(started):
    """Say that it runs, then wait for a signal."""
    open(started, "w").close()
    signal.pause()
'''
SECONDS = 60
EXIT = """
import own_module, podtask, sys
pool = podtask.Executor(1, local=True)
future = pool.submit(own_module.unbox, own_module.Box(1))
print(future.result(60)[1])
"""


@pytest.fixture
def fifo(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes a named pipe."""

    def make(name: str) -> Path:
        os.mkfifo(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def pool() -> Iterator[podtask.Executor]:
    """Yield an executor of two local workers; afterwards, none is left."""
    with podtask.Executor(2, local=True) as made:
        yield made
    assert [each for each in all_handles() if not each.done()] == []


def _story(pool: Executor, module: Any) -> list[Any]:
    """Return what an executor does with the same calls, in words that do not depend on it."""
    found: list[Any] = []
    futures = [pool.submit(module.double, x, offset=1) for x in range(9)]
    assert wait(futures, SECONDS).not_done == set()
    found.append([each.exception() is None and each.result() for each in futures])
    found.append((type(futures[7].exception()), str(futures[7].exception())))
    found.append([each.done() and not each.running() and not each.cancelled() for each in futures])
    found.append(futures[0].cancel())
    found.append(sorted(each.result() for each in as_completed(futures[:7], SECONDS)))
    found.append(list(pool.map(pow, range(6), range(6), chunksize=2)))
    mapped = pool.map(module.double, range(6, 9))
    found.append(next(mapped))
    found.append(_error_of(lambda: next(mapped)))
    found.append(_error_of(lambda: pool.map(abs, [1], chunksize=0)))
    found.append(_error_of(lambda: pool.submit(module.double).result(SECONDS))[0])
    found.append(_error_of(lambda: pool.submit(module.double, 1, of=2).result(SECONDS)))
    same, pid, box = pool.submit(module.unbox, module.Box(4)).result(SECONDS)
    found.append((same, pid != os.getpid(), type(box) is module.Box, box.value))
    called = threading.Event()
    pool.submit(abs, -1).add_done_callback(lambda done: called.set() if done.result() == 1 else None)
    found.append(called.wait(SECONDS))
    pool.shutdown()
    pool.shutdown()
    found.append(_error_of(lambda: pool.submit(abs, 1)))
    return found


def _error_of(call: Callable[[], Any]) -> tuple[type, str]:
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- compared with the error of another executor
        call()
    return caught.type, str(caught.value)


@pytest.mark.feature("N22")
def test_it_does_what_a_process_pool_does(own_module: Any) -> None:
    """The same calls give the same values, errors and states as those of ProcessPoolExecutor."""
    ours = _story(podtask.Executor(2, local=True), own_module)
    with ProcessPoolExecutor(2) as theirs:
        assert ours == _story(theirs, own_module)
    assert [each for each in all_handles() if not each.done()] == []


@pytest.mark.feature("N22")
def test_traceback_and_output_belong_to_the_call(pool: podtask.Executor, own_module: Any) -> None:
    """The error of a call has the lines of its function, and logs() what that call has printed."""
    futures = [pool.submit(own_module.double, x) for x in (7, 8)]
    error = futures[0].exception(SECONDS)
    frames = []
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert frames[-1] == "double"
    assert futures[1].result(SECONDS) == 16
    assert [each.logs() for each in futures] == ["doubling 7\n", "doubling 8\n"]


@pytest.mark.feature("N22")
def test_workers_start_with_the_first_call_and_stay(own_module: Any) -> None:
    """No task exists before the first call; calls that follow one another run in the same worker."""
    before = set(all_handles())
    with podtask.Executor(4, local=True) as pool:
        assert set(all_handles()) == before
        pids = {pool.submit(own_module.unbox, own_module.Box(x)).result(SECONDS)[1] for x in range(5)}
        assert len(pids) == 1
        started = set(all_handles()) - before
        assert [each.done() for each in started] == [False]
    assert all(each.done() for each in started)


@pytest.mark.feature("N22")
def test_cancelled_call_never_runs(own_module: Any, fifo: Callable[[str], Path], tmp_path: Path) -> None:
    """A call that waits can be cancelled, one that runs cannot; shutdown can cancel all that wait."""
    started, release = fifo("started"), fifo("release")
    pool = podtask.Executor(1, local=True)
    runs = pool.submit(own_module.block, str(started), str(release))
    waits = [pool.submit(Path.touch, tmp_path / f"ran{x}") for x in range(3)]
    assert started.read_text() == ""
    assert runs.running()
    assert not runs.cancel()
    assert waits[0].cancel()
    pool.shutdown(wait=False, cancel_futures=True)
    assert wait(waits, SECONDS).not_done == set()
    assert [each.cancelled() for each in waits] == [True] * 3
    release.write_text("released")
    assert runs.result(SECONDS) == "released"
    pool.shutdown()
    assert list(tmp_path.glob("ran*")) == []


@pytest.mark.feature("N22")
def test_call_that_kills_its_worker_is_lost_alone(pool: podtask.Executor, own_module: Any) -> None:
    """The future of a call whose worker has died raises Lost with the reason; later calls run in another worker."""
    lost = pool.submit(own_module.leave, 3).exception(SECONDS)
    assert isinstance(lost, Lost)
    assert "was lost with its worker" in lost.message
    assert "exited with code 3" in lost.message
    assert lost.hint == "Submit it again, or let it run again by itself with retry_on='lost'."
    assert pool.submit(own_module.double, 4).result(SECONDS) == 8


@pytest.mark.feature("N22")
def test_what_cannot_be_sent_is_the_error_of_its_future(pool: podtask.Executor, own_module: Any) -> None:
    """An argument that cannot be pickled, and a coroutine function, fail their own futures; others run."""
    bad = pool.submit(own_module.double, x=threading.Lock())
    error = bad.exception(0)
    assert isinstance(error, InputError)
    assert "argument x of double" in error.message

    async def later() -> None:
        """Do nothing."""

    assert "later is a coroutine function" in str(pool.submit(later).exception(0))
    assert pool.submit(own_module.double, 1).result(SECONDS) == 2


@pytest.mark.feature("N22")
def test_wrong_options_are_refused_at_once() -> None:
    """Unknown options, 65 workers, and options that exclude workers are errors where they are written."""
    with pytest.raises(InputError, match="Unknown option"):
        podtask.Executor(memroy="1Gi")
    with pytest.raises(InputError, match="workers=65 is more than the 64 workers"):
        podtask.Executor(65)
    with pytest.raises(InputError, match="An executor runs on workers"):
        podtask.Executor(session="s")


@pytest.mark.feature("N22")
def test_function_of_the_first_call_is_packed_once(
    pool: podtask.Executor, own_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain arguments of the function that came first are sent without it; another function comes with its call."""
    packed = []
    pack = inputs.pack_inputs

    def count(*args: Any, **more: Any) -> Any:
        packed.append(args[0])
        return pack(*args, **more)

    for module in ("podtask.maps.call_packer", "podtask.lifecycle.prepare"):
        monkeypatch.setattr(f"{module}.pack_inputs", count)
    assert list(pool.map(own_module.double, range(6))) == [0, 2, 4, 6, 8, 10]
    assert len(packed) == 1
    assert pool.submit(abs, -3).result(SECONDS) == 3
    assert len(packed) == 2


@pytest.mark.feature("N22")
def test_functions_bring_the_globals_of_the_notebook(shell: Shell) -> None:
    """Each call finds the notebook's globals that its function reads, as they are when it is submitted."""
    shell.run(
        "import podtask\nfactor = 3\nclass Point:\n    def __init__(self, x): self.x = x\n"
        "def scale(point): return Point(point.x * factor)\n"
        "with podtask.Executor(1, local=True) as pool:\n"
        "    first = pool.submit(scale, Point(2)).result()\n"
        "    other = pool.submit(lambda: factor + 1)\n"
        "    factor = 10\n"
        "    changed = pool.submit(lambda: factor)\n"
        "    found = first.x, type(first) is Point, other.result(), changed.result()\n"
    )
    assert shell["found"] == (6, True, 4, 10)


@pytest.mark.feature("N22")
def test_interrupt_in_the_block_stops_what_runs(own_module: Any, fifo: Callable[[str], Path]) -> None:
    """KeyboardInterrupt in the with block interrupts the call that runs, and cancels the others."""
    started = fifo("started")
    futures = []

    def use() -> None:
        with podtask.Executor(1, local=True) as pool:
            futures.append(pool.submit(own_module.sleep_for_ever, str(started)))
            futures.extend(pool.submit(own_module.double, x) for x in range(5))
            assert started.read_text() == ""
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    runs, *waits = futures
    assert isinstance(runs.exception(0), KeyboardInterrupt)
    assert all(each.cancelled() for each in waits)
    assert [each for each in all_handles() if not each.done()] == []


@pytest.mark.feature("N22")
def test_executor_that_nobody_holds_ends_its_workers(own_module: Any) -> None:
    """Workers end when the executor is gone, and have run what was submitted."""
    before = set(all_handles())
    futures = [podtask.Executor(1, local=True).submit(own_module.double, 1)]
    assert futures[0].result(SECONDS) == 2
    (worker,) = set(all_handles()) - before
    assert worker.wait(SECONDS)


@pytest.mark.feature("N22")
def test_exit_ends_the_workers(own_module: Any) -> None:
    """A program that ends without shutdown leaves no worker."""
    folder = str(Path(own_module.__file__).parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])}
    ran = subprocess.run(
        [sys.executable, "-c", EXIT], env=env, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(ran.stdout), 0)
