"""The handle as a future: waiting, cancelling, and results that cannot come back."""

from __future__ import annotations

import asyncio
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, as_completed, wait
from typing import Any

import podtask
import pytest
from podtask.errors import InputError, TaskError

LOCAL = podtask.RunOptions.of(local=True)
LARGE = "class Large:\n    def __init__(self): self.data = bytes((64 << 20) + 1)\nLarge()"
FOREVER = "import signal\nsignal.pause()"


OWN_MODULE = '''
import podtask

@podtask.task(local=True)
def large(size: int) -> bytes:
    """Return a value that is too large to be sent without a request."""
    return bytes(size)

@podtask.task(local=True)
def counting(last: int):
    """Return a value that cannot be pickled."""
    return (number for number in range(last))

@podtask.task(local=True)
def nothing() -> None:
    """Return None."""
'''


@pytest.mark.feature("P02")
def test_wait_for_futures_accepts_handles() -> None:
    """as_completed and wait accept handles among other futures, before and after the end."""
    tasks = [podtask.submit(f"{number}", options=LOCAL) for number in range(3)]
    assert isinstance(tasks[0], Future)
    assert sorted(task.result() for task in as_completed(tasks, timeout=30)) == [0, 1, 2]
    waits = podtask.submit(FOREVER, options=LOCAL)
    done, others = wait([*tasks, waits], return_when=FIRST_COMPLETED)
    assert (done, others) == (set(tasks), {waits})
    assert waits.cancel()
    assert wait([waits], timeout=30).done == {waits}


@pytest.mark.feature("P02")
def test_cancelled_waiting_does_not_end_the_task() -> None:
    """A coroutine that stops awaiting does not end the task; awaiting a cancelled task raises CancelledError."""
    task = podtask.submit(FOREVER, options=LOCAL)

    async def impatient() -> None:
        await asyncio.wait_for(task, 0.01)

    async def patient() -> None:
        await task

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(impatient())
    assert not task.done()
    assert task.cancel()
    with pytest.raises(CancelledError, match="stopped; process"):
        asyncio.run(patient())


def test_cancel_returns_whether_it_ended_the_task() -> None:
    """cancel() returns True for a running task, even if repeated, and False for a finished one."""
    task, over = podtask.submit(FOREVER, options=LOCAL), podtask.submit("7", options=LOCAL)
    assert over.result(30) == 7
    assert [task.cancel(), task.cancel(), over.cancel()] == [True, True, False]
    assert over.result() == 7


@pytest.mark.feature("P02")
def test_result_of_a_call_has_no_limit(own_module: Any) -> None:
    """A function's return value comes back from every kind of call, beyond the size limit of a cell's last value."""
    large, size = own_module.large, (64 << 20) + 1
    assert len(large(size)) == size
    assert len(large.submit(size).result()) == size
    assert [len(each) for each in large.map([size])] == [size]


def test_result_that_cannot_be_pickled_is_an_error(own_module: Any) -> None:
    """A return value that cannot be pickled is an error that explains what, why and what to do."""
    told = r"The return value of counting \(generator\) was not returned: .*cannot pickle"
    counting = own_module.counting
    task = counting.submit(3)
    for ask in (lambda: counting(3), task.result, lambda: counting.map([1, 2])):
        with pytest.raises(TaskError, match=told) as caught:
            ask()
        assert "list(...) of a generator" in caught.value.hint
    assert isinstance(task.exception(), TaskError)
    assert str(task.error) == str(task.exception())
    (error,) = counting.map([1], return_exceptions=True)
    assert isinstance(error, TaskError)


@pytest.mark.parametrize(
    ("source", "told", "do"),
    [
        (LARGE, r"\(Large\) was not returned: over 64 MiB", "-o"),
        ("(n for n in [])", r"\(generator\) was not returned: TypeError", "picklable value"),
    ],
    ids=["large", "generator"],
)
def test_last_value_of_a_text_that_stayed_is_an_error(source: str, told: str, do: str) -> None:
    """result() of a source text raises an error if the last value was not returned; the status is ok."""
    task = podtask.submit(source, options=LOCAL)
    with pytest.raises(TaskError, match=told) as caught:
        task.result()
    assert do in caught.value.hint
    assert task.status == "ok"
    assert task.assign({}) == []


def test_result_that_cannot_be_decoded_is_an_error() -> None:
    """If the class of a value exists only in the pod, the error names it, and task.raw has the bytes."""
    task = podtask.submit(
        "import sys, types\nmodule = sys.modules['far'] = types.ModuleType('far')\n"
        "exec('class Thing: pass', module.__dict__)\nmodule.Thing()",
        options=LOCAL,
    )
    with pytest.raises(TaskError, match=r"\(Thing\) was not returned: .*No module named 'far'") as caught:
        task.result()
    assert "load()" in caught.value.hint
    assert task.raw is not None


def test_none_stays_none(own_module: Any) -> None:
    """A function without a return value and a source text without a last expression return None."""
    assert own_module.nothing.submit().result() is None
    assert podtask.submit("x = 1", options=LOCAL).result() is None


def test_handle_cannot_be_sent(own_module: Any) -> None:
    """A cell that reads a handle or a list of handles is rejected with a hint to call result()."""
    task = own_module.nothing.submit()
    for given, place in (([task], ": [0]"), (task, "")):
        with pytest.raises(InputError) as caught:
            own_module.large(given)
        assert caught.value.message == (
            f"The 1st argument of large{place} (Task) cannot be sent: "
            "the handle of a task can only be used in the notebook."
        )
        assert caught.value.hint == "Call result() in the notebook and use its value in the cell."
