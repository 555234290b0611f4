"""The pickles of items and results of maps: a short way for plain values. No I/O.

Creating a pickler of :mod:`pickler` takes longer than many an item runs. Plain values do not need it.
"""

import pickle
from typing import Any, List, Optional, Sequence

from .pickler import PROTOCOL

SCALARS = {bool, int, float, complex, str, bytes, type(None)}
MAX_DEPTH = 4
MAX_ELEMENTS = 1000  # of containers, which are looked through


def dump_if_plain(value: Any) -> Optional[bytes]:
    """Return the pickle of a value of built-in types; None if it has, or may have, others."""
    return pickle.dumps(value, PROTOCOL) if _is_plain(value, MAX_DEPTH) else None


def _is_plain(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in SCALARS:
        return True
    if not depth or kind not in (tuple, list, dict) or len(value) > MAX_ELEMENTS:
        return False
    elements = [*value, *value.values()] if kind is dict else value
    return all(_is_plain(each, depth - 1) for each in elements)


def split(data: bytes, sizes: Sequence[int]) -> List[bytearray]:
    """Return the pickle and its buffers, which may be changed: arrays lie in them.

    Args:
        data: The pickle, then the buffers.
        sizes: The size of each in bytes; empty if there is only the pickle.

    Raises:
        ValueError: The sizes do not add up to the size of the data.
    """
    if not sizes:
        return [bytearray(data)]
    if sum(sizes) != len(data):
        raise ValueError("the sizes of its parts do not add up")
    parts, start = [], 0
    for size in sizes:
        parts.append(bytearray(data[start : start + size]))
        start += size
    return parts
