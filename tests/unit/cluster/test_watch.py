"""Requests and the watch, against a server that behaves like proxies and outages."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from podtask.cluster import client, watch
from podtask.cluster.authentication import Login
from podtask.cluster.client import Api
from podtask.cluster.credentials import Access
from podtask.cluster.namespace import Namespace
from podtask.cluster.refusals import ApiError
from podtask.errors import AnswerTooLarge, ClusterError

from tests.web_server import serving

PAGE = "<html><head><style>b {}</style></head><body><b>Log in</b> to the proxy</body></html>"
PATH = "/api/v1/namespaces/n/pods"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def pod(version: int) -> dict[str, Any]:
    return {"metadata": {"name": "p", "resourceVersion": str(version)}}


def page(status: int = 200) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html", status=status)


async def cut(request: web.Request) -> web.StreamResponse:
    """Begin a response and close the connection."""
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b"{")
    assert request.transport is not None
    request.transport.close()
    return answer


async def stream(request: web.Request, *lines: bytes) -> web.StreamResponse:
    """Send lines, then keep the response open until the client disconnects."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    for line in lines:
        await answer.write(line + b"\n")
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110  # no event tells of it
        await asyncio.sleep(0.02)
    return answer


def event(version: int) -> bytes:
    return json.dumps({"type": "MODIFIED", "object": pod(version)}).encode()


def run_with_server(handler: Handler, play: Callable[[Api], Awaitable[None]]) -> None:
    """Run a coroutine with a session whose server responds through a handler."""

    async def run() -> None:
        async with serving(handler) as port:
            host = f"http://127.0.0.1:{port}"
            api = Api(Login(Access(host, "far", "n", None, None, None, dict, slow=False)))
            try:
                await asyncio.wait_for(play(api), 30)
            finally:
                await api.close()

    asyncio.run(run())


@pytest.mark.parametrize("read", [lambda api: api.request("GET", PATH), lambda api: api.names(PATH)])
def test_page_of_a_proxy_is_an_error(read: Callable[[Api], Awaitable[Any]]) -> None:
    """HTML with status 200 is an error that quotes its text and has a hint."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return page()

    async def play(api: Api) -> None:
        with pytest.raises(ClusterError, match="not from an API server: Log in to the proxy"):
            await read(api)

    run_with_server(answer, play)


def test_refusal_as_a_page_shows_its_text() -> None:
    """The message of a proxy's 502 page is shown without tags."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return page(502)

    async def play(api: Api) -> None:
        with pytest.raises(ApiError) as raised:
            await api.request("GET", PATH)
        assert (raised.value.code, raised.value.message) == (502, "Log in to the proxy")

    run_with_server(answer, play)


@pytest.mark.parametrize("read", [lambda api: api.request("GET", PATH), lambda api: api.text(PATH)])
def test_incomplete_response_is_a_cluster_error(read: Callable[[Api], Awaitable[Any]]) -> None:
    """An incomplete response is an error of the cluster, not of the HTTP library."""

    async def play(api: Api) -> None:
        with pytest.raises(ClusterError, match="Cannot reach the API server of context 'far'"):
            await read(api)

    run_with_server(cut, play)


