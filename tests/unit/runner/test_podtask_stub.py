"""``podtask`` in a pod: wait_for, and tasks as plain functions."""

from __future__ import annotations

import socket
import threading
from typing import Any

import podtask
import pytest
from podtask.runner import podtask_stub


def test_wait_ends_when_something_listens() -> None:
    """wait_for returns at once if the port is open, in every form of the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        podtask_stub.wait_for(f"localhost:{port}", timeout=30)
        podtask_stub.wait_for(f"127.0.0.1:{port}")


@pytest.mark.feature("A20")
def test_wait_lasts_until_something_listens() -> None:
    """wait_for retries while connections are refused."""
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        port = late.getsockname()[1]
        opener = threading.Timer(0.1, late.listen)
        opener.start()
        podtask_stub.wait_for(f"127.0.0.1:{port}")
        opener.join()


def test_wait_that_times_out_has_a_hint() -> None:
    """After the timeout, the error has two lines: address, time and last error, then a hint."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TimeoutError) as raised:
        podtask_stub.wait_for(f"127.0.0.1:{port}", timeout=0.05)
    first, second = str(raised.value).splitlines()
    assert f"127.0.0.1:{port} after 0.05 s" in first
    assert "refused" in first
    assert "task.logs" in second


@pytest.mark.parametrize("address", ["localhost", "5432", "localhost:", "localhost:0", "a:b", ":80"])
def test_address_without_a_port_is_refused(address: str) -> None:
    """An invalid address is an immediate error that shows the correct form."""
    with pytest.raises(ValueError, match="host:port"):
        podtask_stub.wait_for(address)


def test_task_gives_the_function_back() -> None:
    """A decorated function, with or without options, is the function itself with its methods."""

    def double(x: int) -> int:
        return 2 * x

    ways: list[Any] = [podtask_stub.task(double), podtask_stub.task({"containers": []}, cpu="2")(double)]
    for made in ways:
        assert made.local(4) == 8
        assert made.map([1, 2], max_parallel=2) == [2, 4]
        with pytest.raises(RuntimeError, match=r"double\.submit works only in the notebook"):
            made.submit(4)
        assert made is double


def test_map_in_a_pod_gives_errors_as_the_notebooks_does() -> None:
    """The first error ends the map, or takes the place of the result."""

    @podtask_stub.task
    def half(x: int) -> float:
        return 1 / x

    with pytest.raises(ZeroDivisionError):
        half.map([0, 1])
    one, error = half.map([1, 0], return_exceptions=True)
    assert one == 1.0
    assert isinstance(error, ZeroDivisionError)


def test_other_names_work_only_in_the_notebook() -> None:
    """The error for any other name of podtask states that it works only in the notebook."""
    made: Any = podtask_stub
    with pytest.raises(AttributeError, match=r"podtask\.submit works only in the notebook"):
        made.submit  # noqa: B018 -- the access is the test


def test_one_function_on_both_sides() -> None:
    """The notebook's wait_for and task are pickled under names that exist in the pod."""
    assert podtask.wait_for is podtask_stub.wait_for
    assert podtask.wait_for.__module__ == "podtask"
    assert podtask.task.__module__ == "podtask"
