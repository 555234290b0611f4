"""Frames between notebook and runner: encode and decode, no I/O.

A frame is a fixed header, a JSON object (meta) and bytes (data). Shared by both sides, so that
there is one description of the wire. Kinds marked "spooled" carry a sequence number and are
kept by the runner until the task is released.
"""

import json
import struct
from typing import Any, Dict, Iterator, NamedTuple, Optional, Union

PROTO = 1
HEADER = struct.Struct("!BQII")
MAX_META = 1 << 20
MAX_DATA = 512 << 10
CLOSED = 117  # exit code of a worker whose cell has closed the pipes to it

_json = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps makes one for each call

# client -> runner
ATTACH, RUN, FETCH, ACK, INTERRUPT, INPUT_REPLY, PING = range(1, 8)
# both ways
BLOB, HAVE, CLOSE = range(16, 19)
# runner -> client
HELLO, PONG, ERROR = range(32, 35)
# runner -> client, spooled
STATE, STREAM, DISPLAY, CLEAR_OUTPUT, INPUT_REQUEST, GAP, RESULT = range(64, 71)
SPOOLED = range(64, 71)


class WireError(Exception):
    """What arrived is no frame of this protocol; the connection is of no more use."""


class Frame(NamedTuple):
    """One frame; ``seq`` is 0 where the kind is not spooled."""

    kind: int
    seq: int
    meta: Dict[str, Any]
    data: bytes


def encode(
    kind: int,
    meta: Optional[Dict[str, Any]] = None,
    data: Union[bytes, memoryview] = b"",
    seq: int = 0,
) -> bytes:
    """Returns the bytes of a frame.

    Raises:
        WireError: meta or data are over the limits of the wire (1 MiB, 512 KiB).
    """
    text = _json(meta).encode() if meta else b""
    if len(text) > MAX_META or len(data) > MAX_DATA:
        raise WireError(f"frame of kind {kind} is too large: {len(text)} + {len(data)} bytes")
    return b"".join((HEADER.pack(kind, seq, len(text), len(data)), text, data))


def head(kind: int, meta: Dict[str, Any], size: int) -> bytes:
    """Returns the bytes of a frame but for its data, ``size`` bytes, which the caller sends."""
    text = _json(meta).encode()
    return HEADER.pack(kind, 0, len(text), size) + text


class Decoder:
    """Turns chunks of a byte stream into frames; holds at most one frame and one chunk."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Yields the frames that are complete with ``chunk``.

        Raises:
            WireError: an impossible header, or meta that is no JSON object.
        """
        buffer = self._buffer
        buffer += chunk
        start = 0
        try:
            while len(buffer) - start >= HEADER.size:
                kind, seq, meta_size, data_size = HEADER.unpack_from(buffer, start)
                if meta_size > MAX_META or data_size > MAX_DATA:
                    raise WireError(f"frame of {meta_size} + {data_size} bytes is over the limit")
                middle = start + HEADER.size + meta_size
                stop = middle + data_size
                if len(buffer) < stop:
                    break
                with memoryview(buffer) as view:
                    meta = self._meta(bytes(view[start + HEADER.size : middle]))
                    data = bytes(view[middle:stop])
                start = stop
                yield Frame(kind, seq, meta, data)
        finally:
            del buffer[:start]

    @staticmethod
    def _meta(text: bytes) -> Dict[str, Any]:
        if not text:
            return {}
        try:
            meta = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WireError(f"frame meta is no JSON: {error}") from None
        if not isinstance(meta, dict):
            raise WireError("frame meta is no JSON object")
        return meta
