"""Frames are decoded as they were encoded, wherever the stream is cut, and invalid data is rejected."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
from podtask.runner import protocol
from podtask.runner.protocol import Decoder, Frame, WireError, encode

FRAMES = [
    Frame(protocol.PING, 0, {}, b""),
    Frame(protocol.ATTACH, 0, {"proto": protocol.PROTOCOL_VERSION, "after_seq": 0, "takeover": True}, b""),
    Frame(protocol.STREAM, 7, {"name": "stdout", "t": 1.5}, b"plain"),
    Frame(protocol.STREAM, 8, {"name": "stderr"}, b"\x00\xff\r\n" * 5),
    Frame(protocol.DISPLAY, (1 << 64) - 1, {"mime": {"text/plain": "é ☃ \U0001f600"}}, b""),
    Frame(protocol.BLOB, 0, {}, b"data without meta"),
    Frame(protocol.RESULT, 1 << 40, {"error": None, "values": {"a": [1, {"b": "\ud800"}]}}, b""),
]
NAMES = ["empty", "meta", "both", "binary", "large seq", "data", "nested"]


def whole(frame: Frame) -> bytes:
    return encode(frame.kind, frame.meta, frame.data, frame.seq)


@pytest.mark.parametrize("frame", FRAMES, ids=NAMES)
def test_frame_comes_back_as_it_went(frame: Frame) -> None:
    """A frame keeps its kind, number, meta and data on the wire."""
    assert list(Decoder().feed(whole(frame))) == [frame]


def test_bytes_on_the_wire_are_these() -> None:
    """The layout is a header of kind, number and two sizes in network order, JSON, then data."""
    header = b"\x41" + (9).to_bytes(8, "big") + (7).to_bytes(4, "big") + (2).to_bytes(4, "big")
    assert encode(0x41, {"a": 1}, b"xy", 9) == header + b'{"a":1}' + b"xy"


def test_frames_in_one_chunk_come_in_order() -> None:
    """Any number of frames may arrive in one chunk."""
    assert list(Decoder().feed(b"".join(map(whole, FRAMES)))) == FRAMES


def test_frames_survive_a_cut_at_every_byte() -> None:
    """Wherever the stream is cut in two, the same frames come out."""
    stream = b"".join(map(whole, FRAMES))
    for cut in range(len(stream) + 1):
        decoder = Decoder()
        found = [*decoder.feed(stream[:cut]), *decoder.feed(stream[cut:])]
        assert found == FRAMES, f"cut at {cut}"


def test_frames_survive_single_bytes() -> None:
    """A stream that arrives byte by byte gives the same frames, each with its last byte."""
    decoder = Decoder()
    ends = []
    place = 0
    for frame in FRAMES:
        place += len(whole(frame))
        ends.append((place, frame))
    stream = b"".join(map(whole, FRAMES))
    found = [(n + 1, frame) for n in range(len(stream)) for frame in decoder.feed(stream[n : n + 1])]
    assert found == ends


def test_unfinished_frame_is_kept_back() -> None:
    """A frame is returned only after its last byte."""
    decoder = Decoder()
    assert list(decoder.feed(whole(FRAMES[2])[:-1])) == []
    assert list(decoder.feed(whole(FRAMES[2])[-1:])) == [FRAMES[2]]


@pytest.mark.parametrize(
    ("meta_size", "data_size"),
    [(protocol.MAX_META + 1, 0), (0, protocol.MAX_DATA + 1), ((1 << 32) - 1, (1 << 32) - 1)],
    ids=["meta", "data", "both"],
)
def test_oversized_header_is_refused(meta_size: int, data_size: int) -> None:
    """A header over the limits is rejected at once, before its body arrives."""
    with pytest.raises(WireError, match=f"{meta_size} \\+ {data_size} bytes"):
        list(Decoder().feed(protocol.HEADER.pack(protocol.STREAM, 1, meta_size, data_size)))


@pytest.mark.parametrize(
    "text",
    [b"{", b"nonsense", b"{'a': 1}", b"\xff\xfe{}", b'{"a": 1} trailing', b"[" * 200_000],
    ids=["cut", "word", "quotes", "no utf-8", "trailing", "deep"],
)
def test_meta_that_is_not_json_is_rejected(text: bytes) -> None:
    """Meta that is not valid JSON is a WireError."""
    with pytest.raises(WireError, match="not JSON"):
        list(Decoder().feed(protocol.HEADER.pack(protocol.STREAM, 1, len(text), 0) + text))


@pytest.mark.parametrize("value", [[], ["a"], "text", 1, None, True])
def test_meta_that_is_not_an_object_is_rejected(value: object) -> None:
    """Meta that is not a JSON object is a WireError."""
    text = json.dumps(value).encode()
    with pytest.raises(WireError, match="not a JSON object"):
        list(Decoder().feed(protocol.HEADER.pack(protocol.STREAM, 1, len(text), 0) + text))


def test_frames_before_an_invalid_one_are_returned() -> None:
    """Complete frames before an invalid one are returned."""
    bad = protocol.HEADER.pack(protocol.STREAM, 1, 2, 0) + b"[]"
    found = Decoder().feed(whole(FRAMES[2]) + bad)
    assert next(found) == FRAMES[2]
    with pytest.raises(WireError):
        next(found)


def test_largest_data_passes_and_one_byte_more_does_not() -> None:
    """Data is limited to 512 KiB, and encode enforces the limit."""
    data = bytes(protocol.MAX_DATA)
    assert list(Decoder().feed(encode(protocol.BLOB, {}, data))) == [Frame(protocol.BLOB, 0, {}, data)]
    with pytest.raises(WireError, match=f"kind {protocol.BLOB} is too large"):
        encode(protocol.BLOB, {}, data + b"x")


def test_largest_meta_passes_and_one_byte_more_does_not() -> None:
    """The limit of meta is 1 MiB, as JSON."""
    fits = {"a": "x" * (protocol.MAX_META - len('{"a":""}'))}
    assert next(iter(Decoder().feed(encode(protocol.RUN, fits)))).meta == fits
    with pytest.raises(WireError, match="too large"):
        encode(protocol.RUN, {"a": fits["a"] + "x"})


def records(*frames: Frame, key: bytes = b"k") -> list[bytes]:
    """Return the records of one direction, one for each frame."""
    seal = protocol.Seal(key)
    return [seal.record(whole(frame)) for frame in frames]


@pytest.mark.fault(89)
def test_sealed_frames_come_back_wherever_the_stream_is_cut() -> None:
    """Records hold any number of frames and may arrive in any pieces."""
    seal = protocol.Seal(b"k")
    stream = seal.record(*map(whole, FRAMES[:3])) + seal.record() + seal.record(*map(whole, FRAMES[3:]))
    for cut in range(len(stream) + 1):
        decoder = Decoder(protocol.Seal(b"k"))
        assert [*decoder.feed(stream[:cut]), *decoder.feed(stream[cut:])] == FRAMES, f"cut at {cut}"


@pytest.mark.fault(89)
@pytest.mark.parametrize(
    "tampered",
    [
        lambda one, two, three: [one, two, two],
        lambda one, two, three: [one, three],
        lambda one, two, three: [two, one, three],
        lambda one, two, three: [one, two[:-1] + bytes([two[-1] ^ 1]), three],
        lambda one, two, three: [one, two[:6] + bytes([two[6] ^ 1]) + two[7:], three],
        lambda one, two, three: [one, bytes(len(two)), three],
        lambda one, two, three: [one, *records(FRAMES[2], key=b"other"), three],
        lambda one, two, three: [one, two[:-3] + three],
    ],
    ids=["repeated", "left out", "moved", "tag", "content", "zeros", "other key", "cut"],
)
def test_record_that_the_other_side_did_not_send_is_refused(tampered: Callable[..., list[bytes]]) -> None:
    """A record that was changed, repeated, left out or moved is an error; frames before it are kept."""
    frames = FRAMES[1:4]
    decoder = Decoder(protocol.Seal(b"k"))
    found: list[Frame] = []
    stream = b"".join([*tampered(*records(*frames)), b"\0" * 100])
    with pytest.raises(WireError):
        found.extend(decoder.feed(stream))
    assert found == frames[: len(found)]
    assert len(found) < 3


@pytest.mark.fault(89)
def test_directions_and_connections_have_keys_of_their_own() -> None:
    """What one side has sent is not accepted from the other side, nor in another connection."""

    def prove(*words: str) -> str:
        return hashlib.sha256(" ".join(words).encode()).hexdigest()

    keys = set()
    for challenge in ("a b 3.12 1", "a c 3.12 1"):
        for seal in protocol.connection_seals(prove, challenge):
            keys.add(seal.record(whole(FRAMES[1])))
    assert len(keys) == 4


@pytest.mark.fault(89)
def test_record_over_the_limit_is_refused_before_it_arrives() -> None:
    """The size of a record is limited, in both directions."""
    with pytest.raises(WireError, match="over the limit"):
        list(Decoder(protocol.Seal(b"k")).feed(protocol.RECORD.pack(protocol.MAX_RECORD_BYTES + 1)))
    with pytest.raises(WireError, match="over the limit"):
        protocol.Seal(b"k").record(bytes(protocol.MAX_RECORD_BYTES + 1))


@pytest.mark.fault(89)
def test_frame_does_not_cross_records() -> None:
    """A record consists of whole frames."""
    seal = protocol.Seal(b"k")
    data = whole(FRAMES[2])
    with pytest.raises(WireError, match="ends within a frame"):
        list(Decoder(protocol.Seal(b"k")).feed(seal.record(data[:-1])))
