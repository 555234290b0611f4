"""Maps on local workers: results in order, errors as values, lost workers, stop, cut connections."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask.backends.local import SocketStream
from podtask.errors import InputError, Lost
from podtask.lifecycle.prepare import PreparedCell
from podtask.lifecycle.task import all_handles
from podtask.maps.progress import ItemState
from podtask.runner.bundle import MINOR
from podtask.runner.plain_items import MAX_ELEMENTS

from tests.notebook import Kernel, Shell

OWN_MODULE = '''
import os
import signal
import podtask

class Box:
    """A class that the items and the function share."""

    def __init__(self, value):
        self.value = value

@podtask.task(local=True)
def double(x):
    """Double a number; fail for some, and say so."""
    print("doubling", x)
    if x % 10 == 7:
        raise ValueError(f"{x} ends with 7")
    return 2 * x

@podtask.task(local=True)
def die(x, victim):
    """End the whole process for one item."""
    if x == victim:
        os._exit(3)
    return x

@podtask.task(local=True)
def die_once(x, victim, mark):
    """End the process for one item, at its first run."""
    if x == victim and not os.path.exists(mark):
        open(mark, "w").close()
        os._exit(3)
    return x

@podtask.task(local=True)
def note(x, path):
    """Append a line to a file, and return more than one frame holds."""
    with open(path, "a") as file:
        file.write(f"{x}\\n")
    return bytes([x % 256]) * (700 << 10)

@podtask.task(local=True)
def unbox(box):
    """Return what a box holds, in a box."""
    return isinstance(box, Box), os.getpid(), Box(box.value + 1)

@podtask.task(local=True)
async def later(x):
    """Return a number, in a coroutine."""
    return x

@podtask.task(local=True)
def pause(x, fifo):
    """Say that it runs, then wait for a signal."""
    if x:
        return x
    open(fifo, "w").close()  # once the test reads it
    signal.pause()

@podtask.task(local=True)
def stop_self(x):
    """End the item with SystemExit, or the process that runs it with a question."""
    if x == 1:
        raise SystemExit(4)
    if x == 2:
        return input("name? ")
    return x
'''
SECONDS = 60
WAITING, RUNNING, SUCCEEDED, FAILED, LOST, STOPPED = ItemState


@pytest.mark.feature("N10")
def test_results_are_in_order_and_errors_are_values(own_module: Any) -> None:
    """A map on few workers gives each result at the place of its item; an error takes the place of its value."""
    task = own_module.double.submit_map(range(40), workers=3)
    results = task.results(SECONDS)
    errors = {index: results[index] for index in (7, 17, 27, 37)}
    assert [each for index, each in enumerate(results) if index not in errors] == [
        2 * x for x in range(40) if x not in errors
    ]
    assert {index: str(error) for index, error in errors.items()} == {
        index: f"{index} ends with 7" for index in errors
    }
    assert task.failed == errors
    assert all("in a process on this machine" in error.__notes__ for error in errors.values())
    assert repr(task) == "<Map: 40 of 40 done, 4 failed>"
    assert task.done()


@pytest.mark.feature("N10")
def test_one_worker_runs_many_items(own_module: Any) -> None:
    """Workers stay between items, the classes of the items are those of the function, and of the notebook."""
    found = own_module.unbox.submit_map([own_module.Box(n) for n in range(12)], workers=2).results(SECONDS)
    assert [same for same, _, _ in found] == [True] * 12
    assert len({pid for _, pid, _ in found}) <= 2
    assert os.getpid() not in {pid for _, pid, _ in found}
    assert [type(box) is own_module.Box and box.value for _, _, box in found] == list(range(1, 13))


@pytest.mark.feature("N10")
def test_logs_belong_to_their_items(own_module: Any) -> None:
    """logs(i) is what item i has printed, with the outputs of others left out."""
    task = own_module.double.submit_map(range(9), workers=2)
    task.results(SECONDS)
    assert [task.logs(index) for index in range(9)] == [f"doubling {index}\n" for index in range(9)]
    with pytest.raises(InputError, match="The map has no item 9"):
        task.logs(9)


@pytest.mark.feature("N10")
def test_as_completed_yields_each_item_once(own_module: Any) -> None:
    """as_completed() yields (index, value) of every item, errors included."""
    found = dict(own_module.double.submit_map(range(8), workers=2).as_completed())
    assert isinstance(found.pop(7), ValueError)
    assert found == {x: 2 * x for x in range(7)}


@pytest.mark.feature("N10")
def test_first_error_ends_the_rest(own_module: Any, tmp_path: Path) -> None:
    """By default map raises the first error, and no worker is left."""
    with pytest.raises(ValueError, match="7 ends with 7"):
        own_module.double.map(range(5, 1000), workers=2)
    assert [task for task in all_handles() if not task.done()] == []


@pytest.mark.feature("N10")
@pytest.mark.fault(137)
def test_item_that_kills_its_worker_is_lost_alone(own_module: Any) -> None:
    """The item that ends its process is Lost with the reason; those that waited in the worker run in another one."""
    task = own_module.die.submit_map(range(12), [5] * 12, workers=2)
    results = task.results(SECONDS)
    assert [index for index, state in enumerate(task.progress.states) if state != SUCCEEDED] == [5]
    assert task.progress.states[5] == LOST
    lost = results.pop(5)
    assert isinstance(lost, Lost)
    assert "Item 5 was lost with its worker" in lost.message
    assert "exited with code 3" in lost.message
    assert "retry_on='lost'" in lost.hint
    assert results == [x for x in range(12) if x != 5]


@pytest.mark.feature("N10")
@pytest.mark.fault(138)
def test_lost_item_runs_again_only_on_request(own_module: Any, tmp_path: Path) -> None:
    """With retry_on="lost" an item runs again; one that kills each of its workers is given up."""
    mark = str(tmp_path / "died")
    again = own_module.die_once.with_options(retry_on="lost")
    assert again.submit_map(range(6), [3] * 6, [mark] * 6, workers=2).results(SECONDS) == list(range(6))
    hopeless = own_module.die.with_options(retry_on="lost")
    results = hopeless.submit_map(range(4), [2] * 4, workers=2).results(SECONDS)
    assert [results[0], results[1], results[3]] == [0, 1, 3]
    assert "It has been lost 3 times." in results[2].message


@pytest.mark.feature("N10")
def test_retry_runs_only_what_has_failed(own_module: Any, tmp_path: Path) -> None:
    """retry() runs the failed items again, in new workers, and keeps all other results."""
    mark = str(tmp_path / "died")
    task = own_module.die_once.submit_map(range(6), [3] * 6, [mark] * 6, workers=2)
    assert isinstance(task.results(SECONDS)[3], Lost)
    assert task.retry() is task
    assert task.results(SECONDS) == list(range(6))
    assert task.failed == {}
    assert list(task.progress.states) == [SUCCEEDED] * 6


@pytest.mark.feature("N10")
def test_retry_while_results_are_read_skips_none(own_module: Any, tmp_path: Path) -> None:
    """as_completed() yields every item, and again the one that is run again meanwhile."""
    mark = str(tmp_path / "died")
    task = own_module.die_once.submit_map(range(4), [1] * 4, [mark] * 4, workers=1)
    yielded = []
    for index, value in task.as_completed():
        yielded.append((index, isinstance(value, Lost)))
        if isinstance(value, Lost):
            task.retry()
    assert sorted(yielded) == [(0, False), (1, False), (1, True), (2, False), (3, False)]


@pytest.mark.feature("N10")
@pytest.mark.fault(139)
def test_cut_connections_lose_nothing_and_repeat_nothing(
    own_module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each connection cut after a few reads, every item runs once and every result comes once, whole."""
    receive = SocketStream.receive
    reads = Counter[int]()

    async def receive_a_little(stream: SocketStream) -> bytes:
        reads[id(stream)] += 1
        if reads[id(stream)] > 6:
            await stream.close()
            del reads[id(stream)]
            raise ConnectionResetError("cut by the test")
        return await receive(stream)

    monkeypatch.setattr(SocketStream, "receive", receive_a_little)
    path = tmp_path / "ran"
    task = own_module.note.submit_map(range(30), [str(path)] * 30, workers=2)
    results = task.results(SECONDS)
    assert results == [bytes([x]) * (700 << 10) for x in range(30)]
    assert Counter(path.read_text().split()) == Counter(map(str, range(30)))


