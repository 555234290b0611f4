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
        data: A line of JSON, then compressed frames for each version of Python; in an annotation as base64.

    Raises:
        SystemExit: The cell cannot run in this version of Python. The last line of the log gives the reason.
    """
    if not data.startswith(b"{"):
        data = base64.b64decode(data)
    line, _, packed = data.partition(b"\n")
    head = json.loads(line)
    minor = ".".join(map(str, sys.version_info[:2]))
    start = 0
    for cell in head["cells"]:
        end = start + cell["size"]
        if cell["python"] in (minor, protocol.ANY_PYTHON):
            if cell["refusal"]:
                print(f"podtask: Python {sys.version.split()[0]}: {cell['refusal']}")
                sys.exit(protocol.EXIT_OTHER_PYTHON)
            return head, _unpack(memoryview(packed)[start:end])
        start = end
    raise ValueError("the enclosure has no cell for any version of Python")


def _unpack(packed: memoryview) -> Iterator[bytes]:
    """Yield decompressed pieces: the inputs are never in memory as a whole."""
    unpacker = zlib.decompressobj()
    rest = bytes(packed)
    while rest and not unpacker.eof:
        yield unpacker.decompress(rest, protocol.MAX_DATA)
        rest = unpacker.unconsumed_tail
    yield unpacker.flush()
