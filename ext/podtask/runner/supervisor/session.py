"""A session: one worker, which executes cell after cell, and the time limits of the pod that it keeps."""

import json
import os
import shutil
import signal
import socket
import time
from collections import deque
from typing import IO, Any, Deque, Dict, Iterable, List, Optional, Tuple

from .. import protocol
from ..debug_log import logger
from ..worker import session as worker_session
from .clients import FOREVER
from .execution import MIN_SHUTDOWN_SECONDS, Execution
from .temporary_files import temporary_folder
from .usage import UsageMeter, process_memory
from .worker_process import WorkerProcess, temporary_or_memory_file

MAX_SECONDS = 24 * 3600.0  # age of a session
MAX_INLINE_JOB_BYTES = 32 << 10  # less than the buffer of a socket
MAX_BETWEEN_BYTES = 256 << 10  # output of threads that a cell has left, kept until the next cell

Files = Tuple[IO[bytes], IO[bytes]]


class Session:
    """The worker of a session, and what is known of it.

    Args:
        job: Meta of the first run frame.

    Attributes:
        worker: The process; None before the first cell, and after it has died.
        number: How many workers there have been. A worker that takes the place of a dead one has none of its names.
        names: The variables of the worker, as of the end of the last cell.
        lost: The names that died with the last worker, and how it died; None before.
        ends: Why the session ends: a reason of a CLOSE frame. Empty while it goes on.
        kill_at: When the worker is killed, which has been asked to end (monotonic).
    """

    def __init__(self, job: Dict[str, Any]) -> None:
        self.worker: Optional[WorkerProcess] = None
        self.number = 0
        self.names: List[str] = []
        self.lost: Optional[Dict[str, Any]] = None
        self.ends = ""
        self.kill_at = FOREVER
        self._grace = float(job["grace"])
        self._idle_seconds = float(job["session"]["idle"])
        self._usage = None if job.get("local") else UsageMeter()
        now = time.monotonic()
        self._ends_at = now + min(MAX_SECONDS, float(job["session"].get("max", MAX_SECONDS)))
        self._idle_since = now
        self._extended_until = 0.0
        self._is_busy = False
        self._jobs: Optional[socket.socket] = None
        self._files: List[Files] = []  # that the worker has
        self._free: List[int] = []  # indexes of those that no execution uses
        self._folders: List[str] = []
        self._between: Deque[protocol.Frame] = deque()
        self._between_bytes = 0

    # -- the worker --------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        """Whether there is a worker."""
        return self.worker is not None and self.worker.status is None

    @property
    def pipes(self) -> List[int]:
        """The descriptors that become readable when the worker has sent something."""
        return [] if self.worker is None else [self.worker.events, *self.worker.taps.values()]

    def start_worker(self, to_close: Iterable[Any]) -> None:
        """Fork the worker.

        Args:
            to_close: Files and sockets of the supervisor, which the worker closes.
        """
        self._jobs, jobs_end = socket.socketpair()
        own_end = self._jobs
        own_pid = os.getpid()
        self.worker = WorkerProcess(
            lambda worker: worker_session.main(jobs_end, worker.pipes(), own_pid), [own_end, *to_close]
        )
        jobs_end.close()
        self.number += 1
        self._files, self._free = [self.worker.results], [0]
        logger.debug("worker %d of the session has started: process %d", self.number, self.worker.pid)

    def run(self, job: Dict[str, Any], inputs: Optional[int]) -> int:
        """Let the worker execute a cell; return the index of the files that take its values."""
        assert self._jobs is not None
        descriptors = [] if inputs is None else [inputs]
        if not self._free:
            self._files.append((temporary_or_memory_file(), temporary_or_memory_file()))
            self._free.append(len(self._files) - 1)
            descriptors += [file.fileno() for file in self._files[-1]]
        index = self._free.pop()
        if job.get("local_modules"):
            job["folder"] = temporary_folder()
            self._folders.append(job["folder"])
        text = json.dumps({**job, "files": index}).encode()
        if len(text) > MAX_INLINE_JOB_BYTES:  # the supervisor must not wait until the worker reads it
            file = temporary_or_memory_file()
            file.write(text)
            descriptors.append(file.fileno())
            text = b""
        data = worker_session.LENGTH.pack(len(text)) + text
        self._is_busy = True
        try:
            sent = socket.send_fds(self._jobs, [data], descriptors)
            self._jobs.sendall(data[sent:])
        except OSError as error:  # it has died; that it has is reported in a moment
            logger.debug("the worker of the session takes no job: %s", error)
        return index

    def files(self, index: int) -> Files:
        """Return a pair of the worker's files."""
        return self._files[index]

    def free_files(self, index: int, number: int) -> None:
        """Empty a pair of files, and use it for another cell.

        Args:
            index: Its index.
            number: Number of the worker that has it.
        """
        if number == self.number and self.worker is not None:
            for file in self._files[index]:
                file.truncate(0)
            self._free.append(index)

    def cell_ended(self, end: Optional[Dict[str, Any]]) -> None:
        """Count the idle time from now on.

        Args:
            end: Meta of the worker's result frame; None if it has died.
        """
        self._is_busy = False
        self._idle_since = time.monotonic()
        if end is not None and "names" in end:
            self.names = [str(name) for name in end["names"]]

    def drop_worker(self) -> None:
        """Close the worker, which has died; remember which names are lost."""
        assert self.worker is not None
        assert self._jobs is not None
        self.worker.kill(signal.SIGKILL)  # and the processes that it left running
        self.worker.close()
        self._jobs.close()
        for index in self._free:
            for file in self._files[index]:
                file.close()
        self.lost = {"number": self.number, "names": self.names, "why": self.worker.end_in_words()}
        logger.debug("worker %d of the session has ended: %s", self.number, self.lost["why"])
        self.worker, self.names, self._free = None, [], []

    # -- output between two cells ------------------------------------------------------------------

    def keep_frame(self, frame: protocol.Frame) -> None:
        """Keep a frame that the worker sends while no cell runs; drop the oldest of very many."""
        if frame.kind == protocol.INPUT_REQUEST:
            return  # nobody is there to answer
        self._between.append(frame)
        self._between_bytes += len(frame.data)
        while self._between_bytes > MAX_BETWEEN_BYTES:
            self._between_bytes -= len(self._between.popleft().data)

    def take_kept(self) -> List[protocol.Frame]:
        """Return the frames since the last cell, which belong to the next one."""
        found = list(self._between)
        self._between.clear()
        self._between_bytes = 0
        return found

    # -- time limits -------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When :meth:`check` has to be called (monotonic)."""
        if self._is_busy:  # an execution that is being stopped has a deadline of its own
            return self._ends_at if not self.ends and self._ends_at > time.monotonic() else FOREVER
        return self.kill_at if self.ends else min(self._ends_at, self._idle_end)

    @property
    def _idle_end(self) -> float:
        return max(self._idle_since + self._idle_seconds, self._extended_until)

    def extend(self, seconds: float) -> None:
        """Let the session live for a time at least, without a cell; it does not become older than its greatest age."""
        self._extended_until = time.monotonic() + seconds

    def end_reason(self, now: float) -> str:
        """Return why the session has to end; empty if it goes on."""
        if self._ends_at <= now:
            return protocol.CLOSE_OLD
        return protocol.CLOSE_IDLE if not self._is_busy and self._idle_end <= now else ""

    def end(self, reason: str) -> None:
        """Ask the worker to end: it runs its exit handlers, and is killed after the grace period."""
        if not self.ends:
            self.ends = reason
            self.kill_at = time.monotonic() + max(self._grace, MIN_SHUTDOWN_SECONDS)
            logger.debug("the session ends: %s", reason)
            if self._jobs is not None:
                self._jobs.close()

    def close(self) -> None:
        """Kill the worker if it still runs, and remove the folders of the notebook's own modules."""
        if self.worker is not None:
            self.worker.kill(signal.SIGKILL)
        for folder in self._folders:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)

    def state(self) -> Dict[str, Any]:
        """Return what a notebook needs to know: meta of a SESSION frame."""
        now = time.monotonic()
        return {
            "number": self.number if self.worker is not None else self.number + 1,
            "names": self.names,
            "lost": self.lost,
            "idle_left": round(self._idle_end - now, 1),
            "age_left": round(self._ends_at - now, 1),
            "busy": self._is_busy,
            **self.memory(),
        }

    def memory(self) -> Dict[str, int]:
        """Return "memory" and "memory_limit" of the container, or "memory" of the worker on the notebook's machine."""
        if self._usage is not None:
            return self._usage.measure_memory()
        return {} if self.worker is None else process_memory(self.worker.pid)