@pytest.mark.feature("N10")
@pytest.mark.fault(140)
def test_large_items_and_results_arrive_whole(own_module: Any) -> None:
    """Items and results of several frames, and arrays that are sent as buffers, arrive as they were."""
    numpy = pytest.importorskip("numpy")
    arrays = [numpy.full(300_000, n) for n in range(4)]
    found = own_module.double.__wrapped__
    same = podtask.task(local=True)(_returned)
    assert found(1) == 2
    for array, back in zip(arrays, same.submit_map(arrays, workers=2).results(SECONDS), strict=True):
        assert (array == back).all()
        assert back.flags.writeable
    many = [list(range(MAX_ELEMENTS + 1))] * 3
    assert same.submit_map(many, workers=1).results(SECONDS) == many


def _returned(value: Any) -> Any:
    return value


def test_coroutines_questions_and_exits(own_module: Any) -> None:
    """An async function is awaited, SystemExit is the error of its item, and input() gets no answer."""
    assert own_module.later.submit_map(range(3), workers=1).results(SECONDS) == [0, 1, 2]
    zero, left, asked, three = own_module.stop_self.submit_map(range(4), workers=1).results(SECONDS)
    assert (zero, three) == (0, 3)
    assert isinstance(left, SystemExit)
    assert isinstance(asked, EOFError)


