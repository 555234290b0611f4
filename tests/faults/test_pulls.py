"""Images that a registry refuses at first, or that take long."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import podtask
import pytest
from podtask.backends.base import Phase
from podtask.diagnosis import containers
from podtask.lifecycle import follow

from tests.pods.waiting import wait_for_phase

from .pods import primary_of
from .scripts import Script
from .user import SECONDS, Play, submit

DENIED = "failed to authorize: 401 Unauthorized: no basic auth credentials"


class PullRefused(Script):
    """The registry refuses the image until the node has its credentials."""

    def __init__(self) -> None:
        super().__init__()
        self.credentials = asyncio.Event()

    async def live(self, name: str) -> None:
        await self.pods.assign_node(name)
        primary = primary_of(self.pods.found[name])
        waiting = {"reason": "ImagePullBackOff", "message": DENIED}
        status = {
            "name": primary["name"],
            "image": primary["image"],
            "restartCount": 0,
            "state": {"waiting": waiting},
        }
        await self.pods.set(name, phase="Pending", containerStatuses=[status])
        await self.credentials.wait()
        await super().live(name)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up at once without --pull-timeout."""
    monkeypatch.setattr(containers, "PULL_SECONDS", 0)


@pytest.mark.fault(109)
def test_refused_pull_is_waited_for(play: Play) -> None:
    """With --pull-timeout, the node gets time for its credentials; the line says how long it waits."""
    server = play(script := PullRefused())
    task = submit(pull_timeout="10m")
    assert "(Waits for 600 s.)" in wait_for_phase(task, "the registry denies the pull")
    server.loop.call_soon_threadsafe(script.credentials.set)
    assert task.result(SECONDS) == 42


@pytest.mark.fault(109)
def test_refused_pull_without_the_option(play: Play) -> None:
    """Without it, a refused image ends the task soon."""
    play(PullRefused())
    with pytest.raises(podtask.StartError, match="the registry denies the pull"):
        submit().result(SECONDS)


@pytest.mark.fault(109)
@pytest.mark.parametrize(("phase", "counts"), [("Pulling", False), ("Gated", False), ("Starting", True)])
def test_image_that_is_being_pulled_is_progress(
    monkeypatch: pytest.MonkeyPatch, phase: str, counts: bool
) -> None:
    """The time of a pull does not count as part of --start-timeout."""
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1000:
            task.phase = Phase("Starting")

    monkeypatch.setattr(follow, "asyncio", SimpleNamespace(sleep=sleep))
    task = follow.TaskFollower.__new__(follow.TaskFollower)
    task.launcher = SimpleNamespace(options=podtask.RunOptions())
    task.name, task.status, task.phase, task.start_time_left = "podtask-x", "Pending", Phase(phase), 30.0
    with pytest.raises(podtask.StartError, match="has not started"):
        asyncio.run(task._enforce_deadlines())
    assert len(waited) == (30 if counts else 1030 - 1)
