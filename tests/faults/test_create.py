"""Creation of pods: responses of the API server and the effect on the task."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from aiohttp import web
from podtask.event_loop import loop

from .scripts import Busy, LostReply, Proceed, QuotaConflict, Script, Stranger, Webhook
from .user import SECONDS, Play, submit


class HeldReview(Script):
    """The API server says who the user is only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answers = threading.Event(), threading.Event()

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith("/selfsubjectreviews"):
            self.asked.set()
            await asyncio.to_thread(self.answers.wait)
        return await proceed(request)


def test_plain_cell_runs_to_its_end(play: Play) -> None:
    """Output and value come back; one pod is created and deleted, with one watch."""
    server = play(Script())
    task = submit()
    assert task.result(60) == 42
    assert task.logs() == "here\n"
    assert server.count("POST", "/pods") == 1
    assert server.count("GET", "/pods", watch="1") == 1


@pytest.mark.feature("N15")
def test_phases_from_the_first_moment_on(play: Play) -> None:
    """Each step before the creation of the pod has its own phase; none of them is Pending."""
    play(Script())
    task = submit()
    assert task.result(60) == 42
    phases = [text.partition(":")[0] for text, *_ in task.steps]
    assert phases[:3] == ["Packing", "Connecting", "Creating"]
    assert phases[-1] == "Running"


@pytest.mark.fault(1, 2)
def test_pod_whose_reply_was_lost_is_adopted(play: Play) -> None:
    """If the response to a creation is lost, the retry meets 409 and adopts the pod by its label."""
    server = play(LostReply())
    task = submit()
    assert task.result(60) == 42
    assert server.pods.peak == 1
    assert server.count("POST", "/pods") == 2
    assert task.name in {pod["metadata"]["name"] for _, _, pod in server.pods.history}


@pytest.mark.fault(1)
def test_pod_of_others_is_not_touched(play: Play) -> None:
    """A pod with our name but without our label is not used or deleted; our pod gets a new name."""
    server = play(Stranger())
    assert submit().result(60) == 42
    made = {pod["metadata"]["name"] for _, _, pod in server.pods.history}
    assert len(made) == 2
    strangers = [
        pod["metadata"]["labels"]
        for pod in server.pods.found.values()
        if pod["metadata"]["labels"] == {"of": "others"}
    ]
    assert len(strangers) == 1


@pytest.mark.fault(4)
def test_conflict_of_a_quota_is_tried_again(play: Play) -> None:
    """A 409 about a concurrent update of a quota is retried."""
    server = play(QuotaConflict())
    assert submit().result(60) == 42
    assert server.count("POST", "/pods") == 2


@pytest.mark.fault(6)
def test_webhook_that_is_late_is_tried_again(play: Play) -> None:
    """A creation that fails with 5xx is retried after a pause."""
    server = play(Webhook())
    assert submit().result(60) == 42
    assert server.count("POST", "/pods") == 3


@pytest.mark.fault(9)
def test_creation_waits_as_long_as_a_busy_server_requests(play: Play) -> None:
    """After 429, the next attempt is not made before the time in Retry-After."""
    server = play(Busy())
    assert submit().result(60) == 42
    assert server.count("POST", "/pods") == 2
    first, second = server.created
    assert second - first >= 1


def test_task_stopped_before_its_creation_gets_no_pod(play: Play) -> None:
    """A task that is cancelled while podtask connects sends no request that creates a pod."""
    script = HeldReview()
    server = play(script)
    task = submit()
    assert script.asked.wait(SECONDS)
    task.cancel()
    with pytest.raises(concurrent.futures.CancelledError, match="was not created"):
        task.result(SECONDS)
    background = list(loop()._background)
    script.answers.set()
    loop().run(_wait_for(background))
    assert server.count("POST", "/pods") == 0


async def _wait_for(background: Iterable[asyncio.Future[Any]]) -> None:
    await asyncio.gather(*background)
