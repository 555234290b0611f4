"""What a batch task's log says, read as it grows: see ``runner/batch.py`` and ``runner/record.py``.

Stands where the channel stands, for a task that is only listened to.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import re
from collections.abc import AsyncIterator
from typing import Any, Protocol

from ..backends.base import RunnerListener
from ..errors import ClusterError, TaskError
from ..runner import protocol
from .job import RunnerResult
from .log_record import read

LINE = re.compile(rb"%s (\d+) (\d+)/(\d+) ([0-9a-f]+) (\S+)" % protocol.FRAME_LINE_PREFIX.encode())


class Log(Protocol):
    """Where a task's log is."""

    def follow_log(self) -> AsyncIterator[bytes]:
        """Yields its lines from the first on, as it grows, until it ends or breaks off."""

    async def whole_log(self) -> bytes:
        """Returns all that is there."""


class LogChannel:
    """Takes frames and verdict from a log.

    Args:
        log: of the runner's container.
        key: the task's key, hex.
        listener: Receives each spooled frame once, in order.
    """

    one_way = True
    reconnects = 0  # a log is there from the start: what it says may be under way at the end
    python = ""

    def __init__(self, log: Log, key: str, listener: RunnerListener) -> None:
        self.connected = False
        self._log = log
        self._key = bytes.fromhex(key)
        self._listener = listener
        self._last = 0
        self._parts: list[bytes] = []  # of the frame that is under way

    async def run(self) -> RunnerResult:
        """Returns when the log has the verdict."""
        while True:
            recorded = False
            async for line in self._log.follow_log():
                self.connected = True
                self._take(line)
                recorded = recorded or line.startswith(protocol.RECORD_LINE_PREFIX.encode())
            self.connected = False
            if not recorded:
                continue  # it broke off; of a pod that has ended the whole log is read by its status
            # Half of it: the rest is being written. Or the server is away: it is asked again.
            with contextlib.suppress(TaskError, ClusterError):
                verdict = self.read_result(await self._log.whole_log())
                if verdict is not None:
                    return verdict

    def read_result(self, log: bytes) -> RunnerResult | None:
        """Gives out what of a whole log was not seen yet; returns its verdict, None for none.

        Raises:
            TaskError: its record is torn or forged.
        """
        self._parts.clear()
        for line in log.splitlines():
            self._take(line)
        record = read(log, self._key)
        if record is None:
            return None
        for frame in record.frames:
            self._give(frame)
        return record.verdict

    async def interrupt(self) -> None:
        """Does nothing: who wants a batch task to stop deletes its pod."""

    async def reply(self, answer: dict[str, Any]) -> None:
        """Does nothing: nobody asks."""

    def _take(self, line: bytes) -> None:
        """Takes a line; what is no frame's, or is not proven to be the runner's, is passed over."""
        found = LINE.fullmatch(line)
        if not found or int(found[1]) <= self._last:
            return
        about = f"{found[1].decode()} {found[2].decode()}/{found[3].decode()}"
        text = f"frame {about} {found[5].decode()}".encode()
        proof = hmac.new(self._key, text, "sha256").hexdigest()[: protocol.FRAME_PROOF_CHARS]
        if not hmac.compare_digest(proof.encode(), found[4]):
            return
        number, count = int(found[2]), int(found[3])
        if number == 0:
            self._parts.clear()
        if number != len(self._parts):
            return  # a part is missing, as when the log was rotated; a gap is told of below
        self._parts.append(found[5])
        if number + 1 == count:
            with contextlib.suppress(protocol.WireError, binascii.Error):
                for frame in protocol.Decoder().feed(base64.b64decode(b"".join(self._parts))):
                    self._give(frame)
            self._parts.clear()

    def _give(self, frame: protocol.Frame) -> None:
        if frame.seq <= self._last:
            return
        if frame.seq > self._last + 1:
            lost = {"from": self._last + 1, "to": frame.seq - 1}
            self._listener.on_frame(protocol.Frame(protocol.GAP, frame.seq - 1, lost, b""))
        self._last = frame.seq
        if frame.kind not in (protocol.INPUT_REQUEST, protocol.GAP):
            self._listener.on_frame(frame)
