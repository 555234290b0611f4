"""The main loop of the runner: clients, executions, the spool, deadlines.

It has one thread and one selector, and never blocks. It outlives the workers and reports how each one
died. It executes one cell at a time. The result frame is the last one of an execution in the spool.
Each cell has a worker of its own; the cells of a session share one (``session.py``).
"""

import json
import os
import selectors
import signal
import socket
import sys
import time
import zlib
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Set, Tuple

from .. import protocol
from ..debug_log import logger
from ..worker import import_hooks
from . import batch_log
from .clients import FOREVER, Clients
from .connection import Connection
from .container_log import LogCopy
from .enclosure import read_enclosure
from .execution import Execution
from .spool import Spool
from .uploads import Uploads
from .verdict import write_record, write_termination_message
from .worker_process import merge_stream_frames, reap_children, signal_sockets

TERMINATING_LINGER_SECONDS = 2  # for a client to reconnect while the pod is being terminated
MAX_SOURCE_CHARS = 256 << 10
# Frames that only a client with the owner's secret may send; all others may follow and fetch.
OWNER_KINDS = (
    *(protocol.BLOB, protocol.RUN, protocol.INTERRUPT, protocol.INPUT_REPLY, protocol.ACK, protocol.EXTEND),
    protocol.ITEM,
    protocol.STACKS,
)
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
    """The state and the main loop of a runner, which executes cells until a client releases it.

    Args:
        listener: Listening socket on the pod's loopback.
        prove: Returns the HMAC of the task's key.
        lock: Hash of the owner's secret.
        wait: Maximum time in seconds to wait for a client with the cell.
        read_files: Returns program and cell from the files of the pod, or nothing while they are incomplete; None if the
            pod does not bring the cell, or has brought it.
    """

    def __init__(
        self,
        listener: socket.socket,
        prove: Callable[..., str],
        lock: str,
        wait: float,
        read_files: Optional[Callable[[], bytes]] = None,
    ) -> None:
        self._prove = prove
        self._wait = wait
        self._read_files = read_files
        self._files_at = 0.0  # when it looks for these files next (monotonic)
        self._selector = selectors.DefaultSelector()
        self._clients = Clients(self._selector, listener, prove, lock)
        self._spool = Spool()
        self._uploads = Uploads()
        self._batch = False  # whether no client connects, and all frames go to the log
        self._execution: Optional[Execution] = None  # the newest one that has started
        self._kept: Dict[
            str, Execution
        ] = {}  # those whose values and frames a client may still need, in order
        self._waiting_jobs: Deque[Dict[str, Any]] = (
            deque()
        )  # of executions that start when those before have ended
        self._known: Set[str] = set()  # names of all executions so far
        self._session: Any = None  # the Session, once a cell of one was sent
        self._stack_dump: Any = None  # the StackDump that arrives
        self._exit: Optional[int] = None
        self._signal_exit_code = 0  # the exit code for a signal that came when no cell ran
        self._exit_at = FOREVER  # when it exits after that signal (monotonic)
        self._last_asked = 0  # number of the last frame with a question
        self._last_answered = 0  # number of the last frame with a question that was answered
        self._log = LogCopy(1)
        self._webhook_calls: Dict[int, Tuple[str, Any]] = {}  # descriptor -> name of the task, and the call
        self._notes: List[bytes] = []  # frames for the clients that attach later
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
            self._clients.send_pending(self._spool, [each.results for each in self._kept.values()])
            self._check_deadlines()
        self._finish_webhook_calls()
        self._clients.finish(protocol.encode(protocol.CLOSE, {"reason": protocol.CLOSE_RELEASED}))
        for execution in self._kept.values():
            execution.close()
        if self._session is not None:
            self._session.close()
        return self._exit

    @property
    def state(self) -> str:
        """Whether the runner waits for a cell or its inputs, executes one, or has executed all that it was sent."""
        return protocol.RUNNER_WAITING if self._execution is None else self._execution.state

    @property
    def _running(self) -> Optional[Execution]:
        return self._execution if self._execution is not None and self._execution.is_running else None

    # -- sockets -------------------------------------------------------------------------------

    def _on_signal(self) -> None:
        self._wake.recv(4096)
        ended = reap_children()
        if self._session is not None and self._session.worker is not None:
            worker = self._session.worker
            worker.status = ended.get(worker.pid, worker.status)
        if self._execution is not None and self._execution.worker.pid in ended:
            self._execution.worker.status = ended[self._execution.worker.pid]

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
        elif frame.kind == protocol.INPUT_REPLY:
            self._reply(meta)
        elif frame.kind == protocol.ITEM:
            self._receive_item(frame)
        else:
            self._handle_command(client, frame.kind, meta)

    def _handle_command(self, client: Connection, kind: int, meta: Dict[str, Any]) -> None:
        """Handle a frame that names its execution."""
        if kind == protocol.FETCH and meta["exec"] in self._known:
            client.values_wanted[meta["exec"]] = int(meta["attempt"]), _checked_offset(meta["offset"])
        elif kind == protocol.INTERRUPT:
            if self._running is not None and self._running.name == meta["exec"]:
                if meta.get("kill"):
                    self._running.worker.kill(signal.SIGKILL)
                self._running.interrupt(int(meta["n"]))
        elif kind == protocol.EXTEND:
            if self._session is not None:
                self._session.extend(float(meta["seconds"]))
                self._send_session()
        elif kind == protocol.STACKS:
            self._begin_stack_dump(client, int(meta["n"]))
        elif kind == protocol.ACK:
            self._acknowledge(str(meta["exec"]), bool(meta.get("release")))

    def _acknowledge(self, name: str, release: bool) -> None:
        """Free the frames and values of an execution that a client has; exit if it needs the runner no longer."""
        execution = self._kept.get(name)
        if execution is not None and not execution.is_running:
            if execution.stays:
                self._free_before(name)
            del self._kept[name]
            execution.close()
            used = [each.job for each in self._kept.values()] + [*self._waiting_jobs]
            if execution.job["inputs"] not in [job["inputs"] for job in used]:
                self._uploads.drop(str(execution.job["inputs"]))
            if execution.stays:  # a client sends it once more only before it has the result
                self._known.discard(name)
            oldest = min((each.first_seq for each in self._kept.values()), default=self._spool.last + 1)
            self._spool.trim(oldest - 1)
        if release and self._session is not None:
            if self._running is None:
                self._session.end(protocol.CLOSE_RELEASED)
        elif release and self._execution is not None and self._running is None:
            self._exit = self._execution.exit_code

    def _free_before(self, name: str) -> None:
        """Free the executions of a session before this one: their acknowledgments were lost with a connection."""
        for earlier in list(self._kept):
            if earlier == name:
                return
            self._known.discard(earlier)
            self._kept.pop(earlier).close()

    def _reply(self, meta: Dict[str, Any]) -> None:
        """Answer each question once: a new connection repeats the last answer."""
        number = int(meta["to"])
        is_asked = number == self._last_asked > self._last_answered  # the worker reads the answer at once
        if self._running is not None and is_asked:
            self._last_answered = number
            self._running.worker.reply(json.dumps(meta).encode())

    def _attach(self, client: Connection, meta: Dict[str, Any]) -> None:
        if meta.get("proto") != protocol.PROTOCOL_VERSION:
            text = f"the runner speaks protocol {protocol.PROTOCOL_VERSION}, the client {meta.get('proto')}"
            logger.debug("turned away a client: %s", text)
            client.finish(protocol.encode(protocol.ERROR, {"code": "proto", "text": text}))
            return
        if meta.get("visit") is not None:
            self._receive_visit(client, meta["visit"])
            return
        name, after_seq = str(meta.get("client")), int(meta.get("after_seq", 0))
        has_job = client.is_owner and meta.get("job", True)
        has_no_job = self.state == protocol.RUNNER_WAITING and len(self._kept) < 2 and not has_job
        if not client.is_owner:
            if not self._clients.admit_follower(client, name):
                return
        elif self._clients.dismiss_displaced(client, name):
            return
        elif not has_no_job:
            is_another = self._clients.take_over(client, name, meta.get("who"))
            if is_another and self._running is not None:
                self._running.forget_interrupts()
        self._greet(client)
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

    def _receive_visit(self, client: Connection, visit: Dict[str, Any]) -> None:
        """Tell a client the state of the session, and let it extend it; the notebook that follows it goes on."""
        if "extend" in visit and client.is_owner and self._session is not None:
            self._session.extend(float(visit["extend"]))
            self._send_session()
        self._greet(client)
        client.finish(protocol.encode(protocol.CLOSE, {"reason": protocol.CLOSE_VISITED}))

    def _greet(self, client: Connection) -> None:
        """Send a client that attaches the state of the runner."""
        hello = {
            "proto": protocol.PROTOCOL_VERSION,
            "python": sys.version.split()[0],
            "state": self.state,
            "executions": [
                {
                    "exec": name,
                    "state": execution.state,
                    "first_seq": execution.first_seq,
                    "items": execution.received_items,
                }
                for name, execution in self._kept.items()
            ],
            "have": self._uploads.sizes(),
            "first_seq": self._spool.first,
            "last_seq": self._spool.last,
            "answered": self._last_answered,
        }
        client.send(protocol.encode(protocol.HELLO, hello))
        for note in self._notes:
            client.send(note)
        if self._session is not None:
            client.send(self._session_frame())

    def _receive_job(self, frame: protocol.Frame) -> str:
        """Store inputs, or run the cell; return an error message, empty on success."""
        meta = frame.meta
        if frame.kind == protocol.BLOB:
            error = self._uploads.put(str(meta["id"]), int(meta["offset"]), frame.data)
            if not error and self._running is not None and self._running.job["inputs"] == meta["id"]:
                self._receive_inputs(self._running)
            return error
        error = _job_problem(meta)
        if not error and meta["exec"] not in self._known:  # a client that reconnects sends it again
            self._known.add(meta["exec"])
            self._waiting_jobs.append(meta)
            self._start_next()
        return error

    def _receive_item(self, frame: protocol.Frame) -> None:
        """Pass an item on to the worker of a map; free the frames that the client has."""
        execution = self._running
        if execution is not None and execution.name == frame.meta["exec"] and execution.takes_items:
            execution.receive_item(frame)
            self._spool.trim(min(int(frame.meta["have"]), self._spool.last))

    def _receive_inputs(self, execution: Execution) -> None:
        """Tell an execution what has arrived of its inputs, and the clients when it has all that it needs."""
        job = execution.job
        if execution.receive_inputs(self._uploads.size(str(job["inputs"]))):
            source = job["source"] if len(job["source"]) <= MAX_SOURCE_CHARS else ""
            # A notebook that attaches later needs the source to show lines of the cell in a traceback.
            state = {"step": protocol.STEP_RUN, "filename": job["filename"], "source": source}
            state["notify"] = bool(job.get("notify"))
            self._spool_frame(protocol.STATE, state)

    def _run_from_files(self, now: float) -> None:
        """Run the cell from the files of the pod if the client that was first went away before it had sent all of it."""
        if not self._waits_for_files or self._files_at > now:
            return
        assert self._read_files is not None
        found = self._read_files()
        self._files_at = now + protocol.FILE_SECONDS
        if found:
            self._read_files = None
            program = zlib.decompressobj()
            program.decompress(found)
            self._run_enclosed(program.unused_data)

    @property
    def _waits_for_files(self) -> bool:
        is_waiting = self.state == protocol.RUNNER_WAITING and not self._clients.attached
        return self._read_files is not None and is_waiting

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

    def _start_next(self) -> None:
        """Start the next execution, if there is one and no other one runs."""
        if self._running is not None or not self._waiting_jobs:
            return
        job = self._waiting_jobs.popleft()
        if job.get("session") and not self._begin_in_session(job):
            self._start_next()
            return
        inputs = self._uploads.fileno(str(job["inputs"])) if job["inputs"] else None
        is_measured = not (job.get("local") or self._batch)
        self._execution = self._new_execution(job, inputs, is_measured)
        self._kept[self._execution.name] = self._execution
        self._receive_inputs(self._execution)
        watched = self._selector.get_map()
        for fd in self._execution.pipes:
            if fd not in watched:  # as those of a session's worker are from its first cell on
                self._selector.register(fd, selectors.EVENT_READ, lambda: None)
        for frame in self._session.take_kept() if self._execution.stays else ():
            self._spool_frame(frame.kind, frame.meta, frame.data)

    def _new_execution(self, job: Dict[str, Any], inputs: Optional[int], is_measured: bool) -> Execution:
        first_seq = self._spool.last + 1
        if job.get("items"):
            import_hooks.install(None)
            # Start-up cost: few cells run in workers of maps.
            from .items import MAX_SPOOL_BYTES, ItemExecution

            self._spool.limit = MAX_SPOOL_BYTES
            return ItemExecution(self._selector, job, inputs, self._own_files(), first_seq, is_measured)
        if not job.get("session"):
            return Execution(job, inputs, self._own_files(), first_seq, is_measured)
        # Start-up cost: most cells run without a session.
        from .session import SessionExecution

        own = [] if self._session.is_alive else self._own_files()
        return SessionExecution(self._session, job, inputs, own, first_seq, is_measured)

    def _begin_in_session(self, job: Dict[str, Any]) -> bool:
        """Create the session with its first cell; return False for a cell that counts on names that are lost."""
        if self._session is None:
            import_hooks.install(None)
        # Start-up cost, as above.
        from .session import Session, refusal

        if self._session is not None and self._session.worker is not None and not self._session.is_alive:
            self._relay_between_cells()
        why = refusal(job, self._session)
        if why:
            end = {"status": protocol.STATUS_CRASHED, "unrun": why, "exec": job["exec"], "size": 0}
            self._spool_frame(protocol.RESULT, end)
            return False
        if self._session is None:
            self._session = Session(job)
        return True

    def _own_files(self) -> List[Any]:
        """Return the files and sockets that a forked process must close."""
        files = [self._wake, self._wake_end, self._selector, self._spool, *self._clients.sockets]
        return files + [each.results for each in self._kept.values()]

    # -- frames of the worker --------------------------------------------------------------------

    def _relay_frames(self) -> None:
        execution = self._running
        if execution is None:
            if self._session is not None and self._session.worker is not None:
                self._relay_between_cells()
            return
        ended = execution.worker.status is not None  # checked before the pipes are read, so nothing is missed
        for frame in merge_stream_frames(list(execution.worker.frames())):
            if execution.is_running:
                self._receive_worker_frame(execution, frame)
                if execution.stays and frame.kind == protocol.RESULT and not ended:
                    self._finish(execution)
            else:  # of a thread that the cell of a session has left
                self._session.keep_frame(frame)
        if self._batch:  # no client waits meanwhile
            self._log.wait_for_room()
        if ended and execution.is_running:
            self._finish(execution)
        elif not execution.is_running:
            self._start_next()

    def _receive_worker_frame(self, execution: Execution, frame: protocol.Frame) -> None:
        if frame.kind == protocol.LOG:
            logger.debug("worker: %s", frame.meta.get("text"))
        elif frame.kind == protocol.VALUES:
            execution.results.announce(frame.meta)
        elif frame.kind == protocol.RESULT:
            execution.receive_result(frame.meta)
        else:
            self._spool_frame(frame.kind, frame.meta, frame.data)

    def _relay_between_cells(self) -> None:
        """Receive what threads write that a cell of the session has left; notice the end of the worker."""
        worker = self._session.worker
        ended = worker.status is not None
        for frame in merge_stream_frames(list(worker.frames())):
            self._session.keep_frame(frame)
        if ended:
            self._unregister(self._session.pipes)
            self._session.drop_worker()
            self._send_session()

    def _send_session(self) -> None:
        """Tell the clients the state of the session."""
        self._clients.send(self._session_frame())

    def _session_frame(self) -> bytes:
        meta = {**self._session.state(), "followed": self._clients.attached}
        return protocol.encode(protocol.SESSION, meta)

    def _begin_stack_dump(self, client: Connection, number: int) -> None:
        """Let the worker write the stacks of its threads; the answer follows once they are complete."""
        worker = self._running.worker if self._running is not None else None
        if worker is None and self._session is not None:
            worker = self._session.worker
        if worker is None or worker.status is not None:
            client.send(protocol.encode(protocol.STACK_DUMP, {"n": number}))
            return
        if self._stack_dump is None:
            import_hooks.install(None)
            # Start-up cost: few tasks are asked.
            from .stack_dump import StackDump

            self._stack_dump = StackDump(worker)
            self._selector.register(worker.stacks, selectors.EVENT_READ, self._stack_dump.receive)
        self._stack_dump.clients.append((client, number))

    def _end_stack_dump(self) -> None:
        """Answer who waits for the stacks of a worker: they are complete, or the worker has ended."""
        if self._stack_dump is not None:
            self._selector.unregister(self._stack_dump.worker.stacks)
            self._stack_dump.receive()
            self._stack_dump.answer()
            self._stack_dump = None

    def _unregister(self, pipes: List[int]) -> None:
        self._end_stack_dump()
        for key in list(self._selector.get_map().values()):
            if key.fd in pipes:
                self._selector.unregister(key.fileobj)

    def _spool_frame(self, kind: int, meta: Dict[str, Any], data: bytes = b"") -> None:
        name = "" if self._execution is None else self._execution.name
        meta = {"exec": name, **meta, "t": round(time.time(), 3)}
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
        if self._running is not None and self._running.usage is not None and self._clients.followed:
            usage = self._running.usage.measure()
            if usage is not None:
                self._clients.send(protocol.encode(protocol.USAGE, {"exec": self._running.name, **usage}))
                warning = self._running.usage.memory_warning(usage) if self._running.stays else ""
                if warning:
                    self._clients.send(protocol.encode(protocol.NOTE, {"text": warning}))

    def _finish(self, execution: Execution) -> None:
        report = execution.shutdown_report()
        if report:
            self._spool_frame(protocol.STREAM, {"name": "stderr"}, report.encode())
        if not execution.stays or execution.worker.status is not None:
            self._unregister(execution.pipes)
        end, data = execution.finish()
        end["text"] = self._log.total
        webhook = (execution.job.get("notify") or {}).get("url", "")
        end["notifies"] = bool(webhook)
        self._spool_frame(protocol.RESULT, end, data)
        if not self._clients.attached:
            self._clients.alone_since = time.monotonic()
        if not execution.stays:
            write_termination_message(end)
        if self._batch:
            execution.is_announced = True
            self._exit_unclaimed(protocol.EXIT_NO_CLIENT)
        if webhook:
            self._call_webhook(execution)
        if not execution.stays:
            self._start_next()

    # -- notification ------------------------------------------------------------------------------

    def _call_webhook(self, execution: Execution) -> None:
        """Begin to call the webhook of a cell that has ended."""
        import_hooks.install(None)
        # Start-up cost: few tasks need it.
        from .webhook import WebhookCall

        notify, seconds = execution.job["notify"], time.monotonic() - execution.began
        status = str(execution.end and execution.end["status"])
        call = WebhookCall(notify["url"], notify["name"], status, seconds, self._own_files())
        self._webhook_calls[call.answer] = notify["name"], call
        self._selector.register(call.answer, selectors.EVENT_READ, lambda: self._finish_webhook_call(call, 0))

    def _finish_webhook_calls(self) -> None:
        """Wait for the calls of webhooks, as long as a pod that is deleted has."""
        if self._webhook_calls:
            # Start-up cost, as above.
            from .webhook import RELEASED_SECONDS

            until = time.monotonic() + RELEASED_SECONDS
            for _, call in list(self._webhook_calls.values()):
                self._finish_webhook_call(call, max(0.0, until - time.monotonic()))

    def _finish_webhook_call(self, call: Any, wait_seconds: float) -> None:
        """Tell the clients and the log if a call has failed."""
        # Start-up cost, as above.
        from .webhook import problem_note

        name, _ = self._webhook_calls.pop(call.answer)
        self._selector.unregister(call.answer)
        problem = call.finish(wait_seconds)
        if problem:
            text = problem_note(name, problem)
            self._notes.append(protocol.encode(protocol.NOTE, {"text": text}))
            self._clients.send(self._notes[-1])
            self._log.write_line(f"podtask: {text}")

    # -- deadlines ---------------------------------------------------------------------------------

    def _next_deadline(self) -> float:
        deadlines = [
            self._exit_at,
            self._clients.expiry(),
            self._clients.alone_since + self._client_timeout(),
        ]
        if self._waits_for_files:
            deadlines.append(self._files_at)
        if self._stack_dump is not None:
            deadlines.append(self._stack_dump.due)
        if self._session is not None:
            deadlines.append(self._session.deadline)
        if self._running is not None:
            deadlines.append(self._running.next_deadline)
            if self._running.usage is not None and self._clients.followed:
                deadlines.append(self._running.usage.next_at)
        return min(*deadlines, time.monotonic() + 3600)

    def _client_timeout(self) -> float:
        """Return the seconds without a client after which the runner ends."""
        execution = self._execution
        if self._session is not None:  # another notebook can find a pod, but not a local process
            return float(execution.job["linger"]) if execution and execution.job.get("local") else FOREVER
        if execution is None or execution.state == protocol.RUNNER_WAITING:
            return self._wait
        linger = float(execution.job["linger"])
        if execution.is_running:
            # A notebook can find a pod again at any time, but not a local process. Only the notebook of a map has
            # items for its workers.
            return linger if execution.job.get("local") or execution.takes_items else FOREVER
        if execution.stop_reason == protocol.STATUS_TERMINATED:
            return min(linger, TERMINATING_LINGER_SECONDS)
        return linger

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        self._clients.close_expired(now)
        if self._stack_dump is not None and self._stack_dump.due <= now:
            self._end_stack_dump()
        self._run_from_files(now)
        execution = self._execution
        if self._session is not None and self._check_session(now):
            return
        if self._running is not None:
            self._running.check_deadlines(now)
        elif self._signal_exit_code and (self._exit_at <= now or not self._clients.attached):
            self._exit_unclaimed(self._signal_exit_code)
        if self._clients.alone_since + self._client_timeout() <= now:
            self._exit_unclaimed(protocol.EXIT_NO_CLIENT)
        elif execution is None or execution.is_running or execution.is_announced or execution.stays:
            return
        elif execution.name in self._kept and self._clients.alone_since != FOREVER:
            execution.is_announced = True
            self._log.write_line(
                f"{protocol.RESULT_WAITS_PREFIX}{execution.end and execution.end['status']}); waits "
                f"{self._client_timeout():g} s for its notebook: %podtask attach"
            )

    def _check_session(self, now: float) -> bool:
        """End the session if its time is over or a client has ended it; return whether the runner exits."""
        session = self._session
        reason = session.ends or session.end_reason(now)
        if reason and self._running is not None:
            if not self._running.stop_reason:
                self._running.stop(protocol.STATUS_TERMINATED)
        elif reason:
            self._waiting_jobs.clear()
            session.end(reason)
            if not session.is_alive or session.kill_at <= now:
                if not self._signal_exit_code and reason in (protocol.CLOSE_IDLE, protocol.CLOSE_OLD):
                    self._log.write_line(f"podtask: the session has ended ({reason})")
                    self._clients.finish(protocol.encode(protocol.CLOSE, {"reason": reason}))
                    is_old = reason == protocol.CLOSE_OLD
                    code = protocol.EXIT_SESSION_OLD if is_old else protocol.EXIT_SESSION_ENDED
                    self._exit_unclaimed(code)
                    self._exit = code
                else:
                    self._exit = self._signal_exit_code
        return self._exit is not None

    def _exit_unclaimed(self, code: int) -> None:
        """Exit although no client has released the runner; write a result that nobody has to the log."""
        execution = self._execution
        if execution is not None and not execution.is_running and self._exit is None:
            if execution.name in self._kept:
                values = bool(execution.job.get("log_result", True))
                write_record(self._spool, execution.results, self._log, self._prove, values)
                # Tells other notebooks that the log has the result, where it always is in batch mode.
                code = execution.exit_code if self._batch else protocol.EXIT_NO_CLIENT
            else:
                code = execution.exit_code
        self._exit = code

    def _on_terminate(self, number: int, frame: Any) -> None:
        self._waiting_jobs.clear()
        if self._running is not None:
            if self._running.stop_reason == protocol.STATUS_TERMINATED:  # the second signal kills at once
                self._running.worker.kill(signal.SIGKILL)
                self._exit = 128 + number
            self._running.stop(protocol.STATUS_TERMINATED)
            if self._session is not None:
                self._signal_exit_code = 128 + number
                self._session.end(protocol.CLOSE_RELEASED)
        elif self._session is not None:
            self._signal_exit_code = 128 + number
            self._session.end(protocol.CLOSE_RELEASED)
        else:  # a client that fetches the result has the cell's grace period
            self._signal_exit_code = 128 + number
            grace = 0 if self._execution is None else float(self._execution.job["grace"])
            self._exit_at = time.monotonic() + grace


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
    notify = job.get("notify") or {}
    if not isinstance(notify, dict) or not all(
        isinstance(notify.get(key, ""), str) for key in ("url", "name")
    ):
        return "notify of the cell has another type"
    session = job.get("session") or {}
    if not isinstance(session, dict) or not all(
        isinstance(session.get(key, 0), NUMBER) for key in ("idle", "max", "number")
    ):
        return "session of the cell has another type"
    if not isinstance(job.get("items") or {}, dict):
        return "items of the cell has another type"
    times = [job["timeout"], job["linger"], job["grace"], *session.values()]
    return "" if all(seconds >= 0 for seconds in times) else "a time limit of the cell is not a number"


def main(
    listener: Any,
    client: Any,
    prove: Callable[..., str],
    lock: str,
    wait: float,
    enclosure: bytes,
    read_files: Any,
) -> None:
    """Serve the task, then exit even if threads are running."""
    os._exit(Supervisor(listener, prove, lock, wait, read_files or None).serve(client, enclosure))
