"""A task past its timeout with lost contact: the state of its pod is unknown."""

from __future__ import annotations

import podtask
import pytest
from podtask.lifecycle import wait

from .scripts_end import Away
from .user import SECONDS, Play, submit

CELL = "import time\nprint('cut here', flush=True)\ntime.sleep(600)"


@pytest.mark.fault(46, 76)
def test_pod_with_lost_contact_is_kept(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod is not deleted, and a kernel that attaches later receives the result from the runner."""
    monkeypatch.setattr(wait, "TIMEOUT_GRACE_SECONDS", 0.0)
    script = Away()
    server = play(script)
    task = submit(CELL, timeout=1, grace=1)
    with pytest.raises(podtask.TaskTimeout, match=f"attach {task.name}"):
        task.result(SECONDS)
    assert server.count("DELETE", task.name) == 0
    script.reachable = True
    with pytest.raises(podtask.TaskTimeout, match="ran longer than its --timeout"):
        podtask.attach(task.name).result(SECONDS)
