"""The channel of a batch task: frames and result are read from the pod's log as it grows.

The runner writes them in ``runner/supervisor/batch_log.py`` and ``runner/supervisor/record_writer.py``.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator
from typing import Any, Protocol

from ..backends.base import RunnerListener
from ..errors import ClusterError, TaskError
from ..runner import protocol
from ..runner.log_lines import FrameLines
from .job import RunnerResult
from .proof import prove
from .record_reader import read_record

log = logging.getLogger(__name__)


class LogSource(Protocol):
    """A source of the log of a runner."""

    def follow_log(self) -> AsyncIterator[bytes]:
        """Yield all lines, from the first one on, as the log grows, until it ends or the connection breaks."""

    async def whole_log(self) -> bytes:
        """Return the whole log."""


class LogChannel:
    """A channel that reads the frames and the result from a log.

    Args:
        source: Reads the log of the runner's container.
        key: Key of the task, in hexadecimal digits.
        listener: Receives each spooled frame once, in order.
        follows_only: Whether this notebook does not own the task.
    """

    one_way = True
    found_ended = True
    reconnects = 0  # a log needs no connection: frames may be in transit from the start
    python = ""

    def __init__(
        self, source: LogSource, key: str, listener: RunnerListener, follows_only: bool = False
    ) -> None:
        self.follows_only = follows_only
        self.connected = False
        self._source = source
        self._key = bytes.fromhex(key)
        self._listener = listener
        self._last_seq = 0
        self._frame_lines = FrameLines(self._is_signed)

    async def run(self) -> RunnerResult:
        """Read lines until the log has the result; return the result."""
        while True:
            recorded = False
            async for line in self._source.follow_log():
                self.connected = True
                self._read_line(line)
                await self._listener.wait_for_room()
                recorded = recorded or line.startswith(protocol.RECORD_LINE_PREFIX.encode())
            self.connected = False
            if not recorded:
                continue  # the log broke off; once the pod has ended, its status leads to the whole log
            try:
                result = self.read_result(await self._source.whole_log())
            except (TaskError, ClusterError) as error:  # half written, or the server is unreachable
                log.debug("Reading the log failed, retrying: %s", error)
                continue
            if result is not None:
                return result

    def read_result(self, log: bytes) -> RunnerResult | None:
        """Pass on the frames of a whole log that are new; return its result, None if there is none.

        Raises:
            TaskError: The record is damaged or forged.
        """
        self._frame_lines.clear()
        for line in log.splitlines():
            self._read_line(line)
        record = read_record(log, self._key)
        if record is None:
            return None
        for frame in record.frames:
            self._pass_on(frame)
        return record.result

    async def interrupt(self) -> None:
        """Do nothing: a batch task can only be stopped by deleting its pod."""

    async def read_stacks(self) -> str:
        """Refuse: nothing can be asked in batch mode.

        Raises:
            TaskError: Always.
        """
        raise TaskError(
            "A cell in batch mode cannot be asked for its stacks.",
            "Ask for the rights to pods/portforward or pods/exec: %podtask rbac.",
        )

    async def reply(self, answer: dict[str, Any]) -> None:
        """Do nothing: ``input()`` gets no answer in batch mode."""

    def free_values(self) -> None:
        """Free the parts of a frame that is incomplete: the task has ended."""
        self._frame_lines.clear()

    def _read_line(self, line: bytes) -> None:
        for frame in self._frame_lines.read(line, self._last_seq):
            self._pass_on(frame)

    def _is_signed(self, position: str, part: str, proof: bytes) -> bool:
        expected = prove(self._key, "frame", position, part)[: protocol.FRAME_PROOF_CHARS]
        return hmac.compare_digest(expected.encode(), proof)

    def _pass_on(self, frame: protocol.Frame) -> None:
        if frame.seq <= self._last_seq:
            return
        if frame.seq > self._last_seq + 1:
            lost = {"from": self._last_seq + 1, "to": frame.seq - 1}
            self._listener.on_frame(protocol.Frame(protocol.GAP, frame.seq - 1, lost, b""))
        self._last_seq = frame.seq
        if frame.kind not in (protocol.INPUT_REQUEST, protocol.GAP):
            self._listener.on_frame(frame)