@pytest.mark.feature("N10")
@pytest.mark.fault(141)
def test_stop_keeps_what_is_done(own_module: Any, tmp_path: Path) -> None:
    """interrupt() raises KeyboardInterrupt in the items that run, runs no others, and ends all workers."""
    fifo = tmp_path / "runs"
    os.mkfifo(fifo)
    task = own_module.pause.submit_map([5, 0, 0, 0], [str(fifo)] * 4, workers=1)
    for index, value in task.as_completed():
        assert (index, value) == (0, 5)
        break
    assert fifo.read_text() == ""  # the item runs
    assert list(task.progress.states) == [SUCCEEDED, RUNNING, WAITING, WAITING]
    task.interrupt()
    first, stopped, *never = task.results(SECONDS)
    assert list(task.progress.states) == [SUCCEEDED, FAILED, STOPPED, STOPPED]
    assert first == 5
    assert isinstance(stopped, KeyboardInterrupt)
    assert all(isinstance(each, CancelledError) for each in never)
    assert task.progress.stopped == 2
    assert [each for each in all_handles() if not each.done()] == []


@pytest.mark.feature("N10")
@pytest.mark.fault(142)
def test_more_than_64_workers_are_refused(own_module: Any) -> None:
    """65 workers are refused, with the way out; the old name of the option has the same bounds."""
    with pytest.raises(InputError, match="workers=65 is more than the 64 workers") as caught:
        own_module.double.map(range(3), workers=65)
    assert "Dask or Ray" in caught.value.hint
    with pytest.raises(InputError, match="max_parallel=65 is more than"):
        own_module.double.map(range(3), max_parallel=65)
    assert own_module.double.submit_map([], workers=64).results(SECONDS) == []


