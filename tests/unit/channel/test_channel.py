"""Frames that only the channel receives: the runner's debug log, and kinds of later versions."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from podtask.channel.channel import Channel
from podtask.runner import protocol

from tests.local.listener import Listener


def handle(frame: protocol.Frame) -> list[protocol.Frame]:
    """Return the frames that reach the listener after a channel has received one frame."""
    passed_on: list[protocol.Frame] = []
    backend: Any = SimpleNamespace(name="podtask-1")
    channel = Channel(backend, "ab" * 32, "cd" * 32, None, Listener(passed_on.append))
    link: Any = None
    assert asyncio.run(channel._handle_frame(link, frame)) is None
    return passed_on


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"text": "a client has connected", "age": 0.01}, "podtask-1: a client has connected"),
        ({"text": "the client has left", "age": 7.2}, "podtask-1: the client has left (7 s ago)"),
        ({"text": "100%"}, "podtask-1: 100%"),
    ],
)
def test_line_of_the_runner_goes_to_its_logger(
    caplog: pytest.LogCaptureFixture, meta: dict[str, Any], message: str
) -> None:
    """A line becomes a debug record of ``podtask.runner`` with the task's name, and its age if it is old."""
    with caplog.at_level(logging.DEBUG, "podtask.runner"):
        assert handle(protocol.Frame(protocol.LOG, 0, meta, b"")) == []
    assert caplog.record_tuples == [("podtask.runner", logging.DEBUG, message)]


def test_unknown_kind_is_ignored() -> None:
    """A frame of a later version of the runner neither fails nor reaches the listener."""
    assert handle(protocol.Frame(200, 0, {"a": 1}, b"data")) == []


def test_usage_is_none_of_the_numbered_frames() -> None:
    """A usage frame reaches the listener beside the frames that are numbered and resumed."""
    received: list[protocol.Frame] = []
    listener = Listener(receive_usage=received.append)
    backend: Any = SimpleNamespace(name="podtask-1")
    link: Any = None
    channel = Channel(backend, "ab" * 32, "cd" * 32, None, listener)
    frame = protocol.Frame(protocol.USAGE, 0, {"exec": "x", "cpu": 0.5, "memory": 1}, b"")
    assert asyncio.run(channel._handle_frame(link, frame)) is None
    assert received == [frame]
