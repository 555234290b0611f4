"""A watch is only a hint: lost, repeated or forbidden events change nothing."""

from __future__ import annotations

import pytest

from .scripts_watch import Deaf, Invisible, Muddled, Sandboxed, Silent, Slow, Unready
from .user import SECONDS, Play, submit


@pytest.mark.fault(27)
def test_new_pod_that_is_not_there_yet_is_waited_for(play: Play) -> None:
    """404 of a pod that was just made is not its end."""
    server = play(Invisible())
    assert submit().result(SECONDS) == 42
    assert server.script.times == 2


@pytest.mark.fault(81)
def test_lost_and_reordered_events(play: Play) -> None:
    """410 leads to a new list; an older state after a newer one is not believed."""
    server = play(Muddled())
    assert submit().result(SECONDS) == 42
    assert server.script.times > 1


@pytest.mark.fault(81)
def test_list_is_the_truth(play: Play) -> None:
    """Where no watch tells of anything the list does."""
    server = play(Deaf())
    assert submit().result(SECONDS) == 42
    assert server.count("GET", "/pods") > server.count("GET", "/pods", watch="1")


@pytest.mark.fault(81)
def test_server_that_restarts(play: Play) -> None:
    """503 of watch, list and connections, then fine."""
    server = play(Unready())
    assert submit().result(SECONDS) == 42
    assert server.script.times == 4


def test_connection_that_is_never_answered_is_given_up(play: Play) -> None:
    """Another is tried seconds later, not when the pod has given up the notebook."""
    server = play(Silent())
    assert submit().result(SECONDS) == 42
    assert server.script.times == 1


def test_exec_is_tried_beside_forwarding_that_leads_nowhere(play: Play) -> None:
    """The pod runs and its port refuses for a second: the relay is tried, and taken."""
    server = play(Sandboxed())
    task = submit("import time\nfor n in range(3): print('line', n)\n40 + 2")
    assert task.result(SECONDS) == 42
    assert task.channel == "exec"
    assert task.logs() == "line 0\nline 1\nline 2\n"
    assert server.script.times > 1


@pytest.mark.fault(83)
def test_events_are_asked_for_while_a_pod_waits_and_not_longer(play: Play) -> None:
    """What there is is read by the pod's uid, then one watch tells; no listing of all that there is."""
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


def test_event_that_comes_again_is_one_line(play: Play) -> None:
    """What unfolds under the status line says how often it came."""
    play(Slow())
    task = submit()
    assert task.result(SECONDS) == 42
    glimpse = task.request_snapshot()
    assert glimpse is not None
    assert glimpse.result().events == (
        "FailedScheduling: 0/1 nodes are available: 1 Too many pods (2 times)",
    )
