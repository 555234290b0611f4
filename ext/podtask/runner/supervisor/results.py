"""The file of a finished worker's values, sent to clients in blob frames.

The hash is computed while the network is busy, and is sent with the last frame.
"""

import hashlib
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
        self._digest = hashlib.sha256()
        self._hashed = 0

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
        self._hash_to(offset + count)
        if offset + count == self.size:
            meta["sha256"] = self._digest.hexdigest()
        client.send(protocol.encode_head(protocol.BLOB, meta, count))
        client.send_file(self._file.fileno(), offset, count)
        return offset + count

    def _hash_to(self, end: int) -> None:
        while self._hashed < end:
            part = os.pread(self._file.fileno(), min(protocol.MAX_DATA, end - self._hashed), self._hashed)
            self._digest.update(part)
            self._hashed += len(part)
