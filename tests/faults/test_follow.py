"""A batch task is known only from its log, which breaks off, hangs or is rotated."""

from __future__ import annotations

import pytest
from podtask.cluster import client

from .scripts_log import FollowCut, FollowEnds, FollowHangs, FollowRotates
from .user import SECONDS, Play, submit

LINES = "".join(f"{number}\n" for number in range(40))
CELL = "import time\nfor number in range(40):\n    print(number, flush=True)\n    time.sleep(0.1)\n42"


@pytest.mark.fault(29, 33, 34, 37)
def test_log_that_breaks_off_is_read_on(play: Play) -> None:
    """Cut in the middle of lines: each is there once, and no time is asked for that could be wrong."""
    server = play(FollowCut())
    task = submit(CELL, channel="batch")
    assert task.result(SECONDS) == 42
    assert task.logs() == LINES
    assert server.script.times == 3
    asked = [query for _, path, query in server.asked if path.endswith("/log")]
    assert sum(query.get("follow") == "true" for query in asked) > 3
    assert not {"timestamps", "sinceSeconds", "sinceTime"} & {word for query in asked for word in query}


@pytest.mark.fault(30)
def test_log_that_hangs_does_not_hold_up_the_end(play: Play) -> None:
    """The status says that the pod has ended: its log is read whole, by a request of its own."""
    server = play(FollowHangs())
    task = submit(CELL, channel="batch")
    assert task.result(SECONDS) == 42
    assert task.logs() == LINES
    assert server.script.times == 1


@pytest.mark.fault(30, 31)
@pytest.mark.parametrize("script", [FollowHangs, FollowRotates])
def test_log_that_is_silent_is_followed_anew(
    play: Play, monkeypatch: pytest.MonkeyPatch, script: type[FollowHangs]
) -> None:
    """While the cell goes on; rotated or not, what was read is not shown again, and the rest is."""
    monkeypatch.setattr(client, "SILENT_LOG_SECONDS", 0.5)
    server = play(script())
    task = submit(CELL, channel="batch")
    assert task.result(SECONDS) == 42
    assert task.logs() == LINES
    assert server.count("GET", "/log", follow="true") > 1


@pytest.mark.fault(41, 54)
def test_pod_that_is_removed_while_its_log_is_followed(play: Play) -> None:
    """A log that ends because the pod was deleted is an error that names the deletion; its output is kept."""
    server = play(FollowEnds())
    task = submit(CELL, channel="batch")
    assert "the pod was deleted" in str(task.exception(SECONDS))
    assert LINES.startswith(task.logs())
    assert task.logs()
    assert server.count("POST", "/pods") == 1
