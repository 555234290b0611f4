"""Turn the output of a cell into frames, in the order in which it was written.

``sys.stdout``, ``sys.stderr`` and displays of the worker become frames in one pipe. The output of C code
and of child processes to descriptors 1 and 2 goes to two more pipes, the taps. Every process that writes
to the frame pipe or reads a tap holds one file lock. The worker empties the taps before each of its own
frames. So a frame comes after everything that was written before it, and before everything written later.
"""

import contextlib
import fcntl
import io
import os
import select
import threading
from itertools import islice
from typing import Any, Callable, Dict, Iterator, List, Tuple

from . import protocol

CHUNK_BYTES = 64 << 10
# Of one descriptor at a time: more than a pipe holds, but a flood of output must not block the reader.
MAX_CHUNKS_PER_READ = 16
MAX_STREAM_META_BYTES = 128  # header and meta of the frame of a stream
FLUSH_SECONDS = 0.02


def read_available(fd: int) -> Iterator[bytes]:
    """Yield the data that is in a non-blocking pipe now; stop when it is empty or closed."""
    while True:
        try:
            data = os.read(fd, CHUNK_BYTES)
        except BlockingIOError:
            return
        if not data:
            return
        yield data
        if len(data) < CHUNK_BYTES:
            return


class InterruptGuard:
    """A guard that delays KeyboardInterrupt while a frame is written, so that no frame is incomplete or sent twice.

    It is active from the start; the user's code runs while it is ``lifted()``.

    A signal mask is not sufficient: another thread may receive the signal, and Python still raises the error
    in the main thread.
    """

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self._depth = 1
        self._held = False

    def on_interrupt(self, number: int, frame: Any) -> None:
        """Handle SIGINT in the worker."""
        if self._depth:
            self._held = True
        else:
            raise KeyboardInterrupt

    def forget(self) -> None:
        """Forget a delayed interrupt: what it was for has ended."""
        self._held = False

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """Let interrupts through: the user's code runs inside."""
        try:
            self._depth = 0
            self._raise_delayed()
            yield
        finally:
            self._depth = 1

    def __enter__(self) -> None:
        if threading.get_ident() == self._main:
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        if threading.get_ident() == self._main:
            self._depth -= 1
            self._raise_delayed()

    def check(self) -> None:
        """Raise a delayed KeyboardInterrupt between two frames, although the guard's outermost block has not ended."""
        if threading.get_ident() == self._main:
            self._raise_delayed(depth=1)

    def _raise_delayed(self, depth: int = 0) -> None:
        if self._held and self._depth <= depth:
            self._held = False
            raise KeyboardInterrupt


