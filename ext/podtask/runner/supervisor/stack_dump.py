"""The stacks of a worker's threads, which the worker writes without being stopped."""

import time
from typing import List, Tuple

from .. import protocol
from ..streams import read_available
from .connection import Connection
from .worker_process import WorkerProcess

NO_ANSWER_SECONDS = (
    2.0  # until a worker counts as one that does not answer: it is stopped, or blocks the signal
)
QUIET_SECONDS = 0.1  # without a byte more: faulthandler marks no end of what it writes
MAX_DUMP_BYTES = 256 << 10


class StackDump:
    """The stacks of one worker, while they arrive.

    Args:
        worker: The worker.

    Attributes:
        clients: The clients that wait for it, each with the number of its question.
        due: When it counts as complete (monotonic).
    """

    def __init__(self, worker: WorkerProcess) -> None:
        self.clients: List[Tuple[Connection, int]] = []
        self.worker = worker
        self._data = b""
        worker.begin_stack_dump()
        self.due = time.monotonic() + NO_ANSWER_SECONDS

    def receive(self) -> None:
        """Receive what the worker has written."""
        for chunk in read_available(self.worker.stacks):
            self._data = (self._data + chunk)[:MAX_DUMP_BYTES]
            self.due = time.monotonic() + QUIET_SECONDS

    def answer(self) -> None:
        """Send the stacks to the clients that wait."""
        for client, number in self.clients:
            client.send(protocol.encode(protocol.STACK_DUMP, {"n": number}, self._data))
