"""Read the runner's own lines in the log of a primary container, for the notebook.

``supervisor/batch_log.py`` and ``supervisor/record_writer.py`` write them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from . import protocol

# Numbers of limited length: Python does not convert longer ones, and anybody may write such a line.
FRAME_LINE = re.compile(
    rb"%s (\d{1,20}) (\d{1,9})/(\d{1,9}) ([0-9a-f]+) (\S+)" % protocol.FRAME_LINE_PREFIX.encode()
)
RUNNER_LINES = (protocol.FRAME_LINE_PREFIX.encode(), protocol.RECORD_LINE_PREFIX.encode())


class FrameLines:
    """Joins the lines of a log that hold parts of frames.

    Args:
        is_signed: Returns whether the runner has signed a part, from its position, its text and its proof.
    """

    def __init__(self, is_signed: Callable[[str, str, bytes], bool]) -> None:
        self._is_signed = is_signed
        self._parts: list[bytes] = []  # of the frame that is incomplete

    def clear(self) -> None:
        """Forget the parts of an incomplete frame, to read a log from its start."""
        self._parts.clear()

    def read(self, line: bytes, last_seq: int = 0) -> list[protocol.Frame]:
        """Return the frames that are complete with this line; ignore a line that holds no signed part.

        Args:
            line: A line of the log, without its end.
            last_seq: Frames up to this number are known and are ignored.
        """
        match = FRAME_LINE.fullmatch(line)
        if not match or int(match[1]) <= last_seq:
            return []
        position = f"{match[1].decode()} {match[2].decode()}/{match[3].decode()}"
        if not self._is_signed(position, match[5].decode("utf-8", "replace"), match[4]):
            return []
        number, count = int(match[2]), int(match[3])
        if number == 0:
            self._parts.clear()
        if number != len(self._parts):
            return []  # a part is missing, because the log was rotated
        self._parts.append(match[5])
        if number + 1 < count:
            return []
        data = b"".join(self._parts)
        self._parts.clear()
        try:
            return list(protocol.Decoder().feed(base64.b64decode(data)))
        except (protocol.WireError, binascii.Error):
            return []


def cell_output(log: str) -> str:
    """Return what the cell has written, from the log of its container or a part of it.

    Frames of batch mode are replaced with their text. The lines with the task's result are left out. The
    signatures are not checked: whoever can sign a line can write the same text without one.
    """
    frame_lines = FrameLines(lambda position, part, proof: True)
    output: list[bytes] = []
    for line in log.encode("utf-8", "replace").splitlines(keepends=True):
        if not line.startswith(RUNNER_LINES):
            output.append(line)
            continue
        frames = frame_lines.read(line.rstrip(b"\r\n"))
        output += [frame.data for frame in frames if frame.kind == protocol.STREAM]
    return b"".join(output).decode("utf-8", "replace")
