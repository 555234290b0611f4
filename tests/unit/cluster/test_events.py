"""The events of waiting pods: one watch for all pods, and no event is missed when it breaks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from podtask.cluster import events as cluster_events
from podtask.cluster.client import Api
from podtask.cluster.events import MAX_EVENTS, MAX_PAGES, Events, PodEvents
from podtask.cluster.namespace import Namespace
from podtask.formatting import MAX_TEXT_CHARS

from tests.unit.cluster.test_watch import page, run_with_server, stream

LAST_VERSION = 1000  # of the opaque texts: a later one comes before an earlier one


def event(pod: str, version: int, uid: str = "") -> dict[str, Any]:
    """Return an event about a pod with a version that determines its order."""
    return {
        "metadata": {
            "uid": uid or f"{pod}-{version}",
            "name": f"{pod}.{version:016x}",
            "resourceVersion": f"v{LAST_VERSION - version}",
        },
        "involvedObject": {"uid": pod},
        "message": f"{pod} {version}",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }


def line(kind: str, about: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": about}).encode()


class Server:
    """Respond like an API server with events.

    Args:
        watches: Events of each watch; the last watch does not end.
        later: Events that happen after the first watch is requested.
    """

    def __init__(self, *watches: list[bytes], later: tuple[dict[str, Any], ...] = ()) -> None:
        self.stored = [event("a", 1), event("b", 2)]
        self.asked: list[str] = []  # the resource version at which each watch began
        self._watches = list(watches)
        self._later = later

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            self.asked.append(request.query["resourceVersion"])
            self.stored, self._later = [*self.stored, *self._later], ()
            if len(self._watches) == 1:
                return await stream(request, *self._watches[0])
            body = b"".join(each + b"\n" for each in self._watches.pop(0))
            return web.Response(body=body)
        selector = request.query.get("fieldSelector", "")
        found = [
            each for each in self.stored if selector == f"involvedObject.uid={each['involvedObject']['uid']}"
        ]
        version = min(each["metadata"]["resourceVersion"] for each in self.stored)
        return web.json_response({"metadata": {"resourceVersion": version}, "items": found})


async def collect_messages(shared: Events, pods: str, wanted: int) -> dict[str, list[str]]:
    """Follow pods until each has this many events; return their messages."""
    changed = asyncio.Event()
    followed = {each: PodEvents(shared, changed.set) for each in pods}
    for uid, events in followed.items():
        events.follow(uid)
    while any(len(each.seen or []) < wanted for each in followed.values()):
        changed.clear()
        await changed.wait()
    for each in followed.values():
        each.stop()
    return {uid: [told["message"] for told in each.seen or []] for uid, each in followed.items()}


@pytest.mark.fault(110)
def test_pods_share_a_watch() -> None:
    """Each pod receives its past and new events over one watch, which is closed with the last pod."""
    server = Server([line("ADDED", event("b", 4)), line("ADDED", event("a", 5))])

    async def play(api: Api) -> None:
        shared = Namespace(api, "n").events
        assert await collect_messages(shared, "ab", 2) == {"a": ["a 1", "a 5"], "b": ["b 2", "b 4"]}
        assert server.asked == ["v998"]
        assert shared._runner is None

    run_with_server(server.answer, play)


@pytest.mark.fault(110)
@pytest.mark.parametrize("ends", [[], [line("ERROR", {"code": 410})]], ids=["cut", "too old"])
def test_events_during_a_break_are_not_missed(ends: list[bytes]) -> None:
    """A watch that ends is resumed; if that is not possible, all events are read again."""
    told, missed = event("a", 4), event("a", 7)
    second = [] if ends else [line("ADDED", missed)]
    server = Server([line("ADDED", told), *ends], second, later=(told, missed) if ends else ())

    async def play(api: Api) -> None:
        assert await collect_messages(Namespace(api, "n").events, "a", 3) == {"a": ["a 1", "a 4", "a 7"]}
        if not ends:
            assert server.asked == ["v998", "v996"]

    run_with_server(server.answer, play)


def test_refused_events_are_not_requested_forever() -> None:
    """Without the right to read events, they are not requested forever."""
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return page(403)

    async def play(api: Api) -> None:
        shared = Namespace(api, "n").events
        events = PodEvents(shared, lambda: None)
        events.follow("a")
        runner = shared._runner
        assert runner is not None
        await runner
        assert events.seen is None
        assert len(asked) == 1

    run_with_server(answer, play)


@pytest.mark.fault(110)
def test_later_state_of_an_event_replaces_the_earlier_one() -> None:
    """Within a second, the count tells which of two states of an event is later, in any order of arrival."""
    seen = []
    for counts in ((1, 2), (2, 1), (2, 2)):
        events = PodEvents(Events.__new__(Events), lambda: None)
        for count in counts:
            events._add([{**event("a", 9 - count, "same"), "count": count}])
        seen.append([told["count"] for told in events.seen or []])
    assert seen == [[2], [2], [2]]


def test_last_events_of_a_pod_are_kept() -> None:
    """Whoever floods a pod with events does not fill the memory of the notebook."""

    class Shared:
        def subscribe(self, uid: str, on_event: Any) -> None:
            self.on_event = on_event

    shared: Any = Shared()
    events = PodEvents(shared, lambda: None)
    events.follow("a")
    for version in range(3 * MAX_EVENTS):
        shared.on_event(event("a", version))
    assert events.seen is not None
    assert [each["message"] for each in events.seen] == [
        f"a {version}" for version in range(2 * MAX_EVENTS, 3 * MAX_EVENTS)
    ]


@pytest.mark.fault(90)
def test_long_texts_of_events_are_cut() -> None:
    """Whoever may create events may write a megabyte into each; the notebook keeps the end of each text."""
    long = "x" * (1 << 20) + "the cause"
    extra = {"message": long, "reason": long, "source": {"component": long}, "note": long}
    listed = {**event("a", 1), **extra}
    listed["metadata"]["annotations"] = {"note": long}
    watched = {**event("a", 2), **extra}
    server = Server([line("ADDED", watched)])
    server.stored = [listed]

    async def play(api: Api) -> None:
        shared = Namespace(api, "n").events
        changed = asyncio.Event()
        events = PodEvents(shared, changed.set)
        events.follow("a")
        while len(events.seen or []) < 2:
            changed.clear()
            await changed.wait()
        events.stop()
        for each in events.seen or []:
            assert each["message"].endswith("the cause")
            assert len(json.dumps(each)) < 4 * MAX_TEXT_CHARS

    run_with_server(server.answer, play)


@pytest.mark.fault(90)
def test_flood_of_events_is_read_in_pages_up_to_a_limit() -> None:
    """A list of events ends, however many events somebody has created about the pod."""
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.query.get("continue"))
        metadata = {"resourceVersion": "1", "continue": f"page-{len(asked)}"}
        return web.json_response({"metadata": metadata, "items": [event("a", len(asked))]})

    async def play(api: Api) -> None:
        assert len(await Namespace(api, "n").events.list("a")) == MAX_PAGES

    run_with_server(answer, play)
    assert asked == [None, *(f"page-{number}" for number in range(1, MAX_PAGES))]


@pytest.mark.fault(90)
@pytest.mark.parametrize("odd", [b"[1]", b"{}", b'{"items": 3}', b'{"items": ["x"]}', b"[" * 100_000])
def test_events_are_read_again_after_an_answer_that_is_not_a_list(
    odd: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of a proxy in place of the list of a pod's events does not end their reader."""
    monkeypatch.setattr(cluster_events, "RETRY_SECONDS", 0.01)
    server = Server([line("ADDED", event("a", 3))])
    answers = [odd]

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.query.get("fieldSelector") == "involvedObject.uid=a" and answers:
            return web.Response(body=answers.pop(), content_type="application/json")
        return await server.answer(request)

    async def play(api: Api) -> None:
        assert await collect_messages(Namespace(api, "n").events, "a", 2) == {"a": ["a 1", "a 3"]}

    run_with_server(answer, play)
