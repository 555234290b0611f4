"""Output and result survive broken connections, or are read from the log."""

from __future__ import annotations

import pytest
from podtask.channel import channel

from .scripts import Script
from .scripts_end import (
    Away,
    Crawls,
    EvictedAway,
    Hangs,
    Idle,
    LogAway,
    LogExcuse,
    LogRefused,
    Rotated,
)
from .user import SECONDS, Play, submit

LINES = "".join(f"{number}\n" for number in range(100))
CELL = (
    "for number in range(50):\n    print(number)\nprint('cut here', flush=True)\n"
    "for number in range(50, 100):\n    print(number)\n42"
)
WHOLE = LINES.replace("50\n", "cut here\n50\n")


@pytest.mark.fault(29)
def test_idle_connection_that_is_closed(play: Play) -> None:
    """The next connection resumes: each line appears once, and no message is shown."""
    server = play(Idle())
    task = submit(CELL)
    assert task.result(SECONDS) == 42
    assert task.logs() == WHOLE
    assert server.script.times == 1


@pytest.mark.fault(28, 31, 32, 33, 34, 37, 40)
@pytest.mark.parametrize("script", [Away, LogRefused, LogAway, LogExcuse, Rotated])
def test_log_of_an_ended_pod_has_the_rest(play: Play, script: type[Script]) -> None:
    """A log that is refused or rotated is read completely at the end; no line is missing or repeated.

    Lines are numbered by the runner: no time is asked for, so none can be wrong.
    """
    server = play(script())
    task = submit(CELL, linger=0.1)
    assert task.result(SECONDS) == 42
    assert task.logs() == WHOLE
    asked = [query for _, path, query in server.asked if path.endswith("/log")]
    assert asked
    assert not {"follow", "timestamps", "sinceSeconds", "sinceTime"} & {
        word for query in asked for word in query
    }


def test_cell_with_a_result_in_a_log_is_not_run_again(play: Play) -> None:
    """--retry-on lost repeats only a cell whose result was lost with its pod."""
    server = play(EvictedAway())
    task = submit(CELL, linger=0.1, retries=1, retry_on="lost")
    assert task.result(SECONDS) == 42
    assert task.logs() == WHOLE
    assert server.count("POST", "/pods") == 1


@pytest.mark.fault(42)
def test_reader_that_is_slower_than_the_cell(play: Play) -> None:
    """The cell does not wait for a slow reader, which receives everything over one connection."""
    play(Crawls())
    task = submit(CELL.removesuffix("42") + "print('the last')\n42")
    assert task.result(SECONDS) == 42
    assert task.logs() == WHOLE + "the last\n"
    assert task._follower.channel is not None
    assert task._follower.channel.reconnects == 0


@pytest.mark.fault(30)
def test_connection_that_hangs_is_replaced(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without data and without an end is replaced after some silence."""
    monkeypatch.setattr(channel, "PING_INTERVAL_SECONDS", 1)
    monkeypatch.setattr(channel, "MAX_SILENCE_SECONDS", 3)
    server = play(Hangs())
    task = submit(CELL)
    assert task.result(120) == 42
    assert task.logs() == WHOLE
    assert server.forwards.opened > 1