class SessionExecution(Execution):
    """One cell of a session; see :class:`Execution`. Its worker stays.

    Args:
        session: The session.
        job: Meta of the run frame.
        inputs: Descriptor of the pickled inputs, None if there are none.
        to_close: Files and sockets of the supervisor, which a new worker closes.
        first_seq: Number of its first frame.
        is_measured: Whether the container's use of CPU and memory is measured.
    """

    stays = True

    def __init__(
        self,
        session: Session,
        job: Dict[str, Any],
        inputs: Optional[int],
        to_close: Iterable[Any],
        first_seq: int,
        is_measured: bool,
    ) -> None:
        self._session = session
        self._index = 0
        super().__init__(job, inputs, to_close, first_seq, is_measured)
        self.number = session.number

    def _start(self, inputs: Optional[int], to_close: Iterable[Any]) -> Tuple[WorkerProcess, Files]:
        session = self._session
        if not session.is_alive:
            session.start_worker(to_close)
        assert session.worker is not None
        self._index = session.run(self.job, inputs)
        return session.worker, session.files(self._index)

    def receive_result(self, meta: Dict[str, Any]) -> None:
        """Receive the worker's result frame, which ends the execution."""
        self.end = meta

    def shutdown_report(self) -> str:
        """Return nothing: exit handlers run at the end of the session."""
        return ""

    def finish(self) -> Tuple[Dict[str, Any], bytes]:
        """Return meta and data of the final result frame; forget a worker that has died."""
        self._session.cell_ended(self.end)
        end, data = self._make_result()
        end["session"] = self.number
        end["in_use"] = self._session.memory()
        if self.worker.status is not None and self._session.worker is self.worker:
            self._session.drop_worker()
            end["lost"] = (self._session.lost or {})["names"]
        return end, data

    def close(self) -> None:
        """Free the values."""
        if self._session.worker is self.worker:
            self._session.free_files(self._index, self.number)
        else:
            self.results.close()


def lost_words(lost: Dict[str, Any]) -> str:
    """Return how the last worker of a session has died, and which names are lost."""
    names: List[str] = lost["names"]
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"its process ended ({lost['why']}); lost: {shown or 'no names'}"


def refusal(job: Dict[str, Any], session: Optional[Session]) -> str:
    """Return why the names that a cell counts on are not there; empty if they are.

    Args:
        job: Meta of the run frame. ``session`` has the number of the worker that the notebook knows, 0 for any.
        session: The session; None if no cell has run in it.
    """
    wanted = int(job["session"].get("number", 0))
    if session is None or not wanted:
        return ""
    now = session.number if session.is_alive else session.number + 1
    return "" if wanted == now else lost_words(session.lost or {"names": [], "why": "unknown"})
