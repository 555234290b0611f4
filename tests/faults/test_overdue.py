"""A task past its timeout with lost contact: the state of its pod is unknown."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import podtask
import pytest
from podtask.lifecycle import follow
from podtask.lifecycle.wait import TIMEOUT_GRACE_SECONDS, enforce_timeout

from .scripts_end import Away
from .user import SECONDS, Play, submit

CELL = "print('cut here', flush=True)\nopen({!r}).close()\n42"


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the time without a connection pass at once; return its steps in seconds."""
    steps: list[float] = []

    async def enforce(
        name: str, options: podtask.RunOptions, linger: float, is_connected: Callable[[], bool]
    ) -> None:
        async def sleep(seconds: float) -> None:
            while is_connected():  # noqa: ASYNC110  # no event tells of it
                await asyncio.sleep(0.01)
            steps.append(seconds)

        await enforce_timeout(name, options, linger, is_connected, sleep)

    monkeypatch.setattr(follow, "enforce_timeout", enforce)
    return steps


@pytest.mark.fault(46, 76, 103)
@pytest.mark.parametrize(
    ("options", "linger"),
    [({}, 3600), ({"gpu": 1}, 600), ({"linger": "2h"}, 7200)],
    ids=["default", "gpu", "given"],
)
def test_pod_with_lost_contact_is_kept(
    play: Play, waited: list[float], tmp_path: Path, options: dict[str, object], linger: float
) -> None:
    """After --timeout and --linger the pod is not deleted, and a kernel that attaches later gets the result."""
    script = Away()
    server = play(script)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    task = submit(CELL.format(str(gate)), timeout=60, grace=1, **options)
    with pytest.raises(podtask.TaskTimeout, match=f"attach {task.name}"):
        task.result(SECONDS)
    assert sum(waited) == 60 + 1 + TIMEOUT_GRACE_SECONDS + linger
    assert server.count("DELETE", task.name) == 0
    script.reachable = True
    gate.open("w").close()
    assert podtask.attach(task.name).result(SECONDS) == 42
