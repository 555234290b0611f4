"""API servers and proxies that do not open streams: exec is tried, then batch mode, and the refusal is named."""

from __future__ import annotations

import asyncio

import podtask
import pytest
from aiohttp import web
from podtask.backends import pod_connect

from tests.notebook import Shell

from .scripts import Proceed, Script
from .user import SECONDS, Play, submit

FORWARD, EXEC = "/portforward", "/exec"
WAYS = [
    (400, "400 Bad Request"),
    (404, "404 Not Found"),
    (426, "426 Upgrade Required"),
    (501, "501 Not Implemented"),
    (502, "502 Bad Gateway"),
    (200, "200 OK"),
    (0, "the connection is closed"),
    (1, "no answer in 0.2 s"),
]


class StreamsRefused(Script):
    """Streams are refused.

    Args:
        code: Status code; 0 closes the connection, 1 is a response that never comes.
        paths: Ends of the paths that are refused.
    """

    def __init__(self, code: int, *paths: str) -> None:
        super().__init__()
        self._code, self._paths = code, paths

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if not request.path.endswith(self._paths):
            return await proceed(request)
        self.times += 1
        if self._code == 1:
            await asyncio.Event().wait()
        if not self._code:
            assert request.transport is not None
            request.transport.close()
        return web.Response(status=self._code or 500, text="<html>no upgrade</html>")


class ServerAway(StreamsRefused):
    """Streams and pods are refused, and streams are the first that work again."""

    asked = 0

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        is_stream = request.path.endswith(self._paths)
        if is_stream and self.asked >= 2:
            return await proceed(request)
        if is_stream or request.method != "GET" or "/pods/" not in request.path:
            return await super().answer(request, proceed)
        self.asked += 1
        return web.Response(status=502)


class KubeletAway(StreamsRefused):
    """The API server cannot reach the kubelet for the first ten streams."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        return await (super().answer(request, proceed) if self.times < 10 else proceed(request))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up soon."""
    monkeypatch.setattr(pod_connect, "MAX_OPEN_SECONDS", 0.2)
    monkeypatch.setattr(pod_connect, "BATCH_FALLBACK_SECONDS", 0.0)


def notes(task: podtask.Task) -> str:
    found = []
    while not task.updates.empty():
        update = task.updates.get_nowait()
        if update.kind == "note":
            found.append(update.text)
    return "\n".join(found)


@pytest.mark.fault(105)
@pytest.mark.parametrize(("code", "reason"), WAYS)
def test_exec_is_used_where_port_forward_is_refused(play: Play, code: int, reason: str) -> None:
    """The cell runs by exec, and the status line said how port-forward was refused."""
    play(StreamsRefused(code, FORWARD))
    task = submit()
    assert task.result(SECONDS) == 42
    assert task.channel == "exec"
    line = f"Running: port-forward is refused ({reason}) (Waits until --start-timeout.)"
    assert line in [text for text, *_ in task.steps]


@pytest.mark.fault(105)
@pytest.mark.parametrize(("code", "reason"), [(404, "404 Not Found"), (0, "the connection is closed")])
def test_batch_mode_is_used_where_streams_are_refused(play: Play, code: int, reason: str) -> None:
    """If exec is refused, too, the cell runs in batch mode, and a line says how both were refused."""
    server = play(StreamsRefused(code, FORWARD, EXEC))
    task = submit()
    assert task.result(SECONDS) == 42
    assert task.channel == "batch"
    assert server.count("POST", "/pods") == 2
    refusal = f"can be opened: port-forward is refused ({reason}), exec is refused ({reason}). Falling back to batch"
    assert refusal in notes(task)


@pytest.mark.fault(105)
def test_refusal_of_the_chosen_stream_is_in_the_error(play: Play) -> None:
    """With --channel, no other way is taken: the error at the start timeout has the refusal."""
    play(StreamsRefused(501, FORWARD))
    with pytest.raises(podtask.StartError, match="port-forward is refused \\(501 Not Implemented\\)"):
        submit(channel="port-forward", start_timeout=5).result(SECONDS)


@pytest.mark.fault(105, 116)
def test_server_that_is_away_is_no_reason_for_batch_mode(play: Play) -> None:
    """While the API server refuses all requests, streams are tried until it is back."""
    server = play(ServerAway(502, FORWARD, EXEC))
    task = submit()
    assert task.result(SECONDS) == 42
    assert task.channel != "batch"
    assert server.count("POST", "/pods") == 1


@pytest.mark.fault(105)
def test_doctor_says_which_stream_was_refused(play: Play, shell: Shell) -> None:
    """The doctor opens a stream, and names the refusal and what the cell used instead."""
    play(StreamsRefused(426, FORWARD))
    out, _ = shell.output("%podtask doctor")
    assert "! stream    port-forward is refused (426 Upgrade Required); the cell was reached by exec\n" in out
    assert "→ A proxy before the API server may not pass WebSockets" in out


@pytest.mark.fault(105)
def test_doctor_says_that_streams_open(play: Play, shell: Shell) -> None:
    """Without a refusal, the doctor names the stream that it has opened."""
    play(Script())
    assert "✓ stream    port-forward opens streams to the pod\n" in shell.output("%podtask doctor")[0]


@pytest.mark.fault(105)
@pytest.mark.parametrize("code", [500, 503, 504])
def test_node_that_is_silent_for_a_while_does_not_lead_to_batch_mode(play: Play, code: int) -> None:
    """A stream that is not possible now is not refused: the pod stays, and the stream is opened later."""
    server = play(KubeletAway(code, FORWARD, EXEC))
    task = submit()
    assert task.result(SECONDS) == 42
    assert task.channel in ("port-forward", "exec")
    assert not task.refused_streams
    assert server.pods.peak == 1
