"""Ends of pods are recognized from the status and its timing; success requires a result."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from typing import Any

import podtask
import pytest
from podtask.backends import pod_connect

from tests.notebook import Shell
from tests.pods.waiting import wait_for_phase

from .scripts import Script
from .scripts_end import (
    Evicted,
    ExecEarly,
    ExecLate,
    FalseSuccess,
    LateReason,
    NodeLost,
    NodeSilent,
    PhaseUnknown,
    Rejected,
)
from .user import SECONDS, Play, submit

DIES = "import time\nprint('cut here', flush=True)\ntime.sleep(600)"


def error_of(play: Play, script: Script) -> str:
    """Return the error message of a task that a script ends."""
    play(script)
    with pytest.raises(podtask.PodtaskError) as raised:
        submit(DIES).result(SECONDS)
    return str(raised.value)


@pytest.mark.fault(50)
def test_reason_that_comes_late_is_waited_for(play: Play) -> None:
    """After exit code 137, podtask waits for a moment until the status shows OOMKilled."""
    assert "OOMKilled" in error_of(play, LateReason())


@pytest.mark.fault(51)
def test_eviction_without_statuses(play: Play) -> None:
    """The error contains the reason and the message of the pod itself."""
    assert "evicted it: The node was low on resource: memory" in error_of(play, Evicted())


@pytest.mark.fault(52, 71)
def test_success_without_a_result_is_an_error(play: Play) -> None:
    """A pod that succeeds without an end frame or a result record causes an error that explains it."""
    assert "ended before its result was fetched" in error_of(play, FalseSuccess())


@pytest.mark.fault(53)
def test_lost_node_ends_the_cell(play: Play) -> None:
    """A pod on a lost node, which stays Running and is never deleted, ends the cell."""
    assert "its node was lost" in error_of(play, NodeLost())


@pytest.mark.fault(53)
def test_pod_of_a_dead_node_is_deleted_by_force(play: Play, shell: Shell) -> None:
    """The message about a silent node names the command that deletes the pod permanently."""
    server = play(NodeSilent())
    task = submit(DIES)
    said = wait_for_phase(task, "has stopped reporting")
    command = f"%podtask delete {task.name} --force"
    assert command in said
    assert shell.output(command)[0] == f"Deleted: {task.name}\n"
    with pytest.raises(CancelledError, match=f"stopped; pod {task.name} was deleted"):
        task.exception(SECONDS)
    assert server.pods.found == {}


@pytest.mark.fault(63)
def test_exec_before_the_runner_is_up(play: Play) -> None:
    """Exec is retried until the container runs, and its relay waits for the port."""
    server = play(ExecEarly())
    task = submit(channel="exec")
    assert task.result(SECONDS) == 42
    assert server.script.times > 2


@pytest.mark.fault(63)
def test_exec_after_the_runner_died(play: Play) -> None:
    """Exec after the death of the runner does not hide how the pod ended."""
    server = play(ExecLate())
    task = submit("import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(600)", channel="exec")
    assert "exit code 137" in str(task.exception(SECONDS))
    assert server.script.times > 0


@pytest.mark.fault(116)
def test_slow_handshake_gets_more_time_with_each_attempt(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner is reached although a busy node needs longer than the first limits to start the relay."""
    wait_for, limits = asyncio.wait_for, []

    async def wait_for_third_handshake(awaited: Any, seconds: float | None) -> Any:
        if seconds is not None and seconds >= pod_connect.HANDSHAKE_SECONDS:
            limits.append(seconds)
            if len(limits) < 3:
                awaited.cancel()
                raise asyncio.TimeoutError
        return await wait_for(awaited, seconds)

    monkeypatch.setattr(asyncio, "wait_for", wait_for_third_handshake)
    monkeypatch.setattr(pod_connect, "HANDSHAKE_SECONDS", 1000)
    monkeypatch.setattr(pod_connect, "MAX_HANDSHAKE_SECONDS", 3000)
    play(Script())
    assert submit(channel="exec").result(SECONDS) == 42
    assert limits == [1000, 2000, 3000]


@pytest.mark.fault(24)
def test_pod_rejected_by_its_node(play: Play) -> None:
    """Without container statuses, no log is read, and --retries safely starts another pod."""
    server = play(Rejected())
    with pytest.raises(podtask.StartError, match="no room for it"):
        submit(retries=1).result(SECONDS)
    assert server.count("POST", "/pods") == 2
    assert server.count("GET", "/log") == 0


@pytest.mark.fault(26)
def test_phase_unknown_does_not_end_the_task(play: Play) -> None:
    """Phase Unknown does not end the cell, and its result arrives."""
    play(PhaseUnknown())
    assert submit("import time\ntime.sleep(1)\n42").result(SECONDS) == 42
