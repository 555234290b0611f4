"""An API server that is away for minutes, or slow, fails no task."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError

import podtask
import pytest
from aiohttp import web
from podtask.backends import pod, pod_logs
from podtask.cluster import client

from .scripts import Proceed, Script, is_create, refused
from .scripts_end import Away as StreamsAway
from .user import SECONDS, Play, submit

MANY = 3 * pod.CREATE_TRIES


class Away(Script):
    """Requests to create a pod fail.

    Args:
        code: Status code of the responses; 0 closes the connection, 1 is a response that never comes.
        wanted: Number of requests that fail.
        stores: Whether the first of them takes effect all the same.
    """

    def __init__(self, code: int, wanted: int = MANY, *, stores: bool = False) -> None:
        super().__init__()
        self._code, self._wanted, self._stores = code, wanted, stores
        self.back = threading.Event()
        self.deleted = threading.Event()

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.method == "DELETE":
            self.deleted.set()
        if not is_create(request) and self._stores and self.times and not self.back.is_set():
            return refused(503, "away")
        if not is_create(request) or self.times >= self._wanted or self.back.is_set():
            return await proceed(request)
        self.times += 1
        if self._stores and self.times == 1:
            await proceed(request)
        if self._code == 1:
            await asyncio.Event().wait()
        if self._code == 403 and self.times < 3:
            return refused(503, "starting")
        if self._code > 1:
            return refused(self._code, 'cannot create resource "pods"' if self._code == 403 else "away")
        assert request.transport is not None
        request.transport.close()
        return web.Response()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let attempts follow each other without a pause."""
    monkeypatch.setattr(pod, "CREATE_PAUSES_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(pod_logs, "RETRY_PAUSES_SECONDS", (0.0,) * 4)


def phases(task: podtask.Task) -> list[str]:
    return [text for text, *_ in task.steps]


def wait_for_failure(task: podtask.Task) -> str:
    """Return the status line of a creation that has failed."""
    while True:
        update = task.updates.get(timeout=SECONDS)
        assert update.kind != "done", task.error
        if update.kind == "phase" and update.text.startswith("Creating: in scripted/n. "):
            return str(update.text)


@pytest.mark.fault(116)
@pytest.mark.parametrize(
    ("code", "why"), [(0, "Cannot reach"), (429, "429"), (500, "500"), (502, "502"), (504, "504")]
)
def test_creation_goes_on_under_the_same_name(play: Play, code: int, why: str) -> None:
    """Creating goes on while the server is away, and the status line says what it waits for."""
    server = play(Away(code))
    task = submit()
    line = wait_for_failure(task)
    assert why in line
    assert line.endswith("(Waits until --start-timeout.)")
    assert task.result(SECONDS) == 42
    assert server.count("POST", "/pods") == MANY + 1
    names = {found["metadata"]["name"] for _, _, found in server.pods.history}
    assert names == {task.name}


@pytest.mark.fault(116)
def test_slow_server_counts_as_reached(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first request that gets no answer is sent again: there was a connection."""
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.2)
    server = play(Away(1, 2))
    assert submit().result(SECONDS) == 42
    assert server.count("POST", "/pods") == 3


@pytest.mark.fault(116)
def test_server_that_forbids_everything_while_it_starts(play: Play) -> None:
    """After an outage, a refusal is not final at once."""
    server = play(Away(403, 4))
    assert submit().result(SECONDS) == 42
    assert server.count("POST", "/pods") == 5


@pytest.mark.fault(1, 116)
def test_lost_reply_and_then_an_outage(play: Play) -> None:
    """A pod whose creation got no reply is adopted after the outage; there is no second one."""
    server = play(script := Away(0, 1, stores=True))
    task = submit()
    wait_for_failure(task)
    script.back.set()
    assert task.result(SECONDS) == 42
    assert server.pods.peak == 1


@pytest.mark.fault(116)
@pytest.mark.parametrize("stops", [True, False], ids=["stop", "timeout"])
def test_creation_that_is_not_wanted_any_more(play: Play, stops: bool) -> None:
    """A stop and --start-timeout end the attempts; a pod that a lost reply has made is deleted."""
    server = play(script := Away(0, 10**6, stores=True))
    task = submit(start_timeout=60 if stops else 0.5)
    wait_for_failure(task)
    if stops:
        task.cancel_nowait()
    with pytest.raises(CancelledError if stops else podtask.StartError) as raised:
        task.result(SECONDS)
    if not stops:
        assert "(--start-timeout): Creating: in scripted/n. Cannot reach the API server" in str(raised.value)
    script.back.set()
    assert script.deleted.wait(SECONDS)
    assert server.pods.peak == 1


class LogUnavailable(StreamsAway):
    """Every connection to the pod fails, and a proxy refuses the log for a while."""

    code = 503

    async def log(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        self.times += 1
        return refused(self.code, "no endpoints") if self.times < 8 else await proceed(request)


@pytest.mark.fault(116)
def test_result_in_the_log_outlives_an_outage(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is read from the log once the server is available; the pod is not deleted before."""
    monkeypatch.setattr("podtask.lifecycle.wait.LOG_PAUSE_SECONDS", 0.01)
    server = play(LogUnavailable())
    task = submit("print('cut here', flush=True)\n42", linger=0.1)
    assert task.result(SECONDS) == 42
    assert server.script.times >= 8
    assert any(text.startswith("Fetching: ") and "503" in text for text in phases(task))
