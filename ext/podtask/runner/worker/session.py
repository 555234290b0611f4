"""The process of a session: it executes cell after cell in one ``__main__``, until the supervisor closes its socket."""

import contextlib
import json
import os
import signal
import socket
import struct
import sys
import time
import types
from typing import IO, Any, Dict, List, Optional, Tuple

from .. import protocol
from ..ipython.display import DisplayFrontend
from ..streams import FrameWriter
from . import event_loop, inputs, outputs, shutdown
from .leftovers import abbreviate
from .main import CellRun, WorkerPipes, set_up
from .shared_names import SharedNames

LENGTH = struct.Struct("!I")
READ_BYTES = 64 << 10
MAX_DESCRIPTORS = 4  # sent with a job: its inputs, two files for its values, the job itself if it is large
SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
MAX_NAMES = 2000  # that a result frame lists
MAX_NAME_CHARS = 200


def main(jobs: socket.socket, pipes: WorkerPipes, supervisor: int) -> int:
    """Execute the cells that arrive; return the exit code once the supervisor has closed its end.

    Args:
        jobs: Brings the jobs, one at a time.
        pipes: The pipes that it shares with the supervisor; its files take the values of the first cell.
        supervisor: Process id of the supervisor.
    """
    _die_with(supervisor)
    guard, writer, frontend = set_up(pipes)
    shutdown.begin()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    module = types.ModuleType("__main__")
    vars(module)["__builtins__"] = sys.modules["builtins"]
    sys.modules["__main__"] = module
    cells = _Cells(frontend, writer, module, pipes)
    while True:
        event_loop.run_until_readable(jobs.fileno())
        received = _receive(jobs)
        if received is None:
            break
        guard.forget()
        cells.run(*received)
    sys.modules["__main__"] = module  # a cell may have replaced it
    del cells, module  # the shutdown frees the values
    shutdown.shut_down(guard)
    writer.flush()
    return 0


def describe_names(namespace: Dict[str, Any]) -> List[List[Any]]:
    """Return [name, type, bytes or None, device] of each variable that is not private or a module."""
    found = []
    items = list(namespace.items())  # a thread may set variables
    for name, value in sorted(items, key=lambda item: str(item[0])):
        if not name.startswith("_") and not isinstance(value, types.ModuleType):
            found.append([name[:MAX_NAME_CHARS], type(value).__name__, _size(value), _device(value)])
    return found[:MAX_NAMES]


class _Cells:
    """What stays between the cells of a session."""

    def __init__(
        self, frontend: DisplayFrontend, writer: FrameWriter, module: types.ModuleType, pipes: WorkerPipes
    ) -> None:
        self._frontend = frontend
        self._writer = writer
        self._module = module
        self._shared = SharedNames(vars(module))
        self._pipes = pipes
        self._files: List[Tuple[IO[bytes], IO[bytes]]] = [pipes.results]
        self._reported: Optional[List[str]] = None  # the names that the supervisor knows

    def run(self, job: Dict[str, Any], descriptors: List[int]) -> None:
        """Execute one cell, and send its result."""
        inputs_fd = descriptors.pop(0) if job["inputs"] else None
        if descriptors:
            first, second = (os.fdopen(fd, "w+b", buffering=0) for fd in descriptors)
            self._files.append((first, second))
        os.environ.update(job["env"])
        arriving = None
        if inputs_fd is not None:
            arriving = inputs.InputFile(inputs_fd, job["inputs_size"], self._pipes.arrival_fd)
        self._execute(CellRun(job, arriving, self._writer, self._module, self._shared), job)
        if inputs_fd is not None and not job.get(
            "module_values"
        ):  # they are read when the module is imported
            os.close(inputs_fd)

    def _execute(self, cell: CellRun, job: Dict[str, Any]) -> None:
        start, cpu_start = time.perf_counter(), time.process_time()
        value, error = cell.run(self._frontend.guard)
        is_shown = error is None and not cell.is_call
        error = cell.display_result(self._frontend, value if is_shown else None) or error
        seconds = round(time.perf_counter() - start - cell.waited_seconds, 6)
        for stream in (sys.stdout, sys.stderr):
            # A cell may have replaced the stream by an object of its own, whose flush may raise anything.
            with contextlib.suppress(Exception):
                stream.flush()
        writer = self._writer
        file = outputs.ResultWriter(
            self._files[job["files"]], lambda meta: writer.emit(protocol.VALUES, meta)
        )
        end = cell.pack_outputs(file, value, error)
        # Start-up cost: not of a cell without a session.
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        used = {
            "cpu": round(time.process_time() - cpu_start, 3),
            "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        }
        end.update(seconds=seconds, running=abbreviate(cell.running), used=used)
        names = [name for name in list(cell.namespace) if not name.startswith("_")][:MAX_NAMES]
        names = [name[:MAX_NAME_CHARS] for name in names]
        if names != self._reported:
            self._reported = end["names"] = names
        if job.get("asks_names"):
            end["described"] = describe_names(cell.namespace)
        if job.get("question"):
            end["answer"] = self._answer(job["question"])
        writer.emit(protocol.RESULT, end)

    def _answer(self, question: Dict[str, Any]) -> Dict[str, Any]:
        """Return the answer to a question about a variable; empty if that takes too long, or fails."""
        # Start-up cost: few sessions are asked.
        from . import questions

        try:
            with self._frontend.guard.lifted():  # the notebook interrupts what takes too long
                return questions.answer(question, vars(self._module))
        except BaseException:  # an attribute of the user's may raise anything
            return {}


def _receive(jobs: socket.socket) -> Optional[Tuple[Dict[str, Any], List[int]]]:
    """Return the next job and its descriptors; None at the end."""
    data, descriptors, _, _ = socket.recv_fds(jobs, READ_BYTES, MAX_DESCRIPTORS)
    if not data:
        return None
    pieces, size = [data], len(data)
    while size < LENGTH.size or size < LENGTH.size + LENGTH.unpack_from(pieces[0])[0]:
        piece = jobs.recv(READ_BYTES)
        if not piece:
            return None
        pieces = [pieces[0] + piece] if size < LENGTH.size else [*pieces, piece]
        size += len(piece)
    text = b"".join(pieces)[LENGTH.size :]
    if not text:
        with os.fdopen(descriptors.pop(), "rb") as file:
            file.seek(0)
            text = file.read()
    return json.loads(text), list(descriptors)


def _die_with(supervisor: int) -> None:
    """Let the system kill this process when the supervisor dies, also in the middle of a cell.

    Where that is not possible, the process ends between two cells, at the end of its socket.

    Args:
        supervisor: Process id of the supervisor.
    """
    try:
        # Start-up cost: not of a cell without a session.
        import ctypes

        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
    except (ImportError, AttributeError, OSError):
        return  # not Linux, or a Python without ctypes
    if os.getppid() != supervisor:  # it has died before
        os._exit(0)


def _size(value: Any) -> Optional[int]:
    """Return the bytes of a value without those that it refers to; None if it does not say."""
    try:
        size = getattr(value, "nbytes", None)
        return size if isinstance(size, int) else sys.getsizeof(value)
    except Exception:  # whatever a property of the user's raises
        return None


def _device(value: Any) -> str:
    """Return the device that holds a tensor, such as cuda:0; empty for values in memory."""
    try:
        device = getattr(value, "device", None)
        text = str(device) if type(device).__module__.partition(".")[0] in ("torch", "jax", "cupy") else ""
    except Exception:  # whatever a property of the user's raises
        return ""
    return "" if text == "cpu" else text[:MAX_NAME_CHARS]
