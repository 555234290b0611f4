"""Tasks that podtask 0.1.0 has started: it spoke protocol 1. Its pod and the log of its runner are recorded."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask.errors import TaskError
from podtask.runner.protocol import EXIT_NO_CLIENT

from .pods import ended
from .scripts import Script
from .tasks import in_server, put_pod
from .user import SECONDS, Play

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("first_version.json").read_text())
NAME = RECORDED["pod"]["metadata"]["name"]


def test_runner_of_the_first_version_is_a_sentence(play: Play) -> None:
    """Attaching to its pod, whose real runner waits, says which version speaks what; the pod is neither reached nor deleted."""
    server = play(Script())
    in_server(server, server.pods.add(copy.deepcopy(RECORDED["pod"])))
    running = asyncio.run_coroutine_threadsafe(server.script.live(NAME), server.loop)
    task = podtask.attach(NAME)
    with pytest.raises(TaskError) as failed:
        task.result(SECONDS)
    assert failed.value.message == (
        f"{NAME} was started by an older version of podtask (protocol 1, here 2). It keeps running."
    )
    assert failed.value.hint == (
        f"Attach to it with that version, or wait for its end. %podtask logs {NAME} shows its output."
    )
    assert not running.done()
    assert NAME in server.pods.found


def test_log_of_the_first_version_is_read(play: Play) -> None:
    """The output and the values in the log of its ended runner come back in this version."""
    server = play(Script())
    pod = copy.deepcopy(RECORDED["pod"])
    pod["spec"]["nodeName"] = "node"
    put_pod(server, pod, **ended("primary", EXIT_NO_CLIENT))
    server.pods.logs[NAME] = RECORDED["log"].encode()
    task = podtask.attach(NAME, trust=True)  # it has no owner's secret
    assert task.result(SECONDS) == 42
    assert task.values == {"total": 40}
    assert task.logs() == "here\n"
