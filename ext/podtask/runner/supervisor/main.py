"""The main loop of the runner: clients, one worker, the spool, deadlines.

It has one thread and one selector, and never blocks. It outlives the worker and reports how the worker
died. The result frame is the last one in the spool.
"""

import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any, Callable, Dict, Optional, Tuple

from .. import protocol
from ..debug_log import logger
from ..worker.main import main as run_job
from . import batch_log
from .clients import FOREVER, Clients
from .connection import Connection
from .container_log import LogCopy
from .enclosure import read_enclosure
from .results import Results
from .spool import Spool
from .temporary_files import temporary_folder
from .uploads import Uploads
from .usage import UsageMeter
from .verdict import result_frame, write_record, write_termination_message
from .worker_process import WorkerProcess, merge_stream_frames, reap_children, signal_sockets

MIN_SHUTDOWN_SECONDS = 1  # for the exit handlers of a cell, also with --grace 0
TERMINATING_LINGER_SECONDS = 2  # for a client to reconnect while the pod is being terminated
MAX_SOURCE_CHARS = 256 << 10
# Frames that only a client with the owner's secret may send; all others may follow and fetch.
OWNER_KINDS = (protocol.BLOB, protocol.RUN, protocol.INTERRUPT, protocol.INPUT_REPLY, protocol.ACK)
NUMBER = (int, float)
# What the supervisor needs of a run frame; the rest is for the worker, whose death it survives.
JOB_FIELDS: Dict[str, Any] = {
    "exec": str,
    "source": str,
    "filename": str,
    "timeout": NUMBER,
    "linger": NUMBER,
    "grace": NUMBER,
    "inputs_size": int,
}


