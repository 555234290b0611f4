"""The runner's main loop: clients, one worker, the spool, the bounds.

One thread, one selector, nothing that blocks. It outlives the worker and says how that died. The
``end`` frame is the verdict on the task; nothing comes after it in the spool.
"""

import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any, Callable, Dict, Optional

from .. import protocol
from ..worker import main as worker
from . import batch_log
from .clients import FOREVER, Clients
from .connection import Connection
from .container_log import LogCopy
from .results import Results
from .spool import Spool
from .uploads import Blobs
from .verdict import leave_note, leave_record, verdict
from .worker_process import Child, merged, reap, wakeup

ORPHAN_SECONDS = 1  # for what the worker leaves running
STOPPED_SECONDS = 2  # for a client to connect again, where the pod itself is being ended
LONGEST_SOURCE = 256 << 10


class Supervisor:
    """Serves one task from the first client to the release.

    Args:
        listener: the listening socket of the pod's loopback.
        prove: the HMAC of the task's key.
        wait: seconds to wait for a client with the cell.
    """

    def __init__(self, listener: socket.socket, prove: Callable[..., str], wait: float) -> None:
        self.state = "waiting"
        self._prove = prove
        self._wait = wait
        self._selector = selectors.DefaultSelector()
        self._clients = Clients(self._selector, listener, prove)
        self._spool = Spool()
        self._blobs = Blobs()
        self._batch = False  # nobody comes: all goes to the log
        self._job: Dict[str, Any] = {}
        self._child: Optional[Child] = None
        self._end: Optional[Dict[str, Any]] = None
        self._results: Optional[Results] = None
        self._exit: Optional[int] = None
        self._stopped = 0  # the exit code for a signal that came when no cell ran
        self._interrupts = 0
        self._answered = 0  # number of the frame with the last question that has its answer
        self._why = ""  # what ends the worker, other than itself
        self._deadline = FOREVER
        self._kill_at = FOREVER
        self._log: Any = LogCopy(1)
        self._told = False  # the log says that the result waits, or has it
        self._wake, self._wake_end = wakeup()
        listener.setblocking(False)
        signal.signal(signal.SIGTERM, self._on_terminate)
        signal.signal(signal.SIGINT, self._on_terminate)

    def serve(self, sock: Optional[socket.socket], given: bytes) -> int:
        """Runs until the task is released or a bound ends it; returns the exit code.

        Args:
            sock: of the first client; None in batch mode, where ``given`` frames bring the cell.
            given: else nothing.
        """
        if sock is not None:
            self._clients.add(sock, trusted=True)
        else:
            self._batch, self._log = True, batch_log.FrameLog(1, self._prove)
        for frame in protocol.Decoder().feed(given):
            self._work(frame)
        self._selector.register(self._wake, selectors.EVENT_READ, self._woken)
        while self._exit is None:
            self._log.watch(self._selector)
            self._clients.watch()
            left = max(0.0, self._next_bound() - time.monotonic())
            for key, mask in self._selector.select(left):
                if isinstance(key.data, Connection):
                    if mask & selectors.EVENT_READ:
                        for frame in key.data.receive():
                            self._take(key.data, frame)
                else:
                    key.data()
            self._relay()
            self._clients.fill(self._spool, self._results)
            self._check_bounds()
        self._clients.finish(protocol.encode(protocol.CLOSE, {"reason": protocol.CLOSE_RELEASED}))
        return self._exit

    # -- sockets -------------------------------------------------------------------------------

    def _woken(self) -> None:
        self._wake.recv(4096)
        ended = reap()
        if self._child and self._child.pid in ended:
            self._child.status = ended[self._child.pid]

    # -- frames of the client --------------------------------------------------------------------

    def _take(self, client: Connection, frame: protocol.Frame) -> None:
        meta = frame.meta
        if frame.kind == protocol.ATTACH:
            self._attach(client, meta)
        elif frame.kind == protocol.PING:
            client.send(protocol.encode(protocol.PONG, {"t": meta.get("t")}))
        elif client.cursor is None:
            client.finish(protocol.encode(protocol.ERROR, {"code": "order", "text": "attach comes first"}))
        elif frame.kind in (protocol.BLOB, protocol.RUN):
            wrong = self._work(frame)
            if wrong:
                client.finish(protocol.encode(protocol.ERROR, {"code": "blob", "text": wrong}))
        elif frame.kind == protocol.FETCH and self.state == "done":
            client.upload = int(meta["offset"])
        elif frame.kind == protocol.INTERRUPT:
            self._interrupt(int(meta["n"]))
        elif frame.kind == protocol.INPUT_REPLY:
            self._reply(meta)
        elif frame.kind == protocol.ACK and self.state == "done" and meta.get("taken"):
            self._exit = 0 if self._end and self._end["status"] == "ok" else 1

    def _interrupt(self, number: int) -> None:
        """Interrupts the cell once for each number: a new connection repeats the last one."""
        if self._child and self.state == "running" and number > self._interrupts:
            self._interrupts = number
            self._child.kill(signal.SIGINT)

    def _reply(self, meta: Dict[str, Any]) -> None:
        """Answers each question once: a new connection repeats the last answer."""
        if self._child and self.state == "running" and int(meta["to"]) > self._answered:
            self._answered = int(meta["to"])
            self._child.reply(json.dumps(meta).encode())

    def _attach(self, client: Connection, meta: Dict[str, Any]) -> None:
        if meta.get("proto") != protocol.PROTOCOL_VERSION:
            text = f"the runner speaks protocol {protocol.PROTOCOL_VERSION}, the client {meta.get('proto')}"
            client.finish(protocol.encode(protocol.ERROR, {"code": "proto", "text": text}))
            return
        name = str(meta.get("client"))
        if self._clients.displaced(client, name):
            return
        bare = self.state == "waiting" and not meta.get("job", True)  # has no cell to give us
        if not bare and self._clients.take_over(client, name, meta.get("who")):
            self._interrupts = 0
        hello = {
            "proto": protocol.PROTOCOL_VERSION,
            "python": sys.version.split()[0],
            "state": self.state,
            "have": self._blobs.have(),
            "first_seq": self._spool.first,
            "last_seq": self._spool.last,
            "answered": self._answered,
        }
        client.send(protocol.encode(protocol.HELLO, hello))
        if bare:
            client.finish(protocol.encode(protocol.CLOSE, {"reason": protocol.CLOSE_NO_JOB}))
            return
        client.cursor = int(meta.get("after_seq", 0)) + 1

    def _work(self, frame: protocol.Frame) -> str:
        """Takes inputs, or the cell; returns what is wrong, empty where nothing is."""
        meta = frame.meta
        if frame.kind == protocol.BLOB:
            return self._blobs.put(str(meta["id"]), int(meta["offset"]), frame.data)
        if self.state != "waiting":
            return ""  # a client that connects again says it again
        wrong = self._blobs.lacks(str(meta["inputs"]), meta["inputs_size"])
        if not wrong:
            self._run(meta)
        return wrong

    def _run(self, job: Dict[str, Any]) -> None:
        self._job = job
        self.state = "running"
        self._deadline = time.monotonic() + job["timeout"]
        source = job["source"] if len(job["source"]) <= LONGEST_SOURCE else ""
        # For a notebook that comes later: it has no such cell, whose lines an error may show.
        self._keep(protocol.STATE, {"step": "run", "filename": job["filename"], "source": source})
        inputs = self._blobs.fileno(str(job["inputs"]))
        # In the worker they are closed: what it held too would never end for the selector here.
        ours = [self._wake, self._wake_end, self._selector, self._spool, *self._clients.sockets]
        self._child = child = Child(lambda child: worker.main(job, inputs, child), ours)
        for fd in (child.events, *child.taps.values()):
            self._selector.register(fd, selectors.EVENT_READ, lambda: None)

    # -- frames of the worker --------------------------------------------------------------------

    def _relay(self) -> None:
        child = self._child
        if child is None or self.state != "running":
            return
        ended = child.status is not None  # known before the pipes are read, so they are complete
        for frame in merged(list(child.frames())):
            if frame.kind == protocol.RESULT:
                self._end = frame.meta
                self._kill_at = min(self._kill_at, time.monotonic() + ORPHAN_SECONDS)
            else:
                self._keep(frame.kind, frame.meta, frame.data)
        if ended:
            self._finish(child)

    def _keep(self, kind: int, meta: Dict[str, Any], data: bytes = b"") -> None:
        meta = {**meta, "t": round(time.time(), 3)}
        seq = self._spool.last + 1
        frame = protocol.encode(kind, meta, data, seq)
        self._spool.append(frame)
        self._log.take(kind, seq, frame, data)
        if self._batch and kind == protocol.INPUT_REQUEST:
            self._reply({"to": seq, "eof": True})

    def _finish(self, child: Child) -> None:
        child.kill(signal.SIGKILL)  # what the worker left running
        for key in list(self._selector.get_map().values()):
            if key.fd in (child.events, *child.taps.values()):
                self._selector.unregister(key.fileobj)
        child.close()
        self._results = Results(child.results)
        self._end, data = verdict(child, self._end, self._why, self._job, self._results)
        self._end["text"] = self._log.total
        self._keep(protocol.RESULT, self._end, data)
        self.state = "done"
        self._kill_at = FOREVER
        if not self._clients.attached:
            self._clients.alone_since = time.monotonic()
        leave_note(self._end)
        if self._batch:
            self._told = True
            self._leave(protocol.EXIT_NO_CLIENT)

    # -- bounds ------------------------------------------------------------------------------------

    def _next_bound(self) -> float:
        bounds = [self._deadline] if self.state == "running" else []
        bounds += [self._kill_at, self._clients.expires()]
        bounds.append(self._clients.alone_since + self._patience())
        return min(*bounds, time.monotonic() + 3600)

    def _patience(self) -> float:
        """Seconds without a client until the runner ends."""
        if self.state == "waiting":
            return self._wait
        linger = float(self._job["linger"])
        if self.state == "running":  # a notebook finds its way back to a pod, not to a process
            return linger if self._job.get("local") else FOREVER
        return min(linger, STOPPED_SECONDS) if self._why == "terminated" else linger

    def _check_bounds(self) -> None:
        now = time.monotonic()
        self._clients.expire(now)
        if self._child and self.state == "running":
            if self._deadline <= now:
                self._stop("timeout", float(self._job["grace"]))
            if self._kill_at <= now:
                self._kill_at = FOREVER
                self._child.kill(signal.SIGKILL)
        elif self._stopped and (self._kill_at <= now or not self._clients.attached):
            self._leave(self._stopped)
        if self._clients.alone_since + self._patience() <= now:
            self._leave(protocol.EXIT_NO_CLIENT)
        elif self.state == "done" and not self._told and self._clients.alone_since != FOREVER:
            self._told = True
            self._log.say(
                f"{protocol.RESULT_WAITS_PREFIX}{self._end and self._end['status']}); waits "
                f"{self._patience():g} s for its notebook: %podtask attach"
            )

    def _leave(self, code: int) -> None:
        """Ends without anybody having taken the result: it goes to the log."""
        if self._child and self.state == "running":
            self._child.kill(signal.SIGKILL)
        if self.state == "done" and self._exit is None:
            values = bool(self._job.get("log_result", True))
            leave_record(self._spool, self._results, self._log, self._prove, values)
            code = protocol.EXIT_NO_CLIENT  # by which others know that it is there, whatever ended us
        self._exit = code

    def _stop(self, why: str, seconds: float) -> None:
        """Interrupts the cell; kills it after ``seconds``."""
        assert self._child is not None
        self._why = self._why or why
        self._deadline = FOREVER
        self._kill_at = min(self._kill_at, time.monotonic() + seconds)
        self._child.kill(signal.SIGINT)

    def _on_terminate(self, number: int, frame: Any) -> None:
        if self._child and self.state == "running":
            if self._why == "terminated":  # the second time: at once
                self._child.kill(signal.SIGKILL)
                self._exit = 128 + number
            self._stop("terminated", float(self._job["grace"]))
        else:  # who is fetching has as long as the cell would have had
            self._stopped = 128 + number
            self._kill_at = time.monotonic() + float(self._job.get("grace", 0))


def main(listener: Any, sock: Any, prove: Callable[..., str], wait: float, given: bytes) -> None:
    """Serves the task, then ends the process whatever threads there are."""
    os._exit(Supervisor(listener, prove, wait).serve(sock, given))
