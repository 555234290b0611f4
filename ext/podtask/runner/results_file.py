"""The file with the values of a cell on a volume (``--results-in``): write it in the pod, read it on either side.

A line with the version of the format, a line of JSON with where each value is, then the values as they are sent: the
pickles, and their buffers.
"""

import hashlib
import json
import os
from typing import IO, Any, Dict, List, Tuple

from . import pickler, protocol
from .reducers import identity

FIRST_LINE = b"podtask results 1\n"
PIECE_BYTES = 1 << 20


class NotResults(ValueError):
    """The file does not have the values of a cell, or only a part of them."""


def check(path: str) -> None:
    """Check before the cell runs that the file can be written; create its folder.

    Raises:
        OSError: It cannot. The message names the option.
    """
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.isdir(path):
            raise IsADirectoryError(None, "it is a folder; name a file in it")
        with open(_partial(path), "wb"):
            pass
    except OSError as error:
        raise type(error)(f"--results-in {path}: {error.strerror}") from None


def save(path: str, end: Dict[str, Any], source: IO[bytes], plain: bool) -> Dict[str, Any]:
    """Write the values of a cell, and replace the file only once all are written; return what the record says about it.

    Args:
        path: The file.
        end: Meta of the result frame, with ``packed`` and ``sizes``.
        source: The file of the values.
        plain: Whether the values were written without pickle.

    Raises:
        OSError: The volume is full, or the file cannot be written.
    """
    head = {"packed": end["packed"], "sizes": end["sizes"], "plain": plain}
    digest, offset = hashlib.sha256(), 0
    with open(_partial(path), "wb") as target:
        target.write(FIRST_LINE + json.dumps(head).encode() + b"\n")
        while True:
            piece = os.pread(source.fileno(), PIECE_BYTES, offset)
            if not piece:
                break
            digest.update(piece)
            target.write(piece)
            offset += len(piece)
        target.flush()
        os.fsync(target.fileno())
    os.replace(_partial(path), path)
    return {"path": path, "size": offset, "sha256": digest.hexdigest()}


def discard(path: str) -> None:
    """Remove the file that :func:`check` has created: the cell has no values for it."""
    try:
        os.unlink(_partial(path))
    except OSError:
        pass  # nothing reads it


def read(path: str) -> Tuple[Dict[str, Any], List[bytearray]]:
    """Return the head of a file, and the parts of the values.

    Raises:
        NotResults: The file has something else.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        if file.readline(len(FIRST_LINE)) != FIRST_LINE:
            raise NotResults(f"{path} was not written with --results-in.")
        try:
            head = json.loads(file.readline())
            parts = [bytearray(size) for size in head["sizes"]]
        except (ValueError, LookupError, TypeError, MemoryError) as error:
            raise NotResults(f"{path} is damaged: {error}.") from None
        if any(file.readinto(part) != len(part) for part in parts):
            raise NotResults(f"{path} is not complete.")
    return head, parts


def load(path: str) -> Dict[str, Any]:
    """Return the values that ``--results-in`` has written, by name; that of the last expression is ``_``.

    Args:
        path: The file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It was not written by ``--results-in``, or with ``--results plain``.
    """
    head, parts = read(path)
    if head["plain"]:
        raise NotResults(f"{path} was written with --results plain: load it in the notebook.")
    packed = head["packed"]
    values: Dict[str, Any] = {}
    group: Any = None
    stream = buffers = 0
    for item in packed:
        if item["role"] == protocol.ROLE_DEFINITIONS:
            break
        if group is None or item["apart"]:
            group = _Loader(parts, stream, buffers, packed)
        value = group.load()
        if item["role"] in protocol.VALUE_ROLES:
            values[item["name"] or "_"] = value
        stream, buffers = item["stream"], item["buffers"]
    return values


class _Loader(pickler.Unpickler):
    """Unpickle values in a pod that may not have the notebook's definitions.

    Args:
        parts: The pickles, then the buffers.
        stream: Where the first value is in the pickles.
        buffers: Number of its first buffer.
        packed: Where each value is.
    """

    def __init__(
        self, parts: List[bytearray], stream: int, buffers: int, packed: List[Dict[str, Any]]
    ) -> None:
        # Start-up cost: few cells load such a file.
        import io

        super().__init__(io.BytesIO(memoryview(parts[0])[stream:]), buffers=parts[1 + buffers :])
        self._parts = parts
        self._packed = packed
        self._definitions: Any = None

    def find_class(self, module: str, name: str) -> Any:
        """Return a function or class; one of the notebook's from the copies in the file, if this pod does not have it."""
        found = super().find_class(module, name)
        return self._received if found is identity.received else found

    def _received(self, number: str, name: str) -> Any:
        found = identity.NUMBERS.find(number)
        if found is None and self._packed[-1]["role"] == protocol.ROLE_DEFINITIONS:
            if self._definitions is None:
                before = self._packed[-2]
                copies = _Loader(self._parts, before["stream"], before["buffers"], self._packed[:-1])
                self._definitions = copies.load()
            found = self._definitions.get(number)
        return identity.received(number, name) if found is None else found


def _partial(path: str) -> str:
    return f"{path}.part"