def follow(answers: list[Handler], wanted: int) -> None:
    """Watch while a server sends each response once; pass when the expected version arrives."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (answers.pop(0) if len(answers) > 1 else answers[0])(request)

    async def play(api: Api) -> None:
        seen: asyncio.Queue[Any] = asyncio.Queue()
        Namespace(api, "n").watch("a=b").subscribe("p", seen.put_nowait)
        while int((await seen.get())["metadata"]["resourceVersion"]) != wanted:
            pass

    run_with_server(answer, play)


async def listed(_: web.Request) -> web.StreamResponse:
    return web.json_response({"metadata": {"resourceVersion": "6"}, "items": [pod(5)]})


async def other_json(_: web.Request) -> web.StreamResponse:
    return web.json_response({"login": "please"})


async def gone(_: web.Request) -> web.StreamResponse:
    return web.json_response({"message": "not found"}, status=404)


async def nothing(request: web.Request) -> web.StreamResponse:
    return await stream(request)


async def empty(_: web.Request) -> web.StreamResponse:
    return web.json_response({"metadata": {"resourceVersion": "6"}, "items": []})


async def a_page(_: web.Request) -> web.StreamResponse:
    return page()


async def forbidden(_: web.Request) -> web.StreamResponse:
    return web.json_response({"message": "no"}, status=403)


async def found(_: web.Request) -> web.StreamResponse:
    return web.json_response(pod(9))


async def changed_pods(request: web.Request) -> web.StreamResponse:
    return await stream(request, event(7))


async def nonsense(request: web.Request) -> web.StreamResponse:
    return await stream(request, b"[1]")


async def deep(request: web.Request) -> web.StreamResponse:
    return await stream(request, b"[" * 100_000)


async def other_objects(request: web.Request) -> web.StreamResponse:
    return await stream(request, json.dumps({"type": "ADDED", "object": {"metadata": ["p"]}}).encode())


async def expired(request: web.Request) -> web.StreamResponse:
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old"}}
    return await stream(request, json.dumps(gone).encode())


@pytest.mark.parametrize(
    "first",
    [a_page, nonsense, deep, other_objects, cut, expired],
    ids=["page", "nonsense", "deep", "other objects", "cut", "410"],
)
@pytest.mark.fault(81, 90)
def test_watch_resumes_after_an_invalid_response(first: Handler) -> None:
    """After an invalid response, the watch lists again and continues from there."""
    follow([first, listed, changed_pods], 7)


@pytest.mark.parametrize("second", [a_page, cut], ids=["page", "cut"])
def test_failed_list_is_retried(second: Handler) -> None:
    """A page or a cut in place of the list does not end the watch."""
    follow([cut, second, listed, changed_pods], 7)


@pytest.mark.parametrize("second", [a_page, cut, other_json], ids=["page", "cut", "json"])
def test_poll_outlives_an_outage(second: Handler) -> None:
    """If watching is forbidden, pods are polled, even after an invalid response."""
    follow([forbidden, second, found], 9)


def test_watch_is_tried_again_after_a_while_of_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single 403 may come from a starting server, so the watch is retried a minute later."""
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(watch, "POLLING_SECONDS", 0.05)
    asked: dict[str, list[Handler]] = {
        "watch": [forbidden, changed_pods],
        "list": [listed],
        "get": [found],
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        kind = "watch" if "watch" in request.query else "list" if request.path == PATH else "get"
        return await (asked[kind].pop(0) if len(asked[kind]) > 1 else asked[kind][0])(request)

    async def play(api: Api) -> None:
        seen: asyncio.Queue[Any] = asyncio.Queue()
        Namespace(api, "n").watch("a=b").subscribe("p", seen.put_nowait)
        while int((await seen.get())["metadata"]["resourceVersion"]) != 9:
            pass
        while int((await seen.get())["metadata"]["resourceVersion"]) != 7:
            pass

    run_with_server(answer, play)


def check_reported_gone(say: Callable[[watch.Watch, str], None], *answers: Handler) -> None:
    """Check that a pod is reported as gone; other requests than watches get these responses in order."""
    rest = list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await rest.pop(0)(request) if rest[0] in (cut, forbidden) else await nothing(request)
        return await (rest.pop(0) if len(rest) > 1 else rest[0])(request)

    async def play(api: Api) -> None:
        seen: asyncio.Queue[Any] = asyncio.Queue()
        watched = Namespace(api, "n").watch("a=b")
        watched.subscribe("p", seen.put_nowait)
        say(watched, "p")
        assert await seen.get() is None

    run_with_server(answer, play)


def test_pod_deleted_before_the_watch_is_reported() -> None:
    """The disappearance of a pod is reported even if no watch has an event for it."""
    check_reported_gone(watch.Watch.mark_existing, a_page, gone)


@pytest.mark.parametrize("down", [cut, forbidden], ids=["cut", "forbidden"])
def test_new_pod_deleted_during_an_outage_is_reported(down: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new pod that is not found a moment later has ended, even if no watch has shown it."""
    monkeypatch.setattr(watch, "NEW_POD_SECONDS", 0.1)
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.05)
    check_reported_gone(watch.Watch.mark_created, down, *([empty] if down is cut else []), gone)


def test_watch_ends_after_its_last_pod_and_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch ends after its last pod, and a new one for the next pod begins with a list."""
    monkeypatch.setattr(watch, "IDLE_SECONDS", 0.05)
    begun: asyncio.Queue[str] = asyncio.Queue()
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def answer(request: web.Request) -> web.StreamResponse:
        begun.put_nowait(request.query["watch"])
        answer = await changed_pods(request)
        ended.put_nowait("hung up")
        return answer

    async def play(api: Api) -> None:
        seen: asyncio.Queue[Any] = asyncio.Queue()
        watched = Namespace(api, "n").watch("a=b")
        put = seen.put_nowait
        watched.subscribe("p", put)
        await seen.get()
        watched.unsubscribe("p", put)
        await ended.get()
        watched.subscribe("q", seen.put_nowait)
        await begun.get()
        await begun.get()

    run_with_server(answer, play)


def test_two_subscribers_follow_one_pod() -> None:
    """Two handles of one task are both told of its pod; when one stops following, the other is still told."""
    go_on = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(event(1) + b"\n")
        await go_on.wait()
        await answer.write(event(2) + b"\n")
        return await nothing(request)

    async def play(api: Api) -> None:
        queues: list[asyncio.Queue[Any]] = [asyncio.Queue(), asyncio.Queue()]
        first, second = (queue.put_nowait for queue in queues)
        watched = Namespace(api, "n").watch("a=b")
        watched.subscribe("p", first)
        watched.subscribe("p", second)
        assert [await queue.get() for queue in queues] == [pod(1), pod(1)]
        watched.unsubscribe("p", first)
        go_on.set()
        assert await queues[1].get() == pod(2)
        assert queues[0].empty()

    run_with_server(answer, play)


async def trickle(request: web.Request) -> web.StreamResponse:
    """Send an answer in many pieces; it takes longer than podtask waits for one of them."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    for piece in (b'{"items": [', *([b" "] * SLOW_PIECES), b"]}"):
        await answer.write(piece)
        await asyncio.sleep(2 * SILENT_SECONDS / SLOW_PIECES)
    return answer


async def begin(request: web.Request) -> web.StreamResponse:
    """Begin an answer, and never end it."""
    return await stream(request, b"{")


SLOW_PIECES, SILENT_SECONDS = 20, 0.6
READS: dict[str, Callable[[Api], Awaitable[Any]]] = {
    "list": lambda api: api.request("GET", PATH),
    "names": lambda api: api.names(PATH),
    "log": lambda api: api.content(f"{PATH}/p/log"),
}
each_read = pytest.mark.parametrize("read", READS.values(), ids=READS.keys())


@pytest.mark.fault(104)
@each_read
def test_answer_that_is_slow_but_moves(
    read: Callable[[Api], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer may take longer than the time that podtask waits for its next byte."""
    monkeypatch.setattr(client, "ANSWER_SECONDS", SILENT_SECONDS)

    async def play(api: Api) -> None:
        await read(api)

    run_with_server(trickle, play)


@pytest.mark.fault(104)
@each_read
def test_answer_that_stops(read: Callable[[Api], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that stops in the middle is an error after that time."""
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.1)

    async def play(api: Api) -> None:
        with pytest.raises(ClusterError, match="Cannot reach the API server of context 'far'"):
            await read(api)

    run_with_server(begin, play)


@pytest.mark.fault(104)
@each_read
@pytest.mark.parametrize("code", [200, 500])
def test_answer_without_an_end(
    read: Callable[[Api], Awaitable[Any]], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers are bounded by bytes, also those of refusals; the error says what to do."""
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 3 << 20)

    async def answer(request: web.Request) -> web.StreamResponse:
        endless = web.StreamResponse(status=code)
        await endless.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await endless.write(b"x" * 65536)
        return endless

    async def play(api: Api) -> None:
        with pytest.raises(AnswerTooLarge, match=rf"sends more than 3 MiB for {PATH}.*\n.*kubectl"):
            await read(api)

    run_with_server(answer, play)


@pytest.mark.fault(110)
def test_answer_that_the_watch_has_overtaken() -> None:
    """A pod that was requested before the watch reported it is not reported again as it was."""
    requested, reported = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            requested.set()
            await reported.wait()
            return web.json_response({"metadata": {"name": "p", "resourceVersion": "zz-old"}})
        await requested.wait()
        new = {"metadata": {"name": "p", "resourceVersion": "aa-new"}}
        return await stream(request, json.dumps({"type": "ADDED", "object": new}).encode())

    async def play(api: Api) -> None:
        seen: list[str] = []

        def on_pod(pod: dict[str, Any] | None) -> None:
            assert pod is not None
            seen.append(pod["metadata"]["resourceVersion"])
            reported.set()

        shared = Namespace(api, "n").watch("a=b")
        shared.subscribe("p", on_pod)
        shared.mark_existing("p")
        await shared._lookups["p"]
        assert seen == ["aa-new"]

    run_with_server(answer, play)
