"""A task without a stream to its notebook: its frames go to the container's log, as lines.

Each line is numbered and carries a proof of the task's key, as what is in there is shown in a
notebook. What a cell's end brings is in the record: see ``record.py``.
"""

import base64
from typing import Callable

from .. import protocol
from .container_log import LogCopy

LINE_CHARS = 12 << 10  # characters of base64; a container runtime cuts lines at 16 KiB


class FrameLog(LogCopy):
    """Takes all frames but the end, as lines; there is no other copy of the output.

    Args:
        fd: the container's stdout.
        prove: the HMAC of the task's key.
    """

    def __init__(self, fd: int, prove: Callable[..., str]) -> None:
        super().__init__(fd)
        self._prove = prove

    def write_frame(self, kind: int, seq: int, frame: bytes, data: bytes) -> None:
        """Writes a frame's lines."""
        if kind == protocol.RESULT:
            return
        if kind == protocol.STREAM:
            self.total += len(data)
        text = base64.b64encode(frame).decode()
        parts = [text[start : start + LINE_CHARS] for start in range(0, len(text), LINE_CHARS)]
        for number, part in enumerate(parts):
            about = f"{seq} {number}/{len(parts)}"
            proof = self._prove("frame", about, part)[: protocol.FRAME_PROOF_CHARS]
            self.write_line(f"{protocol.FRAME_LINE_PREFIX} {about} {proof} {part}")
