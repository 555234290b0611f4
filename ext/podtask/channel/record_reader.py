"""Read the record that a runner has left in its log (``runner/supervisor/record_writer.py``). Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..config.quantities import byte_size
from ..errors import TaskError
from ..runner import protocol
from .job import RunnerResult
from .proof import prove

RECORD_LINE = re.compile(
    rb"^%s (\d{1,9})/(\d{1,9}) ([0-9a-f]{8}) (.+)$" % protocol.RECORD_LINE_PREFIX.encode(), re.MULTILINE
)
PIECE_BYTES = 64 << 10  # of compressed data
NOT_LOGGED = "too large for the pod log, or not allowed there"


@dataclass(frozen=True)
class Record:
    """A task's output and result.

    Args:
        frames: The output in order. The first one may be text that precedes the record in the log.
        result: The result, with its values if the record has them.
    """

    frames: list[protocol.Frame]
    result: RunnerResult


# A signed record may be written by a cell that has found the key.
MALFORMED = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError, RecursionError),
    *(zlib.error, binascii.Error, protocol.WireError),
)


def read_record(log: bytes, key: bytes) -> Record | None:
    """Return the record at the end of a log, None if there is none.

    Args:
        log: Log of the primary container.
        key: Key of the task.

    Raises:
        TaskError: The record is damaged or forged. Nothing of it was unpickled.
    """
    lines = list(RECORD_LINE.finditer(log))
    starts = [index for index, line in enumerate(lines) if line[1] == b"0"]
    if not starts:
        return None
    parts = [line for line in lines[starts[-1] :] if line[2] == lines[starts[-1]][2]]
    complete = [int(line[1]) for line in parts] == list(range(int(parts[0][2])))
    if not complete or any(int(line[3], 16) != zlib.crc32(line[4]) for line in parts):
        raise _damaged("lines are missing or changed")
    try:
        header = json.loads(parts[0][4])
        data = base64.b64decode(b"".join(line[4] for line in parts[1:]), validate=True)
        _check_proof(header, data, key)
        size = int(header["verdict"])
        output = list(_packed_frames(data[size:]))
        result = _decode_result(data[:size], bool(header["values"]))
    except MALFORMED as error:
        raise _damaged(str(error)) from None
    return Record([*_earlier_output(header, log, result.end), *output], result)


def _check_proof(header: dict[str, Any], data: bytes, key: bytes) -> None:
    given = str(header.pop("proof"))
    digest = hashlib.sha256(json.dumps(header).encode()).hexdigest()
    proof = prove(key, "record", digest)
    if not hmac.compare_digest(given.encode(), proof.encode()):
        raise ValueError("it was not written with the task's key")
    if hashlib.sha256(data).hexdigest() != header["sha256"]:
        raise ValueError("its data was changed after it was written")


def _packed_frames(data: bytes) -> Iterator[protocol.Frame]:
    """Yield the frames in compressed data; never hold all of them: a small record may expand to a large one."""
    decompressor, decoder, size = zlib.decompressobj(), protocol.Decoder(), 0
    for start in range(0, len(data), PIECE_BYTES):
        rest = data[start : start + PIECE_BYTES]
        while rest:
            unpacked = decompressor.decompress(rest, protocol.MAX_DATA)
            rest = decompressor.unconsumed_tail
            size += len(unpacked)
            if size > protocol.MAX_LOGGED_BYTES:  # the log may be forged
                raise ValueError("it is too large")
            yield from decoder.feed(unpacked)
    yield from decoder.feed(decompressor.flush())


def _decode_result(data: bytes, has_values: bool) -> RunnerResult:
    end, *blobs = _packed_frames(data)
    meta = end.meta
    if not has_values:
        lost = [item for item in meta.get("packed", []) if item["role"] in protocol.VALUE_ROLES]
        saved = meta.get("saved")
        where = f"in {saved['path']}" if saved else NOT_LOGGED
        kept = [
            *meta.get("kept", []),
            *({**item, "why": f"{byte_size(item['size'])}, {where}"} for item in lost),
        ]
        told = {**meta, "packed": [], "kept": kept, "size": 0}
        if saved:  # what the file has, so that it can be read
            told["saved"] = {**saved, **{name: meta[name] for name in ("packed", "sizes", "kept")}}
        return RunnerResult(told, [])
    result = RunnerResult.announced(meta)
    result.put(0, end.data)
    for blob in blobs:
        result.put(int(blob.meta["offset"]), blob.data)
    return result


def _earlier_output(header: dict[str, Any], log: bytes, end: dict[str, Any]) -> Iterator[protocol.Frame]:
    """Yield the output before the first frame: the text that the log still has, and a gap for the rest."""
    first = int(header["first"])
    if first <= 1:
        return
    missing = int(end["text"]) - int(header["bytes"])  # bytes of text before the first frame
    text = log[: int(header["copied"])]
    if hashlib.sha256(text).hexdigest() != header.get("copied_sha256"):
        text = b""  # the log was rotated, or begins with the output of an entrypoint
    text = text[:missing]
    copied = len(text)
    for start in range(0, len(text), protocol.MAX_DATA):
        piece = text[start : start + protocol.MAX_DATA]
        yield protocol.Frame(protocol.STREAM, 0, {"name": "stdout"}, piece)
    if missing > copied or first > 2:
        yield protocol.Frame(
            protocol.GAP, first - 1, {"from": 1, "to": first - 1, "bytes": missing - copied}, b""
        )


def _damaged(why: str) -> TaskError:
    return TaskError(
        f"The result in the pod log cannot be read: {why}.",
        "The log may have been rotated. `kubectl logs` shows what is left of it.",
    )
