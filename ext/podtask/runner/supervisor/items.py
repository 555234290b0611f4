"""The execution of a worker of a map: its process takes item after item, until the notebook has no more.

Meta of an ITEM frame: ``exec``; ``k``, the number of the item for this worker, from 1 on; ``i``, its index in the map;
``part`` and ``more`` of an item in several frames; ``sizes`` of its pickle and buffers; ``about``, the fields of a RUN
frame that say how its variables are packed, if that is how those of a cell are; ``have``, the last spooled frame that
the client has. A frame with ``end`` says that no items follow.
"""

import selectors
import socket
from collections import deque
from typing import Any, Deque, Dict, Iterable, List, Optional, Sequence, Tuple

from .. import protocol
from ..debug_log import logger
from ..worker.main import main as run_job
from .execution import Execution
from .temporary_files import temporary_folder
from .worker_process import WorkerProcess

MAX_SPOOL_BYTES = 4 << 30  # results that wait for their client; they are freed as it acknowledges them


class ItemExecution(Execution):
    """The worker of a map; see :class:`Execution`.

    Args:
        selector: Selector of the main loop, which wakes when the worker takes more.
        job: Meta of the run frame.
        inputs: Descriptor of the pickled inputs, None if there are none.
        to_close: Files and sockets of the supervisor, which the worker closes.
        first_seq: Number of its first frame.
        is_measured: Whether the container's use of CPU and memory is measured.

    Attributes:
        received_items: How many items have arrived as a whole. A client that reconnects sends the others again.
    """

    takes_items = True

    def __init__(
        self,
        selector: Any,
        job: Dict[str, Any],
        inputs: Optional[int],
        to_close: Iterable[Any],
        first_seq: int,
        is_measured: bool,
    ) -> None:
        self._selector = selector
        self._is_watched = False
        self._parts: List[bytes] = []  # the frames of an item that has not arrived as a whole
        self._unsent: Deque[memoryview] = deque()
        self._items, self._worker_end = socket.socketpair()
        self._items.setblocking(False)
        super().__init__(job, inputs, to_close, first_seq, is_measured)

    def _start(self, inputs: Optional[int], to_close: Iterable[Any]) -> Tuple[WorkerProcess, Sequence[Any]]:
        job = self.job
        if job.get("local_modules") or job["items"].get("bring_modules"):
            job["folder"] = temporary_folder()
        worker_end = self._worker_end
        worker = WorkerProcess(
            lambda worker: run_job(job, inputs, worker.pipes(), worker_end), [self._items, *to_close]
        )
        worker_end.close()
        logger.debug("the worker of a map has started: process %d", worker.pid)
        return worker, worker.results

    def receive_item(self, frame: protocol.Frame) -> None:
        """Pass a frame with an item, or with a part of one, on to the worker; ignore one that came before."""
        meta = frame.meta
        if meta.get("end"):
            self._pass_on([protocol.encode(protocol.ITEM, {"end": True})])
            return
        if int(meta["k"]) != self.received_items + 1:
            return
        if not meta["part"]:
            self._parts = []
        if int(meta["part"]) != len(self._parts):
            return
        self._parts.append(protocol.encode(protocol.ITEM, meta, frame.data))
        if not meta.get("more"):
            self.received_items += 1
            parts, self._parts = self._parts, []
            self._pass_on(parts)

    def finish(self) -> Tuple[Dict[str, Any], bytes]:
        """Return meta and data of the final result frame."""
        self._stop_sending()
        return super().finish()

    def close(self) -> None:
        """Free the values; end the worker if it still runs."""
        self._stop_sending()
        super().close()

    def _pass_on(self, frames: List[bytes]) -> None:
        self._unsent.extend(memoryview(each) for each in frames)
        self._send()

    def _send(self) -> None:
        """Send what the worker takes now; the selector calls this again when it takes more."""
        try:
            while self._unsent:
                sent = self._items.send(self._unsent[0])
                first = self._unsent.popleft()
                if sent < len(first):
                    self._unsent.appendleft(first[sent:])
        except BlockingIOError:
            if not self._is_watched:
                self._selector.register(self._items, selectors.EVENT_WRITE, self._send)
                self._is_watched = True
            return
        except OSError as error:  # it has ended; that it has is reported in a moment
            logger.debug("the worker of a map takes no items: %s", error)
            self._unsent.clear()
        self._stop_watching()

    def _stop_watching(self) -> None:
        if self._is_watched:
            self._selector.unregister(self._items)
            self._is_watched = False

    def _stop_sending(self) -> None:
        self._stop_watching()
        self._unsent.clear()
        self._items.close()
