"""A batch task depends on its log, which may break off, hang or be rotated."""

from __future__ import annotations

import pytest
from podtask.cluster import client

from .scripts_log import FollowCut, FollowEnds, FollowHangs, FollowRotates
from .user import SECONDS, Play, submit

LINES = "".join(f"{number}\n" for number in range(40))
CELL = "import time\nfor number in range(40):\n    print(number, flush=True)\n    time.sleep(0.1)\n42"


@pytest.mark.fault(29, 33, 34, 37)
def test_log_that_breaks_off_is_followed_again(play: Play) -> None:
    """After cuts in the middle of lines, each line appears once, without requests by time."""
    server = play(FollowCut())
    task = submit(CELL, channel="batch")
    assert task.result(SECONDS) == 42
    assert task.logs() == LINES
    assert server.script.times == 3
    asked = [query for _, path, query in server.asked if path.endswith("/log")]
    assert sum(query.get("follow") == "true" for query in asked) > 3
    assert not {"timestamps", "sinceSeconds", "sinceTime"} & {word for query in asked for word in query}


@pytest.mark.fault(30)
def test_log_that_hangs_does_not_delay_the_end(play: Play) -> None:
    """When the status shows that the pod has ended, a separate request reads the complete log."""
    server = play(FollowHangs())
    task = submit(CELL, channel="batch")
    assert task.result(SECONDS) == 42
    assert task.logs() == LINES
    assert server.script.times == 1


@pytest.mark.fault(30, 31)
@pytest.mark.parametrize("script", [FollowHangs, FollowRotates])
def test_silent_log_is_followed_again(
    play: Play, monkeypatch: pytest.MonkeyPatch, script: type[FollowHangs]
) -> None:
    """A silent log is followed again, whether rotated or not; no line is repeated."""
    monkeypatch.setattr(client, "SILENT_LOG_SECONDS", 0.5)
    server = play(script())
    task = submit(CELL, channel="batch")
    assert task.result(SECONDS) == 42
    assert task.logs() == LINES
    assert server.count("GET", "/log", follow="true") > 1


@pytest.mark.fault(41, 54)
def test_pod_that_is_removed_while_its_log_is_followed(play: Play) -> None:
    """If the pod is deleted, an error names the deletion, and the output is kept."""
    server = play(FollowEnds())
    task = submit(CELL, channel="batch")
    assert "the pod was deleted" in str(task.exception(SECONDS))
    assert LINES.startswith(task.logs())
    assert task.logs()
    assert server.count("POST", "/pods") == 1
