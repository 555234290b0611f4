"""Bytes that count how much of them is copied, for tests that output of twice the size takes twice the work."""

from __future__ import annotations

from typing import Any


class CountedBytes(bytes):
    """Bytes whose slices and sums add to ``copied``, and count as well. Views of them are free."""

    copied = 0  # bytes, of all objects

    def _count(self, made: bytes) -> CountedBytes:
        CountedBytes.copied += len(made)
        return CountedBytes(made)

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return self._count(found) if isinstance(found, bytes) else found

    def __add__(self, other: Any) -> CountedBytes:
        return self._count(super().__add__(other))

    def __radd__(self, other: Any) -> Any:
        if not isinstance(other, bytes):
            return NotImplemented  # a bytearray grows without a copy of what it has
        return self._count(other + bytes(self))

    def split(self, *args: Any, **options: Any) -> list[bytes]:
        return [self._count(part) for part in super().split(*args, **options)]


def copied_by(work: Any, *args: Any) -> int:
    """Return the number of bytes that a function copies."""
    before = CountedBytes.copied
    work(*args)
    return CountedBytes.copied - before
