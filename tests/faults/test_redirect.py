"""A server that answers in the place of the API server points to another address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import podtask
import pytest
from aiohttp import web
from podtask.cluster.authentication import Login
from podtask.cluster.client import Api, RedirectRefused
from podtask.cluster.credentials import Access

from tests.web_server import serving

from .scripts import Proceed, Script, is_create
from .user import SECONDS, Play, submit

pytestmark = pytest.mark.fault(93)


class Redirects(Script):
    """Requests of a kind are redirected to another host name of the same server."""

    def __init__(self, redirects: Callable[[web.Request], bool]) -> None:
        super().__init__()
        self._redirects = redirects
        self.at_other_host: list[str] = []

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.host.startswith("localhost"):
            self.at_other_host.append(await request.text())
        elif self._redirects(request):
            self.times += 1
            raise web.HTTPTemporaryRedirect(str(request.url.with_host("localhost")))
        return await proceed(request)


def test_pod_is_not_sent_to_another_host(play: Play) -> None:
    """A redirect of the request that creates the pod is an error that names the other address."""
    play(script := Redirects(is_create))
    with pytest.raises(podtask.ClusterError, match="redirects to http://localhost:") as raised:
        submit().result(SECONDS)
    assert "kubeconfig" in raised.value.hint
    assert script.times
    assert script.at_other_host == []


def test_stream_is_not_opened_at_another_host(play: Play) -> None:
    """A redirected port-forward is not followed, and is tried again."""
    play(script := Redirects(lambda request: request.path.endswith("/portforward") and not script.times))
    assert submit(channel="port-forward").result(SECONDS) == 42
    assert script.times == 1
    assert script.at_other_host == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "ask",
    [
        lambda api: api.request("GET", "/"),
        lambda api: api.request("DELETE", "/"),
        lambda api: api.content("/"),
        lambda api: api.stream_lines("/").__anext__(),
        lambda api: api.forward("n", "p", 1),
        lambda api: api.exec("n", "p", "c", ["x"]),
    ],
)
def test_no_request_follows(ask: Callable[[Api], Awaitable[object]], code: int) -> None:
    """No kind of request sends the token to where an answer points, not even to the same server."""
    asked: list[str] = []

    async def redirect(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=code, headers={"Location": "/elsewhere"})

    async def run() -> None:
        async with serving(redirect) as port:
            host = f"http://127.0.0.1:{port}"
            api = Api(
                Login(Access(host, "far", "n", None, None, None, lambda: {"authorization": "t"}, slow=False))
            )
            with pytest.raises((RedirectRefused, ConnectionError), match=r"redirects? to /elsewhere"):
                await ask(api)
            await api.close()

    asyncio.run(run())
    assert len(asked) == 1
    assert "/elsewhere" not in asked
