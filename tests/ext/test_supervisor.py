"""The runner's supervisor: what a client may ask of it at an awkward time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from podtask.channel import Channel
from podtask.local import LocalProcess
from podtask.manifest import Identity, render
from podtask.options import RunOptions
from podtask.pickles import unpack
from podtask.runner import wire

from tests.ext.test_channel import KEY, job


@pytest.mark.parametrize("cut_after", [False, True])
def test_answer_given_while_the_connection_is_down_arrives_once(cut_after: bool) -> None:
    """The next connection brings the answer; the next question does not get it again."""

    async def scene() -> list[Any]:
        identity = Identity("podtask-test", KEY, 1)
        rendered = render(None, RunOptions(), identity, "3.11")
        placement = await LocalProcess.start(rendered, identity, lambda phase, say: None)
        answers = ["one", "two"]
        under_way: list[asyncio.Task[None]] = []

        async def answer() -> None:
            assert channel._link is not None
            link = channel._link
            if not cut_after:
                await link.stream.close()
            await channel.reply({"value": answers.pop(0)})
            if cut_after:
                await link.stream.close()

        def on_frame(frame: wire.Frame) -> None:
            if frame.kind == wire.ASK:
                under_way.append(asyncio.ensure_future(answer()))

        work = job("found = [input(), input()]", ["found"])
        channel = Channel(placement, KEY, lambda python: work, on_frame)
        try:
            verdict = await asyncio.wait_for(channel.run(), 30)
        finally:
            await placement.delete()
        [found] = unpack(verdict.parts, verdict.end["packed"])
        return list(found)

    assert asyncio.run(scene()) == ["one", "two"]
