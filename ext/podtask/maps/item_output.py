"""The output of the items of a map, bounded for each item and in all."""

from __future__ import annotations

MAX_ITEM_OUTPUT_BYTES = 1 << 20
MAX_OUTPUT_BYTES = 64 << 20
DROPPED = "\n[further output was dropped]\n"


class ItemOutput:
    """Keeps the output by the index of the item."""

    def __init__(self) -> None:
        self._size = 0
        self._texts: dict[int, bytearray] = {}
        self._dropped: set[int] = set()

    def add(self, index: int, data: bytes) -> None:
        """Add output of an item; drop what is beyond the bounds."""
        text = self._texts.setdefault(index, bytearray())
        room = min(MAX_ITEM_OUTPUT_BYTES - len(text), MAX_OUTPUT_BYTES - self._size)
        if len(data) > room:
            self._dropped.add(index)
            data = data[: max(0, room)]
        text += data
        self._size += len(data)

    def text(self, index: int) -> str:
        """Return the output of an item so far."""
        text = bytes(self._texts.get(index, b"")).decode("utf-8", "replace")
        return text + DROPPED if index in self._dropped else text
