"""The log of a task's updates: in order for every reader, limited in memory and on disk, and no deadlock."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

import pytest
from podtask.lifecycle import updates
from podtask.lifecycle.updates import MAX_AHEAD_BYTES, Update, UpdateLog, UpdateReader, Usage
from podtask.runner import protocol

SECONDS = 60


def output(text: bytes, name: str = "stdout") -> Update:
    return Update("frame", frame=protocol.Frame(protocol.STREAM, 0, {"name": name}, text))


def display(text: bytes) -> Update:
    return Update("frame", frame=protocol.Frame(protocol.DISPLAY, 0, {}, text))


def gap(first: int, last: int) -> Update:
    return Update("frame", frame=protocol.Frame(protocol.GAP, 0, {"from": first, "to": last}, b""))


def read(reader: UpdateReader) -> list[Update]:
    """Return all updates that are left, without the numbers of their frames."""
    found = []
    while not reader.empty():
        update = reader.get_nowait()
        frame = update.frame and update.frame._replace(seq=0)
        found.append(update._replace(frame=frame))
    return found


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> UpdateLog:
    """Return a log that keeps 80 KiB of output and 80 KiB of everything else, 1 KiB of each in memory."""
    for name, size in (("MAX_OUTPUT_BYTES", 80), ("MAX_OTHER_BYTES", 80), ("MAX_MEMORY_BYTES", 1)):
        monkeypatch.setattr(updates, name, size << 10)
    return UpdateLog()


ALL = [
    Update("phase", "Pending: \ud800 é"),
    output(b"one\n"),
    display(b"{}"),
    output(b"two\n", "stderr"),
    output(b"three\n"),
    Update("note", ""),
    Update("done"),
]


@pytest.mark.fault(94)
@pytest.mark.parametrize("before", range(len(ALL) + 1))
def test_every_reader_reads_all_updates_in_order(before: int) -> None:
    """A reader gets the updates from before it was made, and those after, in order."""
    log = UpdateLog()
    for update in ALL[:before]:
        log.append(update)
    reader = log.reader()
    first = read(reader)
    for update in ALL[before:]:
        log.append(update)
    expected = [Update("phase", "Pending: \\ud800 é"), *ALL[1:]]
    assert first == expected[:before]
    assert first + read(reader) == read(log.reader()) == expected
    with pytest.raises(queue.Empty):
        reader.get(timeout=0)


@pytest.mark.fault(94)
def test_output_is_what_was_written() -> None:
    """The output holds both streams in order, and no displays."""
    log = UpdateLog()
    for update in ALL:
        log.append(update)
    assert log.output() == b"one\ntwo\nthree\n"
    assert log.output(max_bytes=4) == b"ree\n"
    assert log.has_all_output


@pytest.mark.fault(94)
def test_task_with_little_output_needs_no_file() -> None:
    """Hundreds of tasks with little output do not use up the files that a process may open."""
    log = UpdateLog()
    for _ in range(100):
        log.append(output(bytes(5000)))
    assert [segment._file for segment in log.output_spool._segments] == [None]
    assert len(log.output()) == 500_000


@pytest.mark.fault(94)
def test_old_output_is_dropped_and_a_line_says_so(small: UpdateLog) -> None:
    """The newest output is kept, at most as much as the limit, after a line that tells of the rest."""
    for number in range(1000):
        small.append(output(b"%01023d\n" % number))
    kept = small.output()
    assert not small.has_all_output
    assert small.output_spool.size_from(small.output_spool.first) <= updates.MAX_OUTPUT_BYTES
    notice, rest = kept[1:].split(b"\n", 1)
    assert notice.startswith(b"[podtask: output was dropped here: the notebook keeps the last ")
    first = 1000 - len(rest) // 1024
    assert rest == b"".join(b"%01023d\n" % number for number in range(first, 1000))
    assert 60 <= 1000 - first <= 80


@pytest.mark.fault(94)
def test_gap_of_the_runner_is_a_line_of_the_output(small: UpdateLog) -> None:
    """Output that the runner has dropped leaves a line in its place."""
    for update in (output(b"one\n"), gap(2, 9), output(b"ten\n")):
        small.append(update)
    assert small.output() == (
        b"one\n\n[podtask: output was dropped here: it came faster than it was shown, "
        b"or no notebook was connected]\nten\n"
    )


@pytest.mark.fault(94)
def test_reader_that_comes_late_is_told_what_was_dropped(small: UpdateLog) -> None:
    """A reader reads a gap frame with the number of the updates that are gone, then those that are kept."""
    for number in range(1000):
        small.append(output(b"%01023d\n" % number))
    first, *rest = read(small.reader())
    assert first.frame is not None
    assert first.frame.kind == protocol.GAP
    assert (first.frame.meta["from"], first.frame.meta["to"]) == (1, 1000 - len(rest))
    assert rest == [output(b"%01023d\n" % number) for number in range(1000 - len(rest), 1000)]


@pytest.mark.fault(94)
def test_displays_do_not_take_the_room_of_the_output(small: UpdateLog) -> None:
    """A plot that is redrawn for hours leaves the output whole, and output leaves displays and notes."""
    small.append(output(b"first\n"))
    for _ in range(1000):
        small.append(display(bytes(1000)))
    assert small.output() == b"first\n"
    small.append(Update("note", "kept"))
    for _ in range(1000):
        small.append(output(bytes(1000)))
    assert Update("note", "kept") in read(small.reader())


@pytest.mark.fault(94)
def test_receiver_waits_for_the_view() -> None:
    """Without room, the receiver waits until the view has read, is closed, or asks a question."""

    async def scene(go_on: Callable[[UpdateReader], object]) -> None:
        log = UpdateLog()
        view, other = log.reader(), log.reader()
        view.holds_runner = True
        while view.unread_bytes <= MAX_AHEAD_BYTES:
            await asyncio.wait_for(log.wait_for_room(), 10)
            log.append(output(bytes(protocol.MAX_DATA)))
        waiting = asyncio.ensure_future(log.wait_for_room())
        await asyncio.sleep(0)
        other.get_nowait()
        assert not waiting.done()
        await asyncio.to_thread(go_on, view)
        await asyncio.wait_for(waiting, 10)

    asyncio.run(scene(read))
    asyncio.run(scene(UpdateReader.close))
    asyncio.run(scene(lambda view: setattr(view, "holds_runner", False)))


@pytest.mark.fault(94)
def test_receiver_that_is_cancelled_leaves_the_view_alone() -> None:
    """A view reads on after the task was cancelled."""

    async def scene() -> None:
        log = UpdateLog()
        view = log.reader()
        view.holds_runner = True
        for _ in range(20):
            log.append(output(bytes(protocol.MAX_DATA)))
        waiting = asyncio.ensure_future(log.wait_for_room())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert len(read(view)) == 20

    asyncio.run(scene())


@pytest.mark.fault(94)
def test_reader_is_notified_once_until_it_has_read_all() -> None:
    """Notices are as many as times that all was read, not as updates; so a flood makes no queue of them."""
    log = UpdateLog()
    log.append(Update("note", "1"))
    reader, notices = log.reader(), list[str]()
    reader.notify(lambda: notices.append("ready"))
    for number in range(100):
        log.append(Update("note", str(number)))
    assert len(notices) == 1
    assert len(read(reader)) == 101
    log.append(Update("note", "next"))
    assert len(notices) == 1  # it has not been told that nothing is left
    assert read(reader) == [Update("note", "next")]
    with pytest.raises(queue.Empty):
        reader.get_nowait()
    log.append(Update("note", "late"))
    assert len(notices) == 2
    reader.close()
    log.append(Update("note", "later"))
    assert len(notices) == 2


def in_thread(call: Callable[[], object]) -> None:
    """Call a function in a thread; fail if it does not return."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), "deadlock"