class FrameWriter:
    """The worker's end of the frame pipe; safe with threads and forked children.

    Args:
        guard: Delays interrupts while a frame is written.
        events: Write end of the frame pipe.
        lock: Descriptor of the file whose lock orders the writers.
        taps: Stream name -> read end of its pipe.
    """

    def __init__(self, guard: InterruptGuard, events: int, lock: int, taps: Dict[str, int]) -> None:
        self.guard = guard
        self._events = events
        self._lock = lock
        self._tap_names = {tap: name for name, tap in taps.items()}
        self._ready = select.poll()  # polling is cheaper than a read that finds nothing
        for tap in self._tap_names:
            self._ready.register(tap, select.POLLIN)
        self._thread_lock = threading.RLock()
        self._pending: List[
            Tuple[str, List[bytes]]
        ] = []  # (stream name, pieces of text) in the order of writing
        self._pending_bytes = 0
        self._max_data_bytes = protocol.MAX_DATA
        self._flusher = Flusher(self)
        self.capture_text: Callable[[bytes], bool] = lambda data: False  # whether text goes elsewhere
        os.register_at_fork(before=self.flush, after_in_child=self._after_fork)

    def emit(self, kind: int, meta: Dict[str, Any], data: bytes = b"") -> None:
        """Write one frame; split long data into several frames, of which all but the last have "more" in their meta."""
        with self.guard, self._thread_lock:
            self._emit(kind, meta, data)

    def write_text(self, name: str, data: bytes) -> None:
        """Write text of a stream; a complete line is sent at once, an incomplete one after 20 ms.

        An interrupt ends the text after the frame that is being written.
        """
        if self.capture_text(data):
            return
        with self.guard, self._thread_lock:
            if not self._pending or self._pending[-1][0] != name:
                self._pending.append((name, []))
            self._pending[-1][1].append(data)
            self._pending_bytes += len(data)
            if b"\n" in data or self._pending_bytes > CHUNK_BYTES:
                self._emit(0, {}, b"")
                return
        self._flusher.start()

    def flush(self) -> None:
        """Send incomplete lines."""
        with self.guard, self._thread_lock:
            if self._pending:
                self._emit(0, {}, b"")

    def _emit(self, kind: int, meta: Dict[str, Any], data: bytes) -> None:
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            for tap, _ in self._ready.poll(0):
                for chunk in islice(read_available(tap), MAX_CHUNKS_PER_READ):
                    self._put(protocol.STREAM, {"name": self._tap_names[tap]}, chunk)
            pending, self._pending, self._pending_bytes = self._pending, [], 0
            for name, pieces in pending:
                self._put(protocol.STREAM, {"name": name}, b"".join(pieces))
            if kind:
                self._put(kind, meta, data)
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def _put(self, kind: int, meta: Dict[str, Any], data: bytes) -> None:
        view = memoryview(data)
        while len(view) > self._max_data_bytes:
            part, view = view[: self._max_data_bytes], view[self._max_data_bytes :]
            self._write(protocol.encode(kind, {**meta, "more": True}, part))
            if kind == protocol.STREAM:  # all other frames must be complete
                self.guard.check()
        self._write(protocol.encode(kind, meta, view))

    def _write(self, frame: bytes) -> None:
        view = memoryview(frame)
        while view:
            view = view[os.write(self._events, view) :]

    def _after_fork(self) -> None:
        self._thread_lock = threading.RLock()
        self._pending, self._pending_bytes = [], 0  # the parent sends it
        # A write of this size is atomic, so a process that is killed leaves no incomplete frame.
        self._max_data_bytes = select.PIPE_BUF - MAX_STREAM_META_BYTES


class Stream(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr`` of a cell.

    Attributes:
        is_quiet: Whether text is discarded.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, writer: FrameWriter, name: str, fd: int) -> None:
        super().__init__()
        self.is_quiet = False
        self.name = f"<{name}>"
        self.buffer = RawStream(self, fd)
        self._writer = writer
        self._name = name
        self._fd = fd

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self.write_bytes(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        if not self.is_quiet:
            self._writer.write_text(self._name, data)

    def flush(self) -> None:
        self._writer.flush()

    def fileno(self) -> int:
        return self._fd

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False


class RawStream(io.RawIOBase):
    """``sys.stdout.buffer``: writes bytes to the same frame pipe."""

    def __init__(self, stream: Stream, fd: int) -> None:
        super().__init__()
        self._stream = stream
        self._fd = fd

    def write(self, data: Any) -> int:
        view = bytes(data)
        self._stream.write_bytes(view)
        return len(view)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._fd

    def writable(self) -> bool:
        return True


class Flusher:
    """A thread that sends incomplete lines; it starts at the first incomplete line of a process."""

    def __init__(self, writer: FrameWriter) -> None:
        self._writer = writer
        self._wanted = threading.Event()
        self._pid = 0

    def start(self) -> None:
        if self._pid != os.getpid():  # threads do not survive a fork
            self._pid = os.getpid()
            self._wanted = threading.Event()
            threading.Thread(target=self._run, args=(self._wanted,), daemon=True).start()
        self._wanted.set()

    def _run(self, wanted: threading.Event) -> None:
        pause = threading.Event()
        while wanted.wait():
            wanted.clear()
            pause.wait(FLUSH_SECONDS)
            self._writer.flush()


def cell_streams(writer: FrameWriter) -> Tuple[Stream, Stream]:
    """Return ``sys.stdout`` and ``sys.stderr`` for the cell."""
    return Stream(writer, "stdout", 1), Stream(writer, "stderr", 2)
