"""Maps whose workers cannot start, or are deleted: what the line and the errors say."""

from __future__ import annotations

import asyncio
import signal

import podtask
import pytest
from aiohttp import web
from podtask.display.map_view import map_status
from podtask.errors import ClusterError, Lost
from podtask.maps.progress import Progress

from .scripts import Proceed, Refuses, Script, is_create, refused
from .tasks import in_server
from .user import SECONDS, Play

pytestmark = pytest.mark.feature("N10")
QUOTA = 'pods "p" is forbidden: exceeded quota: team, requested: pods=1, used: pods=1, limited: pods=1'


@podtask.task
def hold(x: int) -> int:
    """Return a number; wait for a signal in its place if it is 0."""
    if x == 0:
        signal.pause()
    return x


class NoRight(Refuses):
    """Nobody may create pods."""

    code, reason, wanted = 403, "Forbidden", 1000
    message = (
        'pods is forbidden: User "alice" cannot create resource "pods" in API group "" in the namespace "n"'
    )


class FirstOnly(Script):
    """Only the first of three pods starts, once all three were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._all_asked = asyncio.Event()

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if not is_create(request):
            return await proceed(request)
        self.times += 1
        if self.times == 3:
            self._all_asked.set()
        return await (proceed(request) if self.times == 1 else self.answer_other(request))

    async def live(self, name: str) -> None:
        await self._all_asked.wait()
        await super().live(name)

    async def answer_other(self, request: web.Request) -> web.StreamResponse:
        """Respond to the request for another pod."""
        raise NotImplementedError


class OnePod(FirstOnly):
    """The quota of the namespace has room for one pod."""

    async def answer_other(self, request: web.Request) -> web.StreamResponse:
        return refused(403, QUOTA, "Forbidden")


class OneAdmitted(FirstOnly):
    """Kueue admits the first pod and holds the others."""

    async def answer_other(self, request: web.Request) -> web.StreamResponse:
        pod = await request.json()
        pod["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
        return web.json_response(await self.pods.add(pod), status=201)


def lines(progress: Progress) -> list[str]:
    """Return what a terminal shows of a map."""
    return map_status(progress).lines


@pytest.mark.fault(153)
def test_map_without_the_right_to_create_pods_fails_once(
    play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error of the pods is raised as that of the map, also if errors of items are to be returned."""
    play(NoRight())
    with pytest.raises(ClusterError, match="You may not create pods in scripted/n") as caught:
        hold.map(range(1, 40), workers=3, return_exceptions=True)
    assert "Ask for a Role" in caught.value.hint
    assert capsys.readouterr().err == "✗ no worker has started\n"


@pytest.mark.fault(154)
def test_workers_that_the_quota_refuses_are_counted(play: Play) -> None:
    """The worker that has started runs all items, and the line says how many others did not start, why, and what to do."""
    play(OnePod())
    task = hold.submit_map(range(1, 7), workers=3)
    assert task.results(SECONDS) == list(range(1, 7))
    first, *notes, _ = lines(task.progress)
    assert "6 of 6 done" in first
    assert notes[0].startswith(
        "2 workers did not start: The API server rejected the pod in scripted/n: exceeded quota: team"
    )
    assert notes[1].startswith("Quota team of namespace 'n' is used up: delete other pods, request less")


@pytest.mark.fault(155)
def test_workers_that_wait_in_a_queue_are_counted_while_others_run(play: Play) -> None:
    """The items run in the workers that are admitted."""
    play(OneAdmitted())
    task = hold.submit_map([1, 2, 0, *range(3, 9)], workers=3)
    ended = task.as_completed()
    assert {next(ended), next(ended)} == {(0, 1), (1, 2)}
    first, *_ = lines(task.progress)
    assert " · 1 worker · 2 queued" in first
    task.cancel()
    assert task.progress.done == 2


@pytest.mark.fault(143)
def test_item_of_a_deleted_worker_says_who_has_ended_it(play: Play) -> None:
    """Its error and the line of the failures have the cause."""
    server = play(Script())
    task = hold.submit_map([1, 0], workers=1)
    ended = task.as_completed()
    assert next(ended) == (0, 1)
    [pod] = server.pods.found
    in_server(server, server.pods.remove(pod))
    _, lost = task.results(SECONDS)
    assert isinstance(lost, Lost)
    assert lost.message.startswith("Item 1 was lost with its worker")
    assert "deleted" in lost.message
    assert any(line.startswith("Lost: Item 1 was lost") for line in lines(task.progress))
