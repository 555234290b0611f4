"""The cell that a pod brings itself, in its Secrets or its annotation. ``channel/enclosure.py`` writes it."""

import base64
import json
import sys
import zlib
from typing import Any, Dict, Iterator, Tuple

from .. import protocol


def read_enclosure(data: bytes) -> Tuple[Dict[str, Any], Iterator[bytes]]:
    """Return the head of an enclosure, and the pieces of the frames that bring the cell for this version of Python.

    Args:
        data: A line of JSON, then compressed segments; in an annotation as base64. A segment has frames, or a piece of the
            inputs that starts at an offset.

    Raises:
        SystemExit: The cell cannot run in this version of Python. The last line of the log gives the reason.
    """
    if not data.startswith(b"{"):
        data = base64.b64decode(data)
    line, _, packed = data.partition(b"\n")
    head = json.loads(line)
    minor = ".".join(map(str, sys.version_info[:2]))
    for cell in head["cells"]:
        if cell["python"] in (minor, protocol.ANY_PYTHON):
            if cell["refusal"]:
                print(f"podtask: Python {sys.version.split()[0]}: {cell['refusal']}")
                sys.exit(protocol.EXIT_OTHER_PYTHON)
            return head, _frames(memoryview(packed), cell)
    raise ValueError("the enclosure has no cell for any version of Python")


def _frames(packed: memoryview, cell: Dict[str, Any]) -> Iterator[bytes]:
    """Yield pieces of the frames of a cell."""
    for start, end, first_offset in cell["segments"]:
        offset = first_offset
        for piece in _unpack(packed[start:end]):
            if offset is None:
                yield piece
            elif piece:
                yield protocol.encode(protocol.BLOB, {"id": cell["inputs"], "offset": offset}, piece)
                offset += len(piece)


def _unpack(packed: memoryview) -> Iterator[bytes]:
    """Yield decompressed pieces: the inputs are never in memory as a whole."""
    unpacker = zlib.decompressobj()
    rest = bytes(packed)
    while rest and not unpacker.eof:
        yield unpacker.decompress(rest, protocol.MAX_DATA)
        rest = unpacker.unconsumed_tail
    yield unpacker.flush()