@pytest.mark.fault(96)
def test_listener_may_use_the_log() -> None:
    """A listener may read the output, append and listen while it is called, also by way of another thread."""
    log, seen = UpdateLog(), list[tuple[str, bytes]]()

    def once(update: Update) -> None:
        if not seen:
            in_thread(lambda: seen.append((update.text, log.output())))
            in_thread(lambda: log.listen(lambda each: seen.append((each.text, b""))))
            log.append(Update("note", "nested"))

    log.append(output(b"out"))
    log.listen(once)
    in_thread(lambda: log.append(Update("note", "first")))
    assert seen == [("first", b"out"), ("nested", b"")]


@pytest.mark.fault(96)
def test_slow_listener_delays_no_reader() -> None:
    """While a listener is called, readers read on."""
    log, entered, gate = UpdateLog(), threading.Event(), threading.Event()

    def slow(update: Update) -> None:
        entered.set()
        gate.wait(SECONDS)

    log.listen(slow)
    reader = log.reader()
    appending = threading.Thread(target=log.append, args=(Update("note", "1"),), daemon=True)
    appending.start()
    assert entered.wait(SECONDS)
    in_thread(lambda: reader.get(timeout=SECONDS))
    gate.set()
    appending.join(SECONDS)


@pytest.mark.fault(97)
@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), ValueError()], ids=repr)
def test_broken_listener_gets_no_more_updates(error: BaseException) -> None:
    """A listener that raises ends neither the task nor other listeners."""
    log, broken, seen = UpdateLog(), list[str](), list[str]()

    def throw(update: Update) -> None:
        broken.append(update.text)
        raise error

    log.listen(throw)
    log.listen(lambda update: seen.append(update.text))
    log.append(Update("note", "1"))
    log.append(Update("note", "2"))
    assert (broken, seen) == (["1"], ["1", "2"])


