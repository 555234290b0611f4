"""Stop a cell before its pod exists, and a cell that does not stop."""

from __future__ import annotations

import re
import socket
from concurrent.futures import CancelledError

import podtask
import pytest

from tests.notebook import Kernel


@pytest.mark.feature("S05")
@pytest.mark.parametrize("way", ["interrupt", "cancel"])
def test_cell_is_stopped_while_the_api_server_is_silent(
    silent_cluster: socket.socket, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A server that accepts the connection and never answers does not block the stop button."""
    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    task = podtask.submit("1", options=podtask.RunOptions())
    connection, _ = silent_cluster.accept()
    with connection:
        getattr(task, way)()
        assert task.wait(20)
    assert task.cancelled()
    with pytest.raises(KeyboardInterrupt if way == "interrupt" else CancelledError):
        task.result()


@pytest.mark.parametrize(
    "cell",
    [
        "while True:\n    try:\n        print('up')\n        signal.pause()\n"
        "    except KeyboardInterrupt:\n        print('again')",
        "try:\n    print('up')\n    signal.pause()\nexcept KeyboardInterrupt:\n    print('again')\n    signal.pause()\n",
        "signal.signal(signal.SIGINT, lambda *_: print('again'))\nprint('up')\n"
        "while True:\n    signal.pause()",
    ],
    ids=["caught again and again", "slow clean-up", "another handler"],
)
def test_second_stop_shows_no_frames(kernel: Kernel, cell: str) -> None:
    """J4: the error of a second stop is one line: no frames of podtask, and of no pod with --local."""
    kernel.start(f"%%podtask --local --grace 1m\nimport signal\n{cell}")
    kernel.until("up\n")
    kernel.interrupt()
    kernel.until("again\n")
    kernel.interrupt()
    ran = kernel.finish(30)
    assert ran.error is not None
    assert ran.error[0] == "KeyboardInterrupt"
    assert re.fullmatch(r"stopped; process podtask-\w+ was ended\.", ran.error[1])
    assert "follow.py" not in ran.error[2]
    assert "pod " not in ran.error[2]
