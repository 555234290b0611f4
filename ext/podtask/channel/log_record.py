"""The record that a runner left in its container's log, read: see ``runner/record.py``. Pure."""

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

LINE = re.compile(
    rb"^%s (\d+)/(\d+) ([0-9a-f]{8}) (.+)$" % protocol.RECORD_LINE_PREFIX.encode(), re.MULTILINE
)
MOST = 128 << 20  # bytes of what is unpacked: the log may be anybody's
NOT_LOGGED = "too large for the pod's log, or was not to go there"


@dataclass(frozen=True)
class Record:
    """A task's output and verdict.

    Args:
        frames: of the output, in order; what came before them in the log is the first.
        verdict: with the values, where they are there.
    """

    frames: list[protocol.Frame]
    verdict: RunnerResult


def read(log: bytes, key: bytes) -> Record | None:
    """Returns the record at the end of a log, None where there is none.

    Args:
        log: of the primary container.
        key: the task's.

    Raises:
        TaskError: it is torn or forged; nothing of it was unpickled.
    """
    found = list(LINE.finditer(log))
    starts = [place for place, line in enumerate(found) if line[1] == b"0"]
    if not starts:
        return None
    parts = [line for line in found[starts[-1] :] if line[2] == found[starts[-1]][2]]
    whole = [int(line[1]) for line in parts] == list(range(int(parts[0][2])))
    if not whole or any(int(line[3], 16) != zlib.crc32(line[4]) for line in parts):
        raise _damaged("lines of it are missing or changed")
    try:
        header = json.loads(parts[0][4])
        data = base64.b64decode(b"".join(line[4] for line in parts[1:]), validate=True)
        _check(header, data, key)
        size = int(header["verdict"])
        output = list(protocol.Decoder().feed(_unpacked(data[size:])))
        verdict = _verdict(_unpacked(data[:size]), bool(header["values"]))
    except (ValueError, KeyError, TypeError, zlib.error, binascii.Error, protocol.WireError) as error:
        raise _damaged(str(error)) from None
    return Record([*_before(header, log, verdict.end), *output], verdict)


def _check(header: dict[str, Any], data: bytes, key: bytes) -> None:
    given = str(header.pop("proof"))
    about = hashlib.sha256(json.dumps(header).encode()).hexdigest()
    proof = hmac.new(key, f"record {about}".encode(), "sha256").hexdigest()
    if not hmac.compare_digest(given.encode(), proof.encode()):
        raise ValueError("it does not know the task's key")
    if hashlib.sha256(data).hexdigest() != header["sha256"]:
        raise ValueError("it is not what was written")


def _unpacked(data: bytes) -> bytes:
    if not data:
        return b""
    press = zlib.decompressobj()
    found = press.decompress(data, MOST)
    if press.unconsumed_tail:
        raise ValueError("it is too large")
    return found


def _verdict(data: bytes, whole: bool) -> RunnerResult:
    end, *blobs = protocol.Decoder().feed(data)
    meta = end.meta
    if not whole:
        lost = [item for item in meta.get("packed", []) if item["role"] != "error"]
        kept = [
            *meta.get("kept", []),
            *({**item, "why": f"{byte_size(item['size'])}, {NOT_LOGGED}"} for item in lost),
        ]
        return RunnerResult({**meta, "packed": [], "kept": kept, "size": 0}, [])
    verdict = RunnerResult(meta, [bytearray(size) for size in meta["sizes"]] if meta["size"] else [])
    verdict.put(0, end.data)
    for blob in blobs:
        verdict.put(int(blob.meta["offset"]), blob.data)
    return verdict


def _before(header: dict[str, Any], log: bytes, end: dict[str, Any]) -> Iterator[protocol.Frame]:
    """Yields what the log has of the output that is in no frame, and what nobody has."""
    first = int(header["first"])
    if first <= 1:
        return
    missing = int(end["text"]) - int(header["bytes"])  # bytes of text before the first frame
    text = log[: int(header["copied"])]
    if hashlib.sha256(text).hexdigest() != header.get("copied_sha256"):
        text = b""  # it was rotated, or begins with the words of an entrypoint
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
        f"The result in the pod's log cannot be read: {why}.",
        "The log may have been rotated; `kubectl logs` shows what is there.",
    )
