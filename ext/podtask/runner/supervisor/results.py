"""The values of a cell, sent to clients in blob frames while the worker pickles them."""

import os
from bisect import bisect_right
from itertools import accumulate
from typing import Any, Dict, List, Optional, Sequence

from .. import protocol
from .connection import Connection


class Results:
    """The files of pickled values. What the worker has announced can be read.

    The worker pickles again into the second file if a value has failed half-way. It then empties the first one.

    Args:
        name: Name of the execution.
        files: The worker's files, kept open.

    Attributes:
        name: Name of the execution.
        attempt: 1 for the first file, 2 for the second one.
        size: Number of bytes that can be read.
        is_inline: Whether the values are part of the result frame.
    """

    def __init__(self, name: str, files: Sequence[Any]) -> None:
        self.attempt = 1
        self.size = 0
        self.is_inline = False
        self.name = name
        self._files = files
        self._begun = 0
        self._ends: Optional[List[int]] = (
            None  # of the parts, taken together; None before the pickle is complete
        )

    def announce(self, meta: Dict[str, Any]) -> None:
        """Receive how much can be read, from the meta of a VALUES frame."""
        self.attempt, self.size, self._begun = int(meta["attempt"]), int(meta["size"]), int(meta["begun"])
        self._set_sizes(meta)

    def finish(self, reported: Optional[Dict[str, Any]]) -> None:
        """Receive the meta of the worker's result frame; None if it sent none, and the values are incomplete."""
        if reported is None:
            self.size = 0
            return
        self.attempt = int(reported["attempt"])
        self.size = os.fstat(self._file.fileno()).st_size
        self._set_sizes(reported)

    def read_if_small(self, max_bytes: int) -> bytes:
        """Return the whole content for the result frame if it has at most ``max_bytes``, else nothing."""
        self.is_inline = self.size <= max_bytes
        return self.read(0, self.size) if self.is_inline else b""

    def read(self, offset: int, max_bytes: int) -> bytes:
        """Return a piece of the content."""
        return os.pread(self._file.fileno(), max_bytes, offset)

    def send(self, client: Connection, offset: int) -> int:
        """Queue the frame with the values from an offset on; return the offset of the next frame."""
        part, start, stop = self._part_at(offset)
        count = min(protocol.MAX_DATA, (self.size if stop is None else min(stop, self.size)) - offset)
        data = self.read(offset, count)
        if len(data) < count:  # the worker has emptied the file: the next announcement says so
            self.size = offset
            return offset
        meta: Dict[str, Any] = {
            "id": protocol.BLOB_RESULTS,
            "exec": self.name,
            "attempt": self.attempt,
            "offset": offset,
            "part": part,
            "begun": self._begun,
        }
        if part and stop is not None:
            meta["size"] = stop - start
        client.send(protocol.encode_head(protocol.BLOB, meta, count), data)
        return offset + count

    def close(self) -> None:
        """Free the values."""
        for file in self._files:
            file.close()

    @property
    def _file(self) -> Any:
        return self._files[self.attempt - 1]

    def _set_sizes(self, meta: Dict[str, Any]) -> None:
        if "sizes" in meta:
            self._ends = list(accumulate(meta["sizes"]))

    def _part_at(self, offset: int) -> Any:
        """Return index, start and end of the part that an offset belongs to; the end of a growing one is None."""
        if self._ends is None:
            return 0, 0, None
        index = bisect_right(self._ends, offset)
        return index, self._ends[index - 1] if index else 0, self._ends[index]
