"""``@podtask.task`` and task handles: call, submit, local, map, futures, await."""

from __future__ import annotations

import asyncio
import inspect
import queue
import traceback
from concurrent.futures import CancelledError
from typing import Any

import podtask
import pytest
from podtask.errors import InputError, TaskTimeout

from tests.notebook import Kernel, Shell

SETUP = """
import podtask
scale = 10
@podtask.task(local=True)
def times(x, by=2):
    print("in", x)
    return x * by * scale
@podtask.task(local=True)
def twice(x):
    return times(x) + times(x)
"""


OWN_MODULE = '''
import asyncio
import podtask

@podtask.task(local=True)
def square(x: int) -> int:
    """Square a number."""
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x * x

@podtask.task(local=True)
async def later(x: int) -> int:
    """Add one, after other coroutines have run."""
    await asyncio.sleep(0)
    return x + 1
'''


@pytest.fixture
def square(own_module: Any) -> Any:
    """Return the task that squares a number."""
    return own_module.square


@pytest.mark.feature("P01", "A35", "B24")
def test_call_runs_in_another_process_and_returns(shell: Shell) -> None:
    """A call takes positional, keyword and default arguments, shows output and sees globals."""
    shell.run(SETUP)
    out, _ = shell.output("a = times(3); b = times(3, by=None or 5)")
    assert (shell["a"], shell["b"]) == (60, 150)
    assert out == "in 3\nin 3\n"
    out, _ = shell.output("c = times.local(1)")
    assert (shell["c"], out) == (20, "in 1\n")


@pytest.mark.feature("A34")
def test_nested_call_runs_in_the_same_place(shell: Shell) -> None:
    """A task that calls another task runs it in its own pod."""
    shell.run(SETUP)
    out, _ = shell.output("d = twice(1)")
    assert (shell["d"], out) == (40, "in 1\nin 1\n")


NESTED = """
@podtask.task(local=True)
def outer(x):
    return times.local(x), times.map([x, 2]), submitted(x)
def submitted(x):
    try:
        times.submit(x)
    except RuntimeError as error:
        return str(error).splitlines()
"""


def test_other_task_has_its_methods_in_the_pod(shell: Shell) -> None:
    """Inside a task, local and map of another task run in the same pod; submit raises an error."""
    shell.run(SETUP)
    shell.output(NESTED + "e = outer(1)")
    local, mapped, said = shell["e"]
    assert (local, mapped) == (20, [20, 40])
    assert said[0] == "times.submit works only in the notebook: a pod cannot start other pods."
    assert "times(...), times.map(...) or times.local(...)" in said[1]
    assert vars(shell["times"].__wrapped__) == {}


def test_task_may_be_a_method(shell: Shell) -> None:
    """A method can be called, submitted, mapped and run locally on its object."""
    shell.run(
        "import podtask\n"
        "class Scale:\n    def __init__(self, by): self.by = by\n"
        "    @podtask.task(local=True)\n    def times(self, x): return self.by * x\n"
        "    @podtask.task(local=True)\n    def more(self, x): return self.times(x) + 1\n"
        "s = Scale(3)"
    )
    shell.output("a = s.times(2), s.more(2), s.more.submit(3).result(), s.times.map([1, 2])")
    assert shell["a"] == (6, 7, 10, [3, 6])
    assert shell.run("s.more.local(1)") == 4
    assert shell.run("Scale.times").__wrapped__ is shell.run("vars(Scale)['times'].__wrapped__")


@pytest.mark.feature("A33")
def test_coroutine_function_is_awaited_in_the_pod(own_module: Any) -> None:
    """A call of an ``async def`` task returns its result, also in map."""
    assert own_module.later(4) == 5
    assert own_module.later.map([1, 2]) == [2, 3]


def test_decorated_function_keeps_its_metadata(square: Any) -> None:
    """Name, docstring and signature are those of the function."""
    assert inspect.signature(square) == inspect.signature(square.__wrapped__)
    assert square.__doc__ == "Square a number."
    assert repr(square) == "<podtask.task square>"


