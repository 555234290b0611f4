"""The spool keeps frames in order and within a limit, on disk or, if that is not possible, in memory."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import resource
import socket
from collections.abc import Callable, Iterable, Iterator

import pytest
from podtask.runner import protocol
from podtask.runner.supervisor.connection import Connection
from podtask.runner.supervisor.spool import MAX_MEMORY_BYTES, SEGMENT_BYTES, Spool
from podtask.runner.supervisor.temporary_files import temporary_file

PIECE = 512 << 10
IN_SEGMENT = SEGMENT_BYTES // PIECE


def piece(number: int) -> bytes:
    return number.to_bytes(4, "big") * (PIECE // 4)


@pytest.fixture
def make() -> Iterator[Callable[..., Spool]]:
    """Return a function that creates spools with frames; their files are closed after the test."""
    made = []

    def make(frames: Iterable[bytes] = (), limit: int = 256 << 20) -> Spool:
        spool = Spool(limit)
        made.append(spool)
        for frame in frames:
            spool.append(frame)
        return spool

    yield make
    for spool in made:
        for segment in spool._segments:
            segment.close()


def pieces(first: int, last: int) -> list[bytes]:
    return [piece(number) for number in range(first, last + 1)]


def _connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        return server.accept()[0], theirs


def everything(spool: Spool, seq: int, most: int = 256 << 10) -> bytes:
    found = []
    while seq <= spool.last:
        data, after = spool.read(seq, most)
        assert after > seq, "a read goes forward"
        found.append(data)
        seq = after
    return b"".join(found)


Make = Callable[..., Spool]


def test_empty_spool_has_no_frames(make: Make) -> None:
    """In an empty spool, first equals last plus one."""
    spool = make()
    assert (spool.first, spool.last) == (1, 0)
    with pytest.raises(KeyError):
        spool.read(1)


def test_frames_are_numbered_from_one(make: Make) -> None:
    """Frames are numbered consecutively, beginning with 1."""
    spool = make()
    lasts = []
    for frame in (b"a", b"bb", b"ccc"):
        spool.append(frame)
        lasts.append((spool.first, spool.last))
    assert lasts == [(1, 1), (1, 2), (1, 3)]


@pytest.mark.parametrize(
    ("seq", "most", "data", "after"),
    [
        (1, 100, b"abbcccdddd", 5),
        (3, 100, b"cccdddd", 5),
        (4, 100, b"dddd", 5),
        (1, 1, b"a", 2),
        (2, 1, b"bb", 3),
        (1, 2, b"abb", 3),
        (1, 3, b"abb", 3),
        (1, 4, b"abbccc", 4),
    ],
)
def test_read_gives_whole_frames_and_the_next_number(
    make: Make, seq: int, most: int, data: bytes, after: int
) -> None:
    """A read ends with the frame that reaches the size, and returns the next number."""
    assert make([b"a", b"bb", b"ccc", b"dddd"]).read(seq, most) == (data, after)


def test_reading_does_not_remove_frames(make: Make) -> None:
    """A second client can read the same frames."""
    spool = make(pieces(1, 3))
    assert [spool.read(2), spool.read(2)] == [(piece(2), 3)] * 2
    assert (spool.first, spool.last) == (1, 3)


@pytest.mark.parametrize("most", [1, PIECE, 3 * PIECE + 1, 1 << 30])
def test_frames_are_read_across_segments(make: Make, most: int) -> None:
    """Frames in several files are returned in order, whatever the size of a read."""
    frames = pieces(1, 2 * IN_SEGMENT + 3)
    spool = make(frames)
    assert everything(spool, 1, most) == b"".join(frames)
    assert everything(spool, IN_SEGMENT, most) == b"".join(frames[IN_SEGMENT - 1 :])


def test_over_the_limit_the_oldest_frames_are_dropped(make: Make) -> None:
    """A spool over its limit drops the oldest frames, and the others keep their numbers."""
    last = 4 * IN_SEGMENT
    limit = 2 * SEGMENT_BYTES
    spool = make(pieces(1, last), limit)
    assert spool.last == last
    assert 1 < spool.first <= last - limit // PIECE + IN_SEGMENT
    kept = everything(spool, spool.first)
    assert len(kept) <= limit
    assert kept == b"".join(pieces(spool.first, last))


def test_dropped_frame_is_not_read(make: Make) -> None:
    """The number of a dropped frame is a KeyError, never another frame."""
    spool = make(pieces(1, 3 * IN_SEGMENT), limit=SEGMENT_BYTES)
    with pytest.raises(KeyError):
        spool.read(spool.first - 1)


def test_newest_frame_is_always_kept(make: Make) -> None:
    """The newest frame can be read even if the limit is smaller."""
    last = IN_SEGMENT + 1
    spool = make(pieces(1, last), limit=1)
    assert (spool.first, spool.last) == (last, last)
    assert spool.read(last) == (piece(last), last + 1)


def test_under_the_limit_no_frame_is_dropped(make: Make) -> None:
    """A spool at exactly its limit keeps all frames."""
    assert make(pieces(1, 2 * IN_SEGMENT), limit=2 * SEGMENT_BYTES).first == 1


def test_scratch_file_is_written_and_read() -> None:
    """The scratch file returns the bytes that were written."""
    file = temporary_file()
    assert file is not None
    with file:
        file.write(b"kept")
        file.seek(0)
        assert file.read() == b"kept"


def fill_with_limit(kind: int, value: int, last: int) -> tuple[int, int, bytes]:
    """Return first, last and all frames of a spool that was filled with a limited resource.

    The spool runs in a separate process, because other threads of this process need the resource.
    """
    alone = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=alone) as process:
        return process.submit(_kept_with, kind, value, last).result()


def _kept_with(kind: int, value: int, last: int) -> tuple[int, int, bytes]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    spool = Spool(256 << 20)
    for frame in pieces(1, last):
        spool.append(frame)
    resource.setrlimit(kind, (soft, hard))
    return spool.first, spool.last, everything(spool, spool.first)


def test_without_files_frames_are_kept_in_memory() -> None:
    """If no file can be created, the spool keeps frames in memory."""
    assert fill_with_limit(resource.RLIMIT_NOFILE, 0, 3) == (1, 3, b"".join(pieces(1, 3)))


def test_in_memory_the_limit_is_lower() -> None:
    """In memory, the limit is lower, so that the user's memory is not used up."""
    first, last, kept = fill_with_limit(resource.RLIMIT_NOFILE, 0, 2 * MAX_MEMORY_BYTES // PIECE)
    assert 0 < len(kept) <= MAX_MEMORY_BYTES
    assert kept == b"".join(pieces(first, last))


def test_full_disk_loses_no_frame() -> None:
    """If the disk becomes full, even in the middle of a frame, all frames can be read."""
    frames = b"".join(pieces(1, 6))
    assert fill_with_limit(resource.RLIMIT_FSIZE, 3 * PIECE + 10, 6) == (1, 6, frames)


def test_slow_client_is_informed_of_lost_frames(make: Make) -> None:
    """A gap frame reports frames that were dropped before a client received them."""
    spool = make(limit=2 * SEGMENT_BYTES)
    ours, theirs = _connected()
    with ours, theirs:
        client = Connection(ours, lambda *parts: "", "", "challenge")
        client.cursor = 1
        for number in range(1, 4 * IN_SEGMENT + 1):
            spool.append(protocol.encode(protocol.STREAM, {"name": "stdout"}, bytes(PIECE), number))
        first = spool.first
        assert first > 1
        assert client.queue_next(spool, [])
        client.flush()
        theirs.settimeout(10)
        [gap, *_] = protocol.Decoder(protocol.Seal(b"")).feed(theirs.recv(4096, socket.MSG_WAITALL))
        assert (gap.kind, gap.seq, gap.meta) == (protocol.GAP, first - 1, {"from": 1, "to": first - 1})


def test_trimmed_frames_are_gone_and_no_gap(make: Callable[..., Spool]) -> None:
    """Frames that a client has acknowledged are dropped; a client that asks for them gets those after them."""
    spool = make(piece(number) for number in range(1, 3 * IN_SEGMENT + 1))
    spool.trim(IN_SEGMENT + 2)
    assert spool.first == IN_SEGMENT + 3
    assert spool.size_from(spool.first) == (2 * IN_SEGMENT - 2) * PIECE
    assert spool.read(spool.first, PIECE) == (piece(spool.first), spool.first + 1)
    spool.trim(1)
    assert spool.first == IN_SEGMENT + 3
    spool.trim(spool.last)
    assert (spool.first, spool.last) == (3 * IN_SEGMENT + 1, 3 * IN_SEGMENT)
    spool.append(piece(9))
    assert spool.read(spool.last)[0] == piece(9)
    assert spool.first == spool.last


def test_client_resumes_after_trimmed_frames(make: Callable[..., Spool]) -> None:
    """A client that has none of the frames is sent those that are left, without a frame that reports a gap."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        near = server.accept()[0]
    with near, far:
        spool = make(protocol.encode(protocol.STREAM, {}, b"", seq) for seq in range(1, 5))
        spool.trim(2)
        client = Connection(near, lambda *words: "00" * 32, "", "challenge")
        client.cursor = 1
        assert client.queue_next(spool, [])
        client.flush()
        decoder = protocol.Decoder(protocol.Seal(bytes(32)))
        frames = list(decoder.feed(far.recv(1 << 16)))
        assert [(frame.kind, frame.seq) for frame in frames] == [(protocol.STREAM, 3), (protocol.STREAM, 4)]
        spool.trim(4)
        client.cursor = 1
        assert not client.queue_next(spool, [])
