"""Batch mode without a connection to the notebook: write frames as lines to the log of the container.

Each line is numbered, and signed with the task's key because the notebook displays its content. The result
of the cell is not in these lines but in the record: see ``record_writer.py``.
"""

import base64
from typing import Callable

from .. import protocol
from .container_log import LogCopy

LINE_CHARS = 12 << 10  # characters of base64; a container runtime cuts lines at 16 KiB


class FrameLog(LogCopy):
    """The log of a container in batch mode: holds all frames but the result, in place of a plain copy of the output.

    Args:
        fd: Descriptor of the container's stdout.
        prove: Returns the HMAC of the task's key.
    """

    def __init__(self, fd: int, prove: Callable[..., str]) -> None:
        super().__init__(fd)
        self._prove = prove

    def write_frame(self, kind: int, seq: int, frame: bytes, data: bytes) -> None:
        """Write the lines of a frame."""
        if kind == protocol.RESULT:
            return
        if kind == protocol.STREAM:
            self.total += len(data)
        text = base64.b64encode(frame).decode()
        parts = [text[start : start + LINE_CHARS] for start in range(0, len(text), LINE_CHARS)]
        for number, part in enumerate(parts):
            position = f"{seq} {number}/{len(parts)}"
            proof = self._prove("frame", position, part)[: protocol.FRAME_PROOF_CHARS]
            self.write_line(f"{protocol.FRAME_LINE_PREFIX} {position} {proof} {part}")
