"""Stop a cell before its pod exists."""

from __future__ import annotations

import socket
from concurrent.futures import CancelledError

import podtask
import pytest


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