class Supervisor:
    """The state and the main loop of a runner, which serves one task until its result is acknowledged.

    Args:
        listener: Listening socket on the pod's loopback.
        prove: Returns the HMAC of the task's key.
        lock: Hash of the owner's secret.
        wait: Maximum time in seconds to wait for a client with the cell.
    """

    def __init__(self, listener: socket.socket, prove: Callable[..., str], lock: str, wait: float) -> None:
        self.state = protocol.RUNNER_WAITING
        self._prove = prove
        self._wait = wait
        self._selector = selectors.DefaultSelector()
        self._clients = Clients(self._selector, listener, prove, lock)
        self._spool = Spool()
        self._uploads = Uploads()
        self._batch = False  # whether no client connects, and all frames go to the log
        self._job: Dict[str, Any] = {}
        self._worker: Optional[WorkerProcess] = None
        self._end: Optional[Dict[str, Any]] = None
        self._results: Optional[Results] = None
        self._usage: Optional[UsageMeter] = None  # None for a local process, which has no control group
        self._exit: Optional[int] = None
        self._signal_exit_code = 0  # the exit code for a signal that came when no cell ran
        self._interrupts = 0
        self._last_asked = 0  # number of the last frame with a question
        self._last_answered = 0  # number of the last frame with a question that was answered
        self._stop_reason = ""  # why the worker is stopped from outside: timeout, terminated
        self._deadline = FOREVER
        self._kill_at = FOREVER
        self._log = LogCopy(1)
        self._announced = False  # whether the log mentions that the result waits, or contains it
        self._wake, self._wake_end = signal_sockets()
        listener.setblocking(False)
        signal.signal(signal.SIGTERM, self._on_terminate)
        signal.signal(signal.SIGINT, self._on_terminate)

    def serve(self, client: Optional[Tuple[socket.socket, str]], enclosure: bytes) -> int:
        """Run until the task is released or a deadline ends it; return the exit code.

        Args:
            client: Socket of the first client, and the challenge of its handshake; None if the pod brings the cell.
            enclosure: The cell that the pod brings; empty if a client sends it.
        """
        if client is not None:
            self._clients.add(*client)
        if enclosure:
            self._run_enclosed(enclosure)
        self._selector.register(self._wake, selectors.EVENT_READ, self._on_signal)
        while self._exit is None:
            self._log.watch(self._selector)
            self._clients.watch()
            time_left = max(0.0, self._next_deadline() - time.monotonic())
            for key, mask in self._selector.select(time_left):
                if isinstance(key.data, Connection):
                    if mask & selectors.EVENT_READ:
                        self._receive(key.data)
                else:
                    key.data()
            self._relay_frames()
            self._send_usage()
            self._clients.send_pending(self._spool, self._results)
            self._check_deadlines()
        self._clients.finish(protocol.encode(protocol.CLOSE, {"reason": protocol.CLOSE_RELEASED}))
        self._remove_folder()
        return self._exit

    # -- sockets -------------------------------------------------------------------------------

    def _on_signal(self) -> None:
        self._wake.recv(4096)
        ended = reap_children()
        if self._worker and self._worker.pid in ended:
            self._worker.status = ended[self._worker.pid]

    # -- frames of the client --------------------------------------------------------------------

    def _receive(self, client: Connection) -> None:
        """Handle the bytes that a client has sent; an invalid frame ends the connection of this client only."""
        for frame in client.receive():
            if client.closing or client.closed:
                return
            if frame.kind in OWNER_KINDS and not client.is_owner:
                logger.debug("turned away a client that is not the owner: frame of kind %d", frame.kind)
                text = "only the owner of the task may do that"
                client.finish(protocol.encode(protocol.ERROR, {"code": "owner", "text": text}))
                return
            try:
                self._handle(client, frame)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                logger.debug("closing a connection, a frame of kind %d is malformed: %r", frame.kind, error)
                text = f"a frame of kind {frame.kind} is malformed"
                client.finish(protocol.encode(protocol.ERROR, {"code": "meta", "text": text}))

    def _handle(self, client: Connection, frame: protocol.Frame) -> None:
        meta = frame.meta
        if frame.kind == protocol.ATTACH:
            self._attach(client, meta)
        elif frame.kind == protocol.PING:
            client.wants_log = client.is_owner and bool(meta.get("log"))
            client.send(protocol.encode(protocol.PONG, {"t": meta.get("t")}))
        elif client.cursor is None:
            client.finish(protocol.encode(protocol.ERROR, {"code": "order", "text": "attach comes first"}))
        elif frame.kind in (protocol.BLOB, protocol.RUN):
            error = self._receive_job(frame)
            if error:
                logger.debug("turned away a client: %s", error)
                client.finish(protocol.encode(protocol.ERROR, {"code": "blob", "text": error}))
        elif frame.kind == protocol.FETCH:
            client.values_wanted = int(meta["attempt"]), _checked_offset(meta["offset"])
        elif frame.kind == protocol.INTERRUPT:
            self._interrupt(int(meta["n"]))
        elif frame.kind == protocol.INPUT_REPLY:
            self._reply(meta)
        elif frame.kind == protocol.ACK and self.state == protocol.RUNNER_DONE and meta.get("fetched"):
            self._exit = self._cell_exit_code

    def _interrupt(self, number: int) -> None:
        """Interrupt the cell once for each number: a new connection repeats the last one."""
        if self._worker and self.state == protocol.RUNNER_RUNNING and number > self._interrupts:
            self._interrupts = number
            logger.debug("interrupting the cell")
            self._worker.kill(signal.SIGINT)

    def _reply(self, meta: Dict[str, Any]) -> None:
        """Answer each question once: a new connection repeats the last answer."""
        number = int(meta["to"])
        is_asked = number == self._last_asked > self._last_answered  # the worker reads the answer at once
        if self._worker and self.state == protocol.RUNNER_RUNNING and is_asked:
            self._last_answered = number
            self._worker.reply(json.dumps(meta).encode())

    def _attach(self, client: Connection, meta: Dict[str, Any]) -> None:
        if meta.get("proto") != protocol.PROTOCOL_VERSION:
            text = f"the runner speaks protocol {protocol.PROTOCOL_VERSION}, the client {meta.get('proto')}"
            logger.debug("turned away a client: %s", text)
            client.finish(protocol.encode(protocol.ERROR, {"code": "proto", "text": text}))
            return
        name, after_seq = str(meta.get("client")), int(meta.get("after_seq", 0))
        has_job = client.is_owner and meta.get("job", True)
        has_no_job = self.state == protocol.RUNNER_WAITING and not has_job
        if not client.is_owner:
            if not self._clients.admit_follower(client, name):
                return
        elif self._clients.dismiss_displaced(client, name):
            return
        elif not has_no_job and self._clients.take_over(client, name, meta.get("who")):
            self._interrupts = 0
        hello = {
            "proto": protocol.PROTOCOL_VERSION,
            "python": sys.version.split()[0],
            "state": self.state,
            "have": self._uploads.sizes(),
            "first_seq": self._spool.first,
            "last_seq": self._spool.last,
            "answered": self._last_answered,
        }
        client.send(protocol.encode(protocol.HELLO, hello))
        if has_no_job:
            logger.debug("turned away a client that does not have the cell")
            client.finish(protocol.encode(protocol.CLOSE, {"reason": protocol.CLOSE_NO_JOB}))
            return
        client.cursor = after_seq + 1
        client.wants_log = client.is_owner and bool(meta.get("log"))
        if client.cursor > 1 or self.state != protocol.RUNNER_WAITING:
            logger.debug("a client has connected and resumes at frame %d", client.cursor)
        else:
            logger.debug("a client has connected")

    def _receive_job(self, frame: protocol.Frame) -> str:
        """Store inputs, or run the cell; return an error message, empty on success."""
        meta = frame.meta
        if frame.kind == protocol.BLOB and meta["id"] != protocol.BLOB_INPUTS:
            return f"unknown blob {meta['id']}"
        if frame.kind == protocol.BLOB:
            return self._uploads.put(str(meta["id"]), int(meta["offset"]), frame.data)
        if self.state != protocol.RUNNER_WAITING:
            return ""  # a client that reconnects sends it again
        error = _job_problem(meta) or self._uploads.size_error(str(meta["inputs"]), meta["inputs_size"])
        if not error:
            self._run(meta)
        return error

    def _run_enclosed(self, enclosure: bytes) -> None:
        """Run the cell that the pod brings itself."""
        head, pieces = read_enclosure(enclosure)
        if head["batch"]:
            self._batch, self._log = True, batch_log.FrameLog(1, self._prove)
        decoder = protocol.Decoder()
        for piece in pieces:
            for frame in decoder.feed(piece):
                error = self._receive_job(frame)
                if error:
                    raise ValueError(error)
        logger.debug("the pod brought the cell")

    def _run(self, job: Dict[str, Any]) -> None:
        self._job = job
        if job.get("local_modules"):
            job["folder"] = temporary_folder()
        self.state = protocol.RUNNER_RUNNING
        self._deadline = time.monotonic() + job["timeout"]
        source = job["source"] if len(job["source"]) <= MAX_SOURCE_CHARS else ""
        # A notebook that attaches later needs the source to show lines of the cell in a traceback.
        self._spool_frame(
            protocol.STATE, {"step": protocol.STEP_RUN, "filename": job["filename"], "source": source}
        )
        inputs = self._uploads.fileno(str(job["inputs"]))
        # The worker closes these: a descriptor that it also held would stay open when the supervisor closes it.
        own_files = [self._wake, self._wake_end, self._selector, self._spool, *self._clients.sockets]
        self._worker = worker = WorkerProcess(lambda worker: run_job(job, inputs, worker.pipes()), own_files)
        self._results = Results(job["exec"], worker.results)
        self._usage = None if job.get("local") or self._batch else UsageMeter()
        for fd in (worker.events, *worker.taps.values()):
            self._selector.register(fd, selectors.EVENT_READ, lambda: None)
        logger.debug("the worker has started: process %d", worker.pid)

    # -- frames of the worker --------------------------------------------------------------------

    def _relay_frames(self) -> None:
        worker = self._worker
        if worker is None or self.state != protocol.RUNNER_RUNNING:
            return
        ended = worker.status is not None  # checked before the pipes are read, so nothing is missed
        for frame in merge_stream_frames(list(worker.frames())):
            if frame.kind == protocol.LOG:
                logger.debug("worker: %s", frame.meta.get("text"))
            elif frame.kind == protocol.VALUES and self._results is not None:
                self._results.announce(frame.meta)
            elif frame.kind == protocol.RESULT:
                self._end = frame.meta
                self._kill_at = min(self._kill_at, time.monotonic() + self._shutdown_seconds())
            else:
                self._spool_frame(frame.kind, frame.meta, frame.data)
        if self._batch:  # no client waits meanwhile
            self._log.wait_for_room()
        if ended:
            self._finish(worker)

    def _spool_frame(self, kind: int, meta: Dict[str, Any], data: bytes = b"") -> None:
        meta = {**meta, "exec": self._job["exec"], "t": round(time.time(), 3)}
        seq = self._spool.last + 1
        frame = protocol.encode(kind, meta, data, seq)
        self._spool.append(frame)
        self._log.write_frame(kind, seq, frame, data)
        if kind == protocol.INPUT_REQUEST:
            self._last_asked = seq
            if self._batch:
                self._reply({"to": seq, "eof": True})

    def _send_usage(self) -> None:
        """Tell the clients about once a second what the container uses."""
        if self._usage is not None and self.state == protocol.RUNNER_RUNNING and self._clients.followed:
            usage = self._usage.measure()
            if usage is not None:
                self._clients.send(protocol.encode(protocol.USAGE, {"exec": self._job["exec"], **usage}))

    def _finish(self, worker: WorkerProcess) -> None:
        if self._end is not None and os.WIFSIGNALED(worker.status or 0):
            self._report_unfinished_shutdown(signal.Signals(os.WTERMSIG(worker.status or 0)))
        worker.kill(signal.SIGKILL)  # and the processes that it left running
        self._remove_folder()
        for key in list(self._selector.get_map().values()):
            if key.fd in (worker.events, *worker.taps.values()):
                self._selector.unregister(key.fileobj)
        worker.close()
        assert self._results is not None
        self._end, data = result_frame(worker, self._end, self._stop_reason, self._job, self._results)
        self._end["text"] = self._log.total
        logger.debug("the worker has ended: %s; the cell: %s", worker.end_in_words(), self._end["status"])
        self._spool_frame(protocol.RESULT, self._end, data)
        self.state = protocol.RUNNER_DONE
        self._kill_at = FOREVER
        if not self._clients.attached:
            self._clients.alone_since = time.monotonic()
        write_termination_message(self._end)
        if self._batch:
            self._announced = True
            self._exit_unclaimed(protocol.EXIT_NO_CLIENT)

    def _remove_folder(self) -> None:
        """Remove the folder of the notebook's own modules."""
        folder = self._job.pop("folder", "")
        if folder:
            # Start-up cost: few cells use local modules.
            import shutil

            shutil.rmtree(folder, ignore_errors=True)

    def _shutdown_seconds(self) -> float:
        """Return the seconds that the worker has for exit handlers and open files, once its result is here."""
        return max(float(self._job["grace"]), MIN_SHUTDOWN_SECONDS)

    def _report_unfinished_shutdown(self, number: signal.Signals) -> None:
        """Report on stderr of the cell that its process ended in its exit handlers."""
        text = f"podtask: the exit handlers of the cell ended with {number.name}; "
        if number == signal.SIGKILL:
            text = f"podtask: the exit handlers of the cell were killed after {self._shutdown_seconds():g} s (--grace); "
        text += "files that they write may be incomplete.\n"
        self._spool_frame(protocol.STREAM, {"name": "stderr"}, text.encode())

    # -- deadlines ---------------------------------------------------------------------------------

    def _next_deadline(self) -> float:
        deadlines = [self._deadline] if self.state == protocol.RUNNER_RUNNING else []
        if self._usage is not None and self.state == protocol.RUNNER_RUNNING and self._clients.followed:
            deadlines.append(self._usage.next_at)
        deadlines += [self._kill_at, self._clients.expiry()]
        deadlines.append(self._clients.alone_since + self._client_timeout())
        return min(*deadlines, time.monotonic() + 3600)

    def _client_timeout(self) -> float:
        """Return the seconds without a client after which the runner ends."""
        if self.state == protocol.RUNNER_WAITING:
            return self._wait
        linger = float(self._job["linger"])
        if self.state == protocol.RUNNER_RUNNING:
            # A notebook can find a pod again at any time, but not a local process.
            return linger if self._job.get("local") else FOREVER
        if self._stop_reason == protocol.STATUS_TERMINATED:
            return min(linger, TERMINATING_LINGER_SECONDS)
        return linger

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        self._clients.close_expired(now)
        if self._worker and self.state == protocol.RUNNER_RUNNING:
            if self._deadline <= now:
                self._stop(protocol.STATUS_TIMEOUT, float(self._job["grace"]))
            if self._kill_at <= now:
                self._kill_at = FOREVER
                logger.debug("killing the worker")
                self._worker.kill(signal.SIGKILL)
        elif self._signal_exit_code and (self._kill_at <= now or not self._clients.attached):
            self._exit_unclaimed(self._signal_exit_code)
        if self._clients.alone_since + self._client_timeout() <= now:
            self._exit_unclaimed(protocol.EXIT_NO_CLIENT)
        elif (
            self.state == protocol.RUNNER_DONE
            and not self._announced
            and self._clients.alone_since != FOREVER
        ):
            self._announced = True
            self._log.write_line(
                f"{protocol.RESULT_WAITS_PREFIX}{self._end and self._end['status']}); waits "
                f"{self._client_timeout():g} s for its notebook: %podtask attach"
            )

    def _exit_unclaimed(self, code: int) -> None:
        """Exit although no client has fetched the result; write the result to the log."""
        if self._worker and self.state == protocol.RUNNER_RUNNING:
            self._worker.kill(signal.SIGKILL)
        if self.state == protocol.RUNNER_DONE and self._exit is None:
            values = bool(self._job.get("log_result", True))
            write_record(self._spool, self._results, self._log, self._prove, values)
            # Tells other notebooks that the log has the result, where it always is in batch mode.
            code = self._cell_exit_code if self._batch else protocol.EXIT_NO_CLIENT
        self._exit = code

    @property
    def _cell_exit_code(self) -> int:
        """Exit code that tells Kubernetes how the cell has ended."""
        return 0 if self._end and self._end["status"] == protocol.STATUS_OK else 1

    def _stop(self, reason: str, seconds: float) -> None:
        """Interrupt the cell; kill it after ``seconds``."""
        assert self._worker is not None
        self._stop_reason = self._stop_reason or reason
        self._deadline = FOREVER
        logger.debug("stopping the cell (%s); it is killed after %g s", reason, seconds)
        self._kill_at = min(self._kill_at, time.monotonic() + seconds)
        self._worker.kill(signal.SIGINT)

    def _on_terminate(self, number: int, frame: Any) -> None:
        if self._worker and self.state == protocol.RUNNER_RUNNING:
            if self._stop_reason == protocol.STATUS_TERMINATED:  # the second signal kills at once
                self._worker.kill(signal.SIGKILL)
                self._exit = 128 + number
            self._stop(protocol.STATUS_TERMINATED, float(self._job["grace"]))
        else:  # a client that fetches the result has the cell's grace period
            self._signal_exit_code = 128 + number
            self._kill_at = time.monotonic() + float(self._job.get("grace", 0))


def _checked_offset(value: Any) -> int:
    """Return an offset that a client has sent.

    Raises:
        ValueError: It is negative.
    """
    offset = int(value)
    if offset < 0:
        raise ValueError(value)
    return offset


def _job_problem(job: Dict[str, Any]) -> str:
    """Return the problem with the meta of a run frame; empty if there is none."""
    for name, kind in JOB_FIELDS.items():
        if not isinstance(job.get(name), kind):
            return f"{name} of the cell is missing or has another type"
    times = [job["timeout"], job["linger"], job["grace"]]
    return "" if all(seconds >= 0 for seconds in times) else "a time limit of the cell is not a number"


def main(
    listener: Any, client: Any, prove: Callable[..., str], lock: str, wait: float, enclosure: bytes
) -> None:
    """Serve the task, then exit even if threads are running."""
    os._exit(Supervisor(listener, prove, lock, wait).serve(client, enclosure))
