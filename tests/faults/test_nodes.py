"""A pod that waits for a device which no node of the cluster has."""

from __future__ import annotations

import threading

import pytest
from podtask.cluster.nodes import Nodes

from tests.pods.waiting import wait_for_phase

from .scripts_nodes import DEVICE, DeviceMissing
from .user import SECONDS, Play, submit

ABSENT = f"no node of this cluster has {DEVICE}"
SCARCE = f"too little free {DEVICE} (1 of 1 node)"


@pytest.mark.fault(15)
def test_device_that_no_node_has_is_named(play: Play) -> None:
    """U14: the line of each pod that waits says so, until a node has it; all of them share one list and one watch."""
    server = play(script := DeviceMissing())
    tasks = [submit(), submit()]
    for task in tasks:
        assert "(--gpu-key)" in wait_for_phase(task, ABSENT)
    server.loop.call_soon_threadsafe(script.has_device.set)
    for task in tasks:
        assert "or wait until some is free" in wait_for_phase(task, SCARCE)
    server.loop.call_soon_threadsafe(script.is_free.set)
    assert [task.result(SECONDS) for task in tasks] == [42, 42]
    assert (server.count("GET", "/nodes", watch="1"), server.count("GET", "/nodes")) == (1, 2)


@pytest.mark.fault(15)
@pytest.mark.parametrize(("verb", "requests"), [("list", 1), ("watch", 2)])
def test_nodes_that_may_not_be_read_are_not_guessed(
    play: Play, monkeypatch: pytest.MonkeyPatch, verb: str, requests: int
) -> None:
    """U14: without the right, the line has the scheduler's reason, and the next pod does not ask again."""
    is_refused, on_refusal = threading.Event(), Nodes._on_refusal

    def receive_refusal(self: Nodes, verb: str, code: int) -> None:
        on_refusal(self, verb, code)
        is_refused.set()

    monkeypatch.setattr(Nodes, "_on_refusal", receive_refusal)
    server = play(script := DeviceMissing(refused_verb=verb))
    first = submit()
    if verb == "watch":
        wait_for_phase(first, ABSENT)
    wait_for_phase(first, SCARCE)
    assert is_refused.wait(SECONDS)
    second = submit()
    wait_for_phase(second, SCARCE)
    server.loop.call_soon_threadsafe(script.is_free.set)
    assert [task.result(SECONDS) for task in (first, second)] == [42, 42]
    assert [each for each in second.phases if ABSENT in each.phase.text] == []
    assert server.count("GET", "/nodes") == requests
