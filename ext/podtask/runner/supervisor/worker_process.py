"""The worker, as the supervisor sees it: a forked process with pipes."""

import errno
import fcntl
import os
import signal
import socket
from itertools import islice
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from .. import protocol
from ..debug_log import logger
from ..streams import CHUNK_BYTES, MAX_CHUNKS_PER_READ, read_available
from ..worker.main import STACK_SIGNAL, WorkerPipes
from .temporary_files import temporary_file


def temporary_or_memory_file() -> Any:
    """Return an unlinked file, in memory if no directory is writable."""
    file = temporary_file()
    return file if file is not None else os.fdopen(os.memfd_create("podtask"), "w+b", buffering=0)


class WorkerProcess:
    """One worker process, in a process group of its own.

    Args:
        work: Called in the worker with this object; its return value is the exit code.
        to_close: Files and sockets of the supervisor, which the worker closes.
    """

    def __init__(self, work: Callable[["WorkerProcess"], int], to_close: Iterable[Any]) -> None:
        self.results = temporary_or_memory_file(), temporary_or_memory_file()
        self.lock = temporary_or_memory_file()
        self.events, self.events_end = os.pipe()
        self.replies_end, self.replies = os.pipe()
        self.arrival_end, self.arrival = os.pipe()
        self.stacks, self.stacks_end = os.pipe()
        self.taps: Dict[str, int] = {}
        # The write ends stay open here, too, so that a worker that closes its own causes no end of file.
        self._ends: Dict[str, int] = {}
        ends = self._ends
        for name in ("stdout", "stderr"):
            self.taps[name], ends[name] = os.pipe()
        # A worker must not wait when nobody reads its stacks.
        for fd in (self.events, self.arrival, self.stacks, self.stacks_end, *self.taps.values()):
            os.set_blocking(fd, False)
        self.status: Optional[int] = None
        self._decoder = protocol.Decoder()
        # A signal must not run the supervisor's handler in the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        self.pid = os.fork()
        if self.pid == 0:
            self._run_and_exit(ends, work, to_close)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})

    def _run_and_exit(
        self, ends: Dict[str, int], work: Callable[["WorkerProcess"], int], to_close: Iterable[Any]
    ) -> None:
        code = 70
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for each in to_close:
                each.close()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.dup2(ends["stdout"], 1)
            os.dup2(ends["stderr"], 2)
            devnull = os.open(os.devnull, os.O_RDONLY)
            os.dup2(devnull, 0)
            for fd in (devnull, self.events, self.replies, self.arrival, self.stacks, *ends.values()):
                os.close(fd)
            code = work(self)
        except BaseException as error:
            if isinstance(error, OSError) and error.errno == errno.EBADF:
                code = protocol.EXIT_PIPES_CLOSED  # the cell has closed the worker's pipes
            else:
                # Start-up cost: loaded when it is first needed.
                import traceback

                os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)

    def pipes(self) -> WorkerPipes:
        """Return the ends that the worker uses."""
        return WorkerPipes(
            self.events_end,
            self.replies_end,
            self.lock.fileno(),
            self.taps,
            self.arrival_end,
            self.stacks_end,
            self.results,
        )

    def frames(self) -> Iterator[protocol.Frame]:
        """Yield the frames of the worker and, in order, the output of its descriptors 1 and 2.

        They are at least what was written before this call, and not all of what is written meanwhile.
        """
        yield from self._read_events(MAX_CHUNKS_PER_READ)
        try:
            fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # the worker is writing; the pipe becomes readable when it has written
        try:
            yield from self._read_events(None)  # nobody writes now
            for name, tap in self.taps.items():
                for chunk in islice(read_available(tap), MAX_CHUNKS_PER_READ):
                    yield protocol.Frame(protocol.STREAM, 0, {"name": name}, chunk)
        finally:
            fcntl.lockf(self.lock, fcntl.LOCK_UN)

    def _read_events(self, max_chunks: Optional[int]) -> Iterator[protocol.Frame]:
        for chunk in islice(read_available(self.events), max_chunks):
            try:
                yield from self._decoder.feed(chunk)
            except protocol.WireError as error:  # a process was killed in the middle of a frame
                logger.debug("killing the worker, its frames are damaged: %s", error)
                self.kill(signal.SIGKILL)

    def reply(self, text: bytes) -> None:
        """Answer the worker's question with a line of JSON."""
        os.write(self.replies, text + b"\n")

    def report_arrival(self) -> None:
        """Wake the worker if it waits for its inputs."""
        try:
            os.write(self.arrival, b".")
        except BlockingIOError:
            pass  # it has not read that earlier ones have arrived

    def kill(self, number: int) -> None:
        """Send a signal to the worker and its process group; do nothing if they have ended."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass  # all have ended

    def begin_stack_dump(self) -> None:
        """Let the worker write the stacks of its threads to its pipe; do nothing if it has ended."""
        for _ in read_available(self.stacks):
            pass  # what somebody else has asked for
        try:
            os.kill(self.pid, STACK_SIGNAL)
        except ProcessLookupError:
            pass  # it has ended

    def end_in_words(self) -> str:
        """Return how the worker has ended: its exit code, or the signal that killed it."""
        status = self.status or 0
        if os.WIFSIGNALED(status):
            return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
        return f"exit code {os.WEXITSTATUS(status)}"

    def close(self) -> None:
        """Close the descriptors; the results stay readable."""
        fds = (
            *(self.events, self.events_end, self.replies, self.replies_end),
            *(self.arrival, self.arrival_end, self.stacks, self.stacks_end),
        )
        for fd in (*fds, *self.taps.values(), *self._ends.values()):
            os.close(fd)
        self.lock.close()


def signal_sockets() -> Tuple[socket.socket, socket.socket]:
    """Return a pair of sockets; the first becomes readable after each signal."""
    wake, end = socket.socketpair()
    wake.setblocking(False)
    end.setblocking(False)
    signal.set_wakeup_fd(end.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(STACK_SIGNAL, signal.SIG_IGN)  # until a worker has its own handler
    return wake, end


def reap_children() -> Dict[int, int]:
    """Return pid -> wait status of the children that have ended; as PID 1 also of orphans."""
    ended: Dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended[pid] = status


def merge_stream_frames(frames: List[protocol.Frame]) -> Iterator[protocol.Frame]:
    """Merge adjacent frames of one stream, because a frame for each line would be too many."""
    parts: List[bytes] = []
    size = 0
    name = None
    for frame in frames:
        same = frame.kind == protocol.STREAM and frame.meta["name"] == name
        if parts and (not same or size + len(frame.data) > CHUNK_BYTES):
            yield protocol.Frame(protocol.STREAM, 0, {"name": name}, b"".join(parts))
            parts, size = [], 0
        if frame.kind == protocol.STREAM:
            name = frame.meta["name"]
            parts.append(frame.data)
            size += len(frame.data)
        else:
            yield frame
    if parts:
        yield protocol.Frame(protocol.STREAM, 0, {"name": name}, b"".join(parts))