@pytest.mark.feature("P02", "P05")
def test_handle_is_shaped_as_a_future(square: Any) -> None:
    """A handle has result, exception, done and callbacks; an error is raised as itself."""
    told: queue.SimpleQueue[podtask.Task] = queue.SimpleQueue()
    good, bad = square.submit(4), square.submit(-1)
    good.add_done_callback(told.put)
    assert good.result(30) == 16
    assert told.get(timeout=30) is good
    assert (good.done(), good.running(), good.cancelled(), good.exception()) == (
        True,
        False,
        False,
        None,
    )
    assert isinstance(bad.exception(30), ValueError)
    with pytest.raises(ValueError, match="-1 is negative"):
        bad.result()


def test_error_of_a_call_has_the_functions_frames_only(square: Any) -> None:
    """The traceback has no frame of the code that calls the function in the pod."""
    error = square.submit(-1).exception(30)
    assert error is not None
    assert [step.name for step in traceback.extract_tb(error.__traceback__)] == ["square"]


@pytest.mark.feature("P02")
def test_handle_can_be_awaited(square: Any) -> None:
    """Several handles can be awaited in one coroutine."""

    async def scene() -> list[int]:
        return list(await asyncio.gather(square.submit(2), square.submit(3)))

    assert asyncio.run(scene()) == [4, 9]


@pytest.mark.feature("P02")
def test_waiting_has_a_limit_and_cancelling_an_end() -> None:
    """Waiting for a result raises TaskTimeout in time; the task continues until it is cancelled."""
    task = podtask.submit("import time; time.sleep(600)", options=podtask.RunOptions.of(local=True))
    with pytest.raises(TaskTimeout):
        task.result(0.1)
    with pytest.raises(TimeoutError):
        task.exception(0.1)
    assert task.cancel()
    assert task.cancelled()
    for ask in (task.result, task.exception):
        with pytest.raises(CancelledError, match="stopped; process"):
            ask()
    assert isinstance(task.error, CancelledError)


@pytest.mark.feature("P01")
def test_map_gives_results_in_order(square: Any) -> None:
    """Map returns results in order, also with more calls than may run at the same time."""
    assert square.map(range(5), max_parallel=2) == [0, 1, 4, 9, 16]
    assert square.map([]) == []


@pytest.mark.feature("P01")
def test_map_ends_with_the_first_error_or_returns_them(square: Any) -> None:
    """The error of a call is raised, or takes the place of its result."""
    with pytest.raises(ValueError, match="-2 is negative"):
        square.map([1, -2, 3], max_parallel=1)
    first, second, third = square.map([1, -2, 3], return_exceptions=True)
    assert (first, third) == (1, 9)
    assert isinstance(second, ValueError)


def test_map_shows_its_progress(kernel: Kernel) -> None:
    """In a notebook, a line says how many calls have ended, and a bar shows their states."""
    kernel.run(SETUP)
    ran = kernel.run("times.map([1, 2, 3])")
    assert ran.result is not None
    assert ran.result["text/plain"] == "[20, 40, 60]"
    line, bar = ran.lines[-1].splitlines()
    assert line.startswith("✓ 3 of 3 done · ")
    assert bar.endswith("] 3 succeeded")


def test_options_are_checked_at_the_decorator(square: Any) -> None:
    """A wrong option is an error at the decorator; with_options leaves the original alone."""
    with pytest.raises(InputError, match="--memory"):
        podtask.task(memory="lots")
    with pytest.raises(InputError, match="Unknown option 'memry'"):
        square.with_options(memry="1Gi")
    wrong: Any
    for wrong in (0, "x", 1.5):
        with pytest.raises(InputError, match=f"max_parallel={wrong!r} is not a positive whole number"):
            square.map([1], max_parallel=wrong)
    with pytest.raises(InputError, match="Expected a pod template, got int"):
        podtask.task(3)
    with pytest.raises(InputError, match="Expected a pod template, got int"):
        square.with_options(template=3)
    timed = square.with_options(timeout="5s")
    assert timed(3) == 9
    assert square(3) == 9
