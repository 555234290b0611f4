"""Function calls: wrong arguments, and errors in terms of the call."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import podtask
import pytest
from podtask.errors import InputError
from podtask.pickling.function_call import FunctionCall

LOCK = threading.Lock()


@podtask.task(local=True)
def add(a: Any, b: Any = 1, *more: Any, key: Any = None) -> Any:
    """Add."""
    return a + b


@podtask.task(local=True)
def pair(a: int, b: int) -> int:
    """Add."""
    return a + b


@podtask.task(local=True)
def guarded() -> bool:
    """Read a global that cannot be sent."""
    return LOCK.locked()


@pytest.fixture
def no_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a call would start a task."""

    def refuse(*args: object, **more: object) -> None:
        raise AssertionError("a task was started")

    monkeypatch.setattr("podtask.api.submit.Task", refuse)


@pytest.mark.usefixtures("no_pod")
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: pair(1), "missing a required argument: 'b'"),  # type: ignore[call-arg]
        (lambda: pair.submit(1, 2, 3), "too many positional arguments"),  # type: ignore[call-arg]
        (lambda: pair(1, c=2), "missing a required argument: 'b'"),  # type: ignore[call-arg]
        (lambda: pair.map([1, 2], [3, 4], [5, 6]), "too many positional arguments"),
        (lambda: podtask.run(pair.__wrapped__, 1), "missing a required argument: 'b'"),
    ],
    ids=["missing", "many", "unknown", "map", "run"],
)
def test_wrong_arguments_start_nothing(call: Callable[[], Any], says: str) -> None:
    """Wrong arguments are refused before anything is sent."""
    with pytest.raises(InputError, match=says) as caught:
        call()
    assert str(caught.value).startswith("Wrong arguments for pair: ")
    assert caught.value.hint == "Its signature is pair(a, b)."


def injected(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function its first argument."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function("given", *args, **kwargs)

    return call


def test_arguments_are_those_of_the_decorator() -> None:
    """The signature of a decorated function is that of its wrapper; default values are not printed."""

    class Silent:
        def __repr__(self) -> str:
            raise LookupError("no text")

    silent = Silent()

    def plain(value: Any, more: Any = silent) -> Any:
        return value, more

    FunctionCall(injected(plain), (), {}).check()
    with pytest.raises(InputError) as caught:
        FunctionCall(plain, (), {}).check()
    assert caught.value.hint == "Its signature is plain(value, more=...)."


OWN_MODULE = """
import podtask

@podtask.task(local=True, max_input="1Mi")
def size(data):
    return len(data)
"""


def test_arguments_that_are_too_large_are_called_so(own_module: Any) -> None:
    """The error for inputs over the limit refers to the arguments of the function."""
    with pytest.raises(InputError, match=r"over the limit of 1 MiB: arguments of size \(tuple, 2 MiB\)"):
        own_module.size(bytes(2 << 20))


def test_arguments_without_a_signature_are_not_checked() -> None:
    """The arguments of a function without a signature, such as some C functions, are not checked."""
    FunctionCall(max, (1, 2), {}).check()
    FunctionCall(dict.fromkeys, ("ab",), {}).check()


@pytest.mark.usefixtures("no_pod")
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: add(LOCK), "The 1st argument of add (lock)"),
        (lambda: add(1, LOCK), "The 2nd argument of add (lock)"),
        (lambda: add(1, 2, *[3] * 8, LOCK), "The 11th argument of add (lock)"),
        (lambda: add({"a b": [LOCK]}), "The 1st argument of add: ['a b'][0] (lock)"),
        (lambda: add(1, key=LOCK), "The argument key of add (lock)"),
        (lambda: podtask.run(dict, **{"k" * 60: LOCK}), f"The argument {'k' * 36} of dict (lock)"),
        (guarded, "LOCK (lock, read by guarded)"),
    ],
    ids=["first", "second", "eleventh", "inside", "by name", "by a long name", "global"],
)
def test_unpicklable_argument_is_named(
    call: Callable[[], Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names an argument by position or keyword, and a global with the function that reads it."""
    monkeypatch.setattr(guarded.__wrapped__, "__module__", "__main__")
    monkeypatch.setattr(add.__wrapped__, "__module__", "__main__")
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.message.startswith(f"{says} cannot be sent: "), caught.value.message
    assert caught.value.hint == "Create it inside the function, or pass only what the function needs."
