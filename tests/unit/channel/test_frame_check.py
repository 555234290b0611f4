"""Frames of a hostile runner are one error of the task; the view relies on what they have."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.channel.frame_check import check_frame
from podtask.errors import TaskError
from podtask.runner import protocol

pytestmark = [pytest.mark.fault(90), pytest.mark.feature("N27")]


@pytest.mark.parametrize(
    ("kind", "meta"),
    [
        (protocol.STREAM, {}),
        (protocol.STREAM, {"name": "log"}),
        (protocol.STREAM, {"name": ["stdout"]}),
        (protocol.CLEAR_OUTPUT, {}),
        (protocol.INPUT_REQUEST, {"prompt": "a"}),
        (protocol.INPUT_REQUEST, {"prompt": 1, "password": False}),
        (protocol.GAP, {"from": 1}),
        (protocol.GAP, {"from": "1", "to": 2}),
        (protocol.STATE, {}),
        (protocol.STATE, {"step": "pip", "specs": [1]}),
        (protocol.STATE, {"step": "run", "pip": "a", "seconds": 1}),
        (protocol.STATE, {"step": "run", "seconds": "1"}),
        (protocol.USAGE, {"cpu": 0.5}),
        (protocol.USAGE, {"cpu": 0.5, "memory": 1, "memory_limit": "1Gi"}),
    ],
)
def test_malformed_frame_is_an_error(kind: int, meta: dict[str, Any]) -> None:
    """A field that is missing or has another type ends the task, not the thread that shows it."""
    with pytest.raises(TaskError, match="The pod sent"):
        check_frame(protocol.Frame(kind, 1, meta, b""))


@pytest.mark.parametrize(
    ("kind", "meta"),
    [
        (protocol.STREAM, {"name": "stderr", "more": 1}),
        (protocol.CLEAR_OUTPUT, {"wait": False}),
        (protocol.INPUT_REQUEST, {"prompt": "", "password": True}),
        (protocol.GAP, {"from": 1, "to": 2}),
        (protocol.STATE, {"step": "run", "pip": ["a"], "seconds": 1.5}),
        (protocol.DISPLAY, {}),
        (protocol.USAGE, {"cpu": 0, "memory": 1, "cpu_limit": 0.5}),
    ],
)
def test_frame_of_a_runner_passes(kind: int, meta: dict[str, Any]) -> None:
    """What a runner sends is accepted."""
    check_frame(protocol.Frame(kind, 1, meta, b""))
