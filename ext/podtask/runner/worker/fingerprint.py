"""The fingerprint of a value: the hash of its pickle. The value itself may be freed."""

import hashlib
from typing import Any, Dict, Optional, Tuple

from .. import pickler
from ..caches import reduce_without_caches
from ..reducers import identity

Fingerprint = Tuple[bool, bytes]  # whether plain pickle did, the hash
CHANGED = (False, b"")  # of a value that can no longer be pickled, or is too large now


class TooLarge(Exception):
    """A pickle exceeds its maximum size."""


class HashWriter:
    """A file that keeps only the hash and the size of what is written."""

    def __init__(self, bytes_left: int) -> None:
        self.size = 0
        self.hash = hashlib.sha256()
        self._bytes_left = bytes_left

    def write(self, data: Any) -> int:
        with memoryview(data) as view:
            size = view.nbytes
            self.size += size
            if self.size > self._bytes_left:
                raise TooLarge
            self.hash.update(view)
        return size

    def write_buffer(self, view: Any) -> None:
        self.write(view)


def fingerprint(
    value: Any, namespace: Dict[str, Any], bytes_left: int, before: Optional[Fingerprint] = None
) -> Tuple[Optional[Fingerprint], int]:
    """Return the fingerprint of a value, None if it has none, and the number of bytes pickled.

    Args:
        value: The value.
        namespace: Namespace of the cell.
        bytes_left: Maximum size of its pickle.
        before: An earlier fingerprint to compare with; a value that has none now differs from it.
    """
    if before is not None:
        return _again(value, namespace, bytes_left, before[0]), 0
    used = 0
    # cloudpickle only where the inputs have classes or functions: it takes longer to import than most cells.
    for plain in (True, False) if identity.NUMBERS.received else (True,):
        file = HashWriter(bytes_left)
        try:
            _pickle(value, namespace, plain, file)
        except TooLarge:
            return None, bytes_left
        except Exception:  # whatever a __reduce__ of the user's raises
            used += file.size
        else:
            return (plain, file.hash.digest()), used + file.size
    return None, used


def _again(value: Any, namespace: Dict[str, Any], bytes_left: int, plain: bool) -> Fingerprint:
    file = HashWriter(bytes_left)
    try:
        _pickle(value, namespace, plain, file)
    except Exception:  # too large now, or whatever a __reduce__ of the user's raises
        return CHANGED
    return plain, file.hash.digest()


def _pickle(value: Any, namespace: Dict[str, Any], plain: bool, file: HashWriter) -> None:
    with pickler.Packer(file, namespace, plain, reduce_without_caches) as packer:
        packer.dump(value)
