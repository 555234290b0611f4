"""The file of inputs is read while it grows."""

from __future__ import annotations

import os
import tempfile
import threading
from types import SimpleNamespace

import pytest
from podtask.runner.worker import inputs
from podtask.runner.worker.inputs import InputFile


def test_reader_waits_for_bytes_that_have_not_arrived() -> None:
    """A read returns what is there, waits if there is nothing, and finds the end where the inputs end."""
    wake, waker = os.pipe()
    with tempfile.TemporaryFile(buffering=0) as file:
        source = InputFile(file.fileno(), 5, wake)
        file.write(b"ab")
        assert source.read(4) == b"ab"
        reads: list[bytes | None] = []
        reader = threading.Thread(target=lambda: reads.extend([source.read(4), source.read(4)]))
        reader.start()
        os.write(waker, b".")  # it has not arrived yet
        file.write(b"cde")
        os.write(waker, b".")
        reader.join(30)
        assert reads == [b"cde", b""]
        assert file.tell() == 5  # where the supervisor writes
    os.close(wake)
    os.close(waker)


def test_reader_fails_when_nothing_can_arrive() -> None:
    """If the supervisor ends, the cell does not wait for ever."""
    wake, waker = os.pipe()
    os.close(waker)
    with tempfile.TemporaryFile(buffering=0) as file:
        with pytest.raises(EOFError, match="have not arrived"):
            InputFile(file.fileno(), 1, wake).read(1)
        with pytest.raises(EOFError, match="have not arrived"):
            list(InputFile(file.fileno(), 1, wake).buffers([(0, 1)]))
    os.close(wake)


def test_time_of_the_upload_is_not_the_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for which the cell waits for its inputs is counted."""
    now = [100.0]
    with tempfile.TemporaryFile(buffering=0) as file:

        def receive(fd: int, size: int) -> bytes:
            now[0] += 7
            file.write(b"x")
            return b"."

        monkeypatch.setattr(os, "read", receive)
        monkeypatch.setattr(inputs, "time", SimpleNamespace(perf_counter=lambda: now[0]))
        source = InputFile(file.fileno(), 2, -1)
        assert [source.read(1), source.read(1), source.read(1)] == [b"x", b"x", b""]
        assert source.waited_seconds == 14
        monkeypatch.undo()