@pytest.mark.feature("N10")
def test_function_is_packed_once(own_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function and what it needs are packed once, however many items and workers there are."""
    packed = []
    pack = PreparedCell.pack

    def count(cell: PreparedCell, python: str) -> Any:
        packed.append(python)
        return pack(cell, python)

    monkeypatch.setattr(PreparedCell, "pack", count)
    own_module.double.map(range(6), workers=3)
    assert packed == [MINOR]


def test_functions_among_the_items_bring_their_globals(shell: Shell) -> None:
    """A function that is an item finds the notebook's globals that it reads, and its classes."""
    shell.run(
        "import podtask\nfactor = 3\nclass Point:\n    def __init__(self, x): self.x = x\n"
        "def scale(x): return x * factor\n"
        "@podtask.task(local=True)\ndef apply(f, point): return f(point.x), point\n"
        "values = apply.map([scale, lambda x: scale(x) + 1], [Point(1), Point(2)])\n"
        "found = [value for value, _ in values], [type(point) is Point for _, point in values]\n"
    )
    assert shell["found"] == ([3, 7], [True, True])


def test_failures_are_grouped(kernel: Kernel) -> None:
    """Below the line and the bar, failures of one kind and line are one line, which unfolds the first error."""
    kernel.run(
        "import podtask\n@podtask.task(local=True)\ndef check(x):\n    if x % 2:\n        raise ValueError(f'{x} is odd')\n"
        "    return 1 / (x - 4)\n"
    )
    ran = kernel.run("found = check.map(range(8), workers=2, return_exceptions=True)")
    line, bar, *groups = ran.lines[-1].splitlines()
    assert bar.endswith("] 3 succeeded, 5 failed")
    assert line.startswith("✗ 8 of 8 done · 5 failed · ")
    assert groups == [
        "ValueError: 1 is odd · line 5 · 4 items: 1, 3, 5, 7",
        "ZeroDivisionError: division by zero · line 6 · item 4",
    ]


LISTS = "paths = ['ab', 'c', '']\nscale = 10\nwidths = [1, 2]\n"


@pytest.mark.feature("N10")
def test_cell_runs_for_each_value(shell: Shell) -> None:
    """The mapped name is bound, what the cell reads is sent, and -o becomes the list; _task is the handle."""
    shell.run(LISTS)
    shell.run("%%podtask --local --map path=paths --workers 2 -o score\nscore = len(path) * scale")
    assert shell["score"] == [20, 10, 0]
    assert len(shell["_task"]) == 3
    with pytest.raises(KeyError):
        shell["path"]


@pytest.mark.feature("N10")
def test_cells_in_step_and_in_a_grid(shell: Shell) -> None:
    """Several lists are taken in step; with --grid the last one runs fastest; two outputs are two lists."""
    shell.run(f"{LISTS}steps = [1, 2, 3]")
    shell.run("%%podtask --local --map path=paths --map n=steps --workers 1 -o a,b\na = path * n\nb = -n")
    assert (shell["a"], shell["b"]) == (["ab", "cc", ""], [-1, -2, -3])
    shell.run("%%podtask --local --map path=paths --map w=widths --grid --workers 1 -o both\nboth = path, w")
    assert shell["both"] == [("ab", 1), ("ab", 2), ("c", 1), ("c", 2), ("", 1), ("", 2)]


@pytest.mark.feature("N10")
@pytest.mark.fault(145)
def test_error_of_an_item_is_its_value(shell: Shell) -> None:
    """An error takes the place of its value, and a value of the item before never does; --first-error raises it."""
    shell.run(f"{LISTS}zeros = [1, 0, 2]")
    cell = "if n != 2:\n    score = 1 / n\n"
    shell.run(f"%%podtask --local --map n=zeros --workers 1 -o score\n{cell}")
    first, second, third = shell["score"]
    assert first == 1
    assert isinstance(second, ZeroDivisionError)
    assert isinstance(third, NameError)
    shown = shell.shown_error(f"%%podtask --local --map n=zeros --workers 1 --first-error -o score\n{cell}")
    assert "ZeroDivisionError" in shown
    assert "score = 1 / n" in shown
    assert "podtask/" not in shown


@pytest.mark.feature("N10")
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--map x=missing", "--map x=missing: the notebook has no variable missing."),
        ("--map x=scale", "--map x=scale: scale (int) has no items."),
        ("--map x=paths --map w=widths", "The lists of --map have different lengths: paths 3, widths 2."),
        ("--map x", "x= is not NAME=LIST."),
        ("--map x=paths --map x=widths", "x is given twice."),
        ("--map x=paths --workers 65", "--workers=65 is more than the 64 workers"),
        ("--map x=paths -d", "--map runs the cell in workers"),
        ("--grid", "%%podtask: --grid goes with --map."),
    ],
)
def test_wrong_maps_are_refused(shell: Shell, flags: str, message: str) -> None:
    """A map that cannot run is refused in one or two lines, and nothing is sent."""
    before = all_handles()
    shell.run(LISTS)
    assert message in shell.shown_error(f"%%podtask --local {flags}\nx")
    assert [task for task in all_handles() if task not in before] == []
