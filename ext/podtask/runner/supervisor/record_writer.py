"""Write the record that a runner leaves in the log of its container when no client has fetched the result.

The record consists of numbered lines with a checksum each. The first line is a JSON header. The others
are two compressed parts in base64: the result with its values, and the output, both as frames of the
protocol. A notebook unpickles the values, so the header is signed with the task's key. The module is
loaded only when it is needed.
"""

import base64
import hashlib
import json
import zlib
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Tuple

from .. import protocol

LINE_CHARS = 12 << 10  # characters of base64
MAX_FILE_BYTES = 10 << 20  # the kubelet rotates a larger log file, and older lines can no longer be read
SPARE_BYTES = 256 << 10
MAX_RECORD_BYTES = 6 << 20  # the two parts together
MIN_RECORD_BYTES = 1 << 20
PIECE_BYTES = 256 << 10
MAX_OUTPUT_BYTES = 64 << 20  # before it is compressed


def record_lines(
    spool: Any, results: Any, log: Any, prove: Callable[..., str], values: bool
) -> Iterator[str]:
    """Yield the log lines that hold the result and as much of the newest output as fits.

    They are for a result that no client fetched.

    Args:
        spool: The frames; the last one is the result.
        results: The file of the values.
        log: The log of the container so far.
        prove: Returns the HMAC of the task's key.
        values: Whether the values may be written to the log.
    """
    # If the log was rotated, the size of its newest file is unknown.
    room = max(MIN_RECORD_BYTES, min(MAX_RECORD_BYTES, int((MAX_FILE_BYTES - SPARE_BYTES - log.size) * 0.74)))
    end = spool.read(spool.last)[0]
    values = values and len(end) + results.size <= protocol.MAX_LOGGED_BYTES - SPARE_BYTES
    result = _compressed_within(_result_frames(end, results), room) if values else None
    whole = result is not None
    if result is None:
        frame = next(protocol.Decoder().feed(end))
        result = zlib.compress(protocol.encode(protocol.RESULT, frame.meta, b"", frame.seq))
    first, output, text_bytes = _newest_output(spool, room - len(result))
    data = result + output
    header: Dict[str, Any] = {
        "version": 1,
        "values": whole,
        "verdict": len(result),
        "output": len(output),
        "first": first,  # number of the first frame of the output
        "bytes": text_bytes,  # of text in these frames
        "copied": log.copied,  # bytes of text that this log begins with, unless it was rotated
        "copied_sha256": log.sha256,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    text = json.dumps(header)
    header["proof"] = prove("record", hashlib.sha256(text.encode()).hexdigest())
    encoded = base64.b64encode(data).decode()
    parts = [json.dumps(header)]
    parts += [encoded[start : start + LINE_CHARS] for start in range(0, len(encoded), LINE_CHARS)]
    for number, part in enumerate(parts):
        checksum = f"{zlib.crc32(part.encode()):08x}"
        yield f"{protocol.RECORD_LINE_PREFIX} {number}/{len(parts)} {checksum} {part}"


def _result_frames(end: bytes, results: Any) -> Iterator[bytes]:
    yield end
    if next(protocol.Decoder().feed(end)).data:
        return  # it contains the values if they are small
    offset = 0
    while offset < results.size:
        part = results.read(offset, protocol.MAX_DATA)
        yield protocol.encode(protocol.BLOB, {"offset": offset}, part)
        offset += len(part)


def _newest_output(spool: Any, room: int) -> Tuple[int, bytes, int]:
    """Return the newest frames that fit: number of the first one, compressed frames, bytes of text."""
    first = spool.first
    while first < spool.last:
        text_bytes = [0]
        fits = spool.size_from(first) <= MAX_OUTPUT_BYTES
        packed = _compressed_within(_output_frames(spool, first, text_bytes), room) if fits else None
        if packed is not None:
            return first, packed, text_bytes[0]
        first += max(1, (spool.last - first) // 2)
    return spool.last, b"", 0


def _output_frames(spool: Any, first: int, text_bytes: Any) -> Iterator[bytes]:
    decoder = protocol.Decoder()
    while first < spool.last:  # the last one is the result
        chunk, first = spool.read(first, PIECE_BYTES)
        for frame in decoder.feed(chunk):
            if frame.kind == protocol.STREAM:
                text_bytes[0] += len(frame.data)
            if frame.kind != protocol.RESULT:
                yield protocol.encode(frame.kind, frame.meta, frame.data, frame.seq)


def _compressed_within(parts: Iterable[bytes], room: int) -> Optional[bytes]:
    """Return the compressed parts, or None if they exceed ``room`` bytes."""
    compressor = zlib.compressobj(6)
    out = b""
    for part in parts:
        out += compressor.compress(part)
        if len(out) > room:
            return None
    out += compressor.flush()
    return out if len(out) <= room else None