@pytest.mark.fault(100)
@pytest.mark.parametrize("late", [Update("note", "late"), Update("phase", "Left"), Update("done")], ids=str)
def test_update_after_the_end_is_dropped(late: Update) -> None:
    """Nothing follows the last update, neither for readers and listeners so far nor for later ones."""
    log = UpdateLog()
    early, heard = log.reader(), list[Update]()
    log.listen(heard.append)
    log.append(Update("done"))
    log.append(late)
    log.listen(heard.append)
    log.append(late)
    assert read(early) == read(log.reader()) == heard == [Update("done")]


@pytest.mark.fault(95)
def test_shown_displays_are_dropped_and_the_output_is_kept() -> None:
    """What a view has shown is freed once the task has ended, but for the text that logs() returns."""
    log = UpdateLog()
    early = log.reader()
    for update in ALL:
        log.append(update)
    log.drop_shown()
    left = [update.frame and update.frame.kind for update in read(log.reader())]
    assert left == [None, protocol.STREAM, protocol.STREAM, protocol.STREAM, None, None]
    assert log.output() == b"one\ntwo\nthree\n"
    assert len(read(early)) == len(ALL)  # it goes on with what it has begun to read


def test_newest_usage_is_read_once() -> None:
    """A reader gets the newest usage before anything else, once; later readers and an ended task get none."""
    log = UpdateLog()
    reader = log.reader()
    log.append(output(b"one"))
    first, newest = Usage(1.0, 2, None, None), Usage(1.5, 3, 2.0, 4)
    woken: list[None] = []
    reader.notify(lambda: woken.append(None))
    assert len(read(reader)) == 1
    with pytest.raises(queue.Empty):
        reader.get_nowait()
    log.set_usage(first)
    assert len(woken) == 2
    log.set_usage(newest)
    log.append(Update("done"))
    assert read(reader) == [Update("usage", usage=newest), Update("done")]
    assert read(log.reader()) == [output(b"one"), Update("done")]
    log.set_usage(first)
    assert log.usage == newest
    assert reader.empty()
