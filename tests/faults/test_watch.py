"""A watch is only a hint: lost, repeated or forbidden events do not change the outcome."""

from __future__ import annotations

import pytest

from .scripts_watch import Deaf, Invisible, Muddled, Sandboxed, Silent, Slow, Unready
from .user import SECONDS, Play, submit


@pytest.mark.fault(27)
def test_new_pod_that_is_not_there_yet_is_waited_for(play: Play) -> None:
    """404 for a pod that was just created does not end the task."""
    server = play(Invisible())
    assert submit().result(SECONDS) == 42
    assert server.script.times == 2


@pytest.mark.fault(81, 110)
def test_lost_and_reordered_events(play: Play) -> None:
    """410 leads to a new list, and an older state after a newer one is ignored."""
    server = play(Muddled())
    assert submit().result(SECONDS) == 42
    assert server.script.times > 1


@pytest.mark.fault(81, 110)
def test_lists_replace_watches_without_events(play: Play) -> None:
    """If watches deliver no events, the state comes from lists."""
    server = play(Deaf())
    assert submit().result(SECONDS) == 42
    assert server.count("GET", "/pods") > server.count("GET", "/pods", watch="1")


@pytest.mark.fault(81)
def test_server_that_restarts(play: Play) -> None:
    """The task survives 503 for watches, lists and connections."""
    server = play(Unready())
    assert submit().result(SECONDS) == 42
    assert server.script.times == 4


def test_connection_without_a_response_is_replaced(play: Play) -> None:
    """A connection without a response is replaced within seconds, before the pod gives up."""
    server = play(Silent())
    assert submit().result(SECONDS) == 42
    assert server.script.times == 1


def test_exec_is_tried_if_forwarding_fails(play: Play) -> None:
    """If the port of a running pod refuses connections for a second, exec is used."""
    server = play(Sandboxed())
    task = submit("import time\nfor n in range(3): print('line', n)\n40 + 2")
    assert task.result(SECONDS) == 42
    assert task.channel == "exec"
    assert task.logs() == "line 0\nline 1\nline 2\n"
    assert server.script.times > 1


@pytest.mark.fault(83)
def test_events_are_requested_only_while_a_pod_waits(play: Play) -> None:
    """Past events are read by the UID of the pod, then one watch follows; no full list is requested."""
    server = play(Slow())
    task = submit()
    assert task.result(SECONDS) == 42
    asked = [query for _, path, query in server.asked if path.endswith("/events")]
    watches = [query for query in asked if query.get("watch")]
    assert [query["fieldSelector"] for query in watches] == ["involvedObject.kind=Pod"]
    uid = server.pods.history[0][2]["metadata"]["uid"]
    about = f"involvedObject.uid={uid}"
    listed = [query for query in asked if query not in watches]
    assert all(query.get("fieldSelector") == about or query["limit"] == "1" for query in listed)
    assert about in [query.get("fieldSelector") for query in listed]
    first = next(place for place, (_, path, _) in enumerate(server.asked) if "/portforward" in path)
    assert not any(path.endswith("/events") for _, path, _ in server.asked[first:])


def test_repeated_event_is_one_line(play: Play) -> None:
    """The details show a repeated event once, with its count."""
    play(Slow())
    task = submit()
    assert task.result(SECONDS) == 42
    glimpse = task.request_snapshot()
    assert glimpse is not None
    assert glimpse.result().events == (
        "FailedScheduling: 0/1 nodes are available: 1 Too many pods (2 times)",
    )
