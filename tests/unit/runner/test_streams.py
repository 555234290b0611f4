"""The writer of the worker's frames: one long line, many small pieces, interrupts."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator

import pytest
from podtask.runner import protocol
from podtask.runner.ipython.display import DisplayFrontend
from podtask.runner.streams import FrameWriter, InterruptGuard

from tests.unit.counted_bytes import CountedBytes, copied_by

pytestmark = pytest.mark.fault(101)
SIZES = (2 << 20, 4 << 20, 8 << 20)


class Pipe:
    """A frame writer, and a thread that reads its frames.

    Args:
        on_frame: Called in that thread with each frame.
    """

    def __init__(self, on_frame: Callable[[protocol.Frame], object] = lambda frame: None) -> None:
        self.received = 0  # bytes of data
        self.guard = InterruptGuard()
        self._on_frame = on_frame
        self._lock = tempfile.TemporaryFile()
        self._end, self._begin = os.pipe()
        self.writer = FrameWriter(self.guard, self._begin, self._lock.fileno(), {})
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        decoder = protocol.Decoder()
        while chunk := os.read(self._end, 1 << 20):
            for frame in decoder.feed(chunk):
                self.received += len(frame.data)
                self._on_frame(frame)

    def close(self) -> None:
        """Close the writer's end, and wait until all is read."""
        self.writer.flush()  # so that the writer's own thread finds nothing that it could send later
        os.close(self._begin)
        self._thread.join()
        os.close(self._end)
        self._lock.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Yield a writer whose frames are read and dropped."""
    made = Pipe()
    yield made
    made.close()


def test_one_long_line_is_not_copied_for_each_frame(pipe: Pipe) -> None:
    """A line of twice the size takes twice the work."""
    for size in SIZES:
        line = CountedBytes(bytes(size))
        assert copied_by(pipe.writer.write_text, "stdout", line) <= 2 * size


def test_long_frame_is_not_copied_for_each_part(pipe: Pipe) -> None:
    """A display of twice the size takes twice the work."""
    for size in SIZES:
        text = CountedBytes(bytes(size))
        assert copied_by(pipe.writer.emit, protocol.DISPLAY, {}, text) <= 2 * size


def test_pieces_of_a_line_are_joined_once(pipe: Pipe) -> None:
    """A line that is written in many pieces is not copied for each of them."""
    piece = CountedBytes(bytes(256))

    def write(size: int) -> None:
        for _ in range(size // len(piece)):
            pipe.writer.write_text("stdout", piece)

    for size in SIZES:
        assert copied_by(write, size) <= 2 * size


def test_interrupt_ends_a_long_line() -> None:
    """An interrupt is raised between two frames of a line, and each frame that was sent is whole."""

    def interrupt(frame: protocol.Frame) -> None:
        if not sent:
            sent.append(frame.kind)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    sent: list[int] = []
    pipe = Pipe(interrupt)
    before = signal.signal(signal.SIGINT, pipe.guard.on_interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), pipe.guard.lifted():
            pipe.writer.write_text("stdout", bytes(64 << 20))
        pipe.writer.emit(protocol.CLEAR_OUTPUT, {})
    finally:
        signal.signal(signal.SIGINT, before)
        pipe.close()
    assert 0 < pipe.received < 32 << 20


def test_interrupt_does_not_cut_a_display() -> None:
    """An interrupt is raised after the last part of a display."""
    kinds: list[tuple[int, bool]] = []

    def interrupt(frame: protocol.Frame) -> None:
        kinds.append((frame.kind, bool(frame.meta.get("more"))))
        if len(kinds) == 1:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    pipe = Pipe(interrupt)
    before = signal.signal(signal.SIGINT, pipe.guard.on_interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), pipe.guard.lifted():
            pipe.writer.emit(protocol.DISPLAY, {}, bytes(8 << 20))
    finally:
        signal.signal(signal.SIGINT, before)
        pipe.close()
    assert kinds == [(protocol.DISPLAY, True)] * 15 + [(protocol.DISPLAY, False)]


def test_display_that_cannot_be_shown_is_not_sent(pipe: Pipe) -> None:
    """Of a MIME type over 8 MiB only its name and size are sent."""
    frontend = DisplayFrontend(pipe.writer, 0)
    frontend.send_bundle({"text/html": "x" * (9 << 20), "text/plain": "short"}, {}, None, False)
    pipe.writer.flush()
    assert pipe.received < 1000
