"""The file of a finished worker's values, sent to clients in blob frames."""

import os
from typing import Any, Dict

from .. import protocol
from .connection import Connection


class ResultFile:
    """A file of pickled values.

    Args:
        file: The worker's file, kept open.
    """

    def __init__(self, file: Any) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self._file = file

    def read_if_small(self, max_bytes: int) -> bytes:
        """Return the whole content if it has at most ``max_bytes``, else nothing."""
        return os.pread(self._file.fileno(), self.size, 0) if self.size <= max_bytes else b""

    def read(self, offset: int, max_bytes: int) -> bytes:
        """Return a piece of the content."""
        return os.pread(self._file.fileno(), max_bytes, offset)

    def send(self, client: Connection, offset: int) -> int:
        """Queue the frame with the values from an offset on; return the offset of the next frame, ``size`` after the last."""
        count = min(protocol.MAX_DATA, self.size - offset)
        meta: Dict[str, Any] = {"id": protocol.BLOB_RESULTS, "size": self.size, "offset": offset}
        client.send(protocol.encode_head(protocol.BLOB, meta, count), self.read(offset, count))
        return offset + count

    def checked_offset(self, offset: int) -> int:
        """Return the offset.

        Raises:
            ValueError: The content does not have it.
        """
        if not 0 <= offset <= self.size:
            raise ValueError(offset)
        return offset
